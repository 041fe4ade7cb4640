use straggler::leak_check;

#[leak_check(core_threads = 2)]
async fn a_test() {}

#[leak_check(basic_scheduler)]
async fn another_test() {}

#[leak_check(flavor = "threaded_scheduler")]
async fn a_third_test() {}

#[leak_check]
#[tokio::test(multi_thread)]
async fn a_fourth_test() {}

fn main() {}
