#[straggler::test(race_timers)]
async fn one_run() {}

#[straggler::test(cancel, race_timers)]
async fn plain_order() {}

#[straggler::test(explore = 5, race_timers = true)]
async fn with_value() {}

fn main() {}
