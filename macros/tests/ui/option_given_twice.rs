use straggler::leak_check;

#[leak_check(grace = "1s", allow = 1, grace = "1s")]
async fn a_test() {}

#[leak_check(allow = 1, allow = 2)]
async fn another_test() {}

#[leak_check(allow("src/a.rs"), allow("src/b.rs", "src/a.rs" = 2))]
async fn a_third_test() {}

#[leak_check(threads = "deny", threads = "deny")]
async fn threads() {}

#[leak_check(explore = 5, explore = 50)]
async fn explored() {}

fn main() {}
