#[straggler::test(grace = "1s", allow = 1, grace = "1s")]
async fn first() {}

#[straggler::test(allow = 1, allow = 2)]
async fn second() {}

#[straggler::test(allow("src/a.rs"), allow("src/b.rs", "src/a.rs" = 2))]
async fn third() {}

#[straggler::test(threads = "deny", threads = "deny")]
async fn threads() {}

#[straggler::test(explore = 5, explore = 50)]
async fn explored() {}

fn main() {}
