#[tokio::test(flavor = "multi_thread")]
#[straggler::test]
async fn a_test() {}

fn main() {}
