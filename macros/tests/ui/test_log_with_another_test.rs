use straggler::leak_check;

#[leak_check]
#[test_log::test(straggler::test)]
async fn a_test() {}

fn main() {}
