#[straggler::test(core_threads = 2)]
async fn first() {}

#[straggler::test(basic_scheduler)]
async fn second() {}

#[straggler::test(flavor = "threaded_scheduler")]
async fn third() {}

#[straggler::test]
#[tokio::test(multi_thread)]
async fn fourth() {}

fn main() {}
