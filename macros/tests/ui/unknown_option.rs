#[straggler::test(retries = 3)]
async fn first() {}

#[straggler::test(retries)]
async fn second() {}

#[straggler::test(tokio::test)]
async fn third() {}

fn main() {}
