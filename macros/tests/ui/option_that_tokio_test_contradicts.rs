use straggler::leak_check;

#[leak_check(flavor = "multi_thread", worker_threads = 2)]
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_test() {}

#[leak_check(start_paused = true)]
#[tokio::test(flavor = "multi_thread")]
async fn another_test() {}

fn main() {}
