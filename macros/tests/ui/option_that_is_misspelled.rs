use straggler::leak_check;

#[leak_check(flavour = "local")]
async fn a_test() {}

#[leak_check(start_pause = true)]
async fn another_test() {}

#[leak_check(GRACE = "1s")]
async fn a_third_test() {}

fn main() {}
