use straggler::leak_check;

#[leak_check(retries = 3)]
async fn a_test() {}

#[leak_check(retries)]
async fn another_test() {}

#[leak_check(tokio::test)]
async fn a_third_test() {}

fn main() {}
