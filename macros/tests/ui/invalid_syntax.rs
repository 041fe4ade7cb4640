#[straggler::test("250ms")]
async fn first() {}

#[straggler::test(grace "250ms")]
async fn second() {}

#[straggler::test(grace = )]
async fn third() {}

#[straggler::test(cancel timeout = "10s")]
async fn fourth() {}

#[straggler::test(explore = 500 cancel)]
async fn fifth() {}

fn main() {}
