#[straggler::test(unscheduled = "allow")]
async fn without_explore() {}

#[straggler::test(explore = 5, unscheduled = "deny")]
async fn denied() {}

#[straggler::test(explore = 5, unscheduled)]
async fn without_value() {}

fn main() {}
