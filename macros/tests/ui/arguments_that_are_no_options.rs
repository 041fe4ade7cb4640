use straggler::leak_check;

#[leak_check("250ms")]
async fn a_test() {}

#[leak_check(grace "250ms")]
async fn another_test() {}

#[leak_check(grace = )]
async fn a_third_test() {}

fn main() {}
