#[straggler::test(worker_threads = 2)]
async fn workers() {}

#[straggler::test(flavor = "local", worker_threads = 2)]
async fn local_workers() {}

#[straggler::test(flavor = "multi_thread", start_paused = true)]
async fn paused() {}

#[straggler::test(flavor = "multi_thread", unhandled_panic = "ignore")]
async fn panics() {}

fn main() {}
