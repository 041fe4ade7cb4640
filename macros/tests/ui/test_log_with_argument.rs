#[straggler::test]
#[test_log::test(straggler::test)]
async fn a_test() {}

fn main() {}
