use straggler::leak_check;

#[leak_check(worker_threads = 2)]
async fn workers() {}

#[leak_check(flavor = "local", worker_threads = 2)]
async fn local_workers() {}

#[leak_check(flavor = "multi_thread", start_paused = true)]
async fn paused() {}

#[leak_check(flavor = "multi_thread", unhandled_panic = "ignore")]
async fn panics() {}

fn main() {}
