use straggler::leak_check;

#[leak_check(explore = 5, flavor = "multi_thread", worker_threads = 2)]
async fn threads() {}

#[leak_check(start_paused = false, explore = 5)]
async fn a_clock_that_runs() {}

#[leak_check(explore = 5, name = "runtime", unhandled_panic = "ignore")]
async fn other_settings() {}

fn main() {}
