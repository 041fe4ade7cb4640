use straggler::leak_check;

#[leak_check]
#[straggler::test]
async fn below_alias() {}

#[straggler::test]
#[leak_check]
async fn above_alias() {}

fn main() {}
