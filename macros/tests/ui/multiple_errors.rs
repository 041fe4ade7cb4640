#[straggler::test(grace = 1, retries = 3, worker_threads = 2)]
#[tokio::test(start_paused = "yes")]
fn a_test(number: u8) {
    assert_eq!(number, 1);
}

fn main() {
    // The function is still there.
    a_test(1);
}
