#[straggler::test("250ms")]
async fn first() {}

#[straggler::test(grace "250ms")]
async fn second() {}

#[straggler::test(grace = )]
async fn third() {}

fn main() {}
