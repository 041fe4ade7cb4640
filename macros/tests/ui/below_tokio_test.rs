use straggler::leak_check;

#[tokio::test(flavor = "multi_thread")]
#[leak_check]
async fn a_test() {}

fn main() {}
