use straggler::leak_check;

#[leak_check]
#[test]
fn a_test() {}

fn main() {}
