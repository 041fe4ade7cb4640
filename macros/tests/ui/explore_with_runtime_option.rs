#[straggler::test(explore = 5, flavor = "multi_thread", worker_threads = 2)]
async fn threads() {}

#[straggler::test(start_paused = false, explore = 5)]
async fn running_clock() {}

#[straggler::test(explore = 5, name = "runtime", unhandled_panic = "ignore")]
async fn other_options() {}

fn main() {}
