use straggler::leak_check;

#[leak_check]
#[straggler::test]
async fn a_test() {}

fn main() {}
