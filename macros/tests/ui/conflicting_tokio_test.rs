#[straggler::test(flavor = "multi_thread", worker_threads = 2)]
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn first() {}

#[straggler::test(start_paused = true)]
#[tokio::test(flavor = "multi_thread")]
async fn second() {}

fn main() {}
