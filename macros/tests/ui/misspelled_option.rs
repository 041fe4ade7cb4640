#[straggler::test(flavour = "local")]
async fn first() {}

#[straggler::test(start_pause = true)]
async fn second() {}

#[straggler::test(GRACE = "1s")]
async fn third() {}

fn main() {}
