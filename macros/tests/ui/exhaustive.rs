#[straggler::test(explore = "exhaustive", cancel)]
async fn cancelled() {}

#[straggler::test(explore = "exhaustive", race_timers)]
async fn raced() {}

#[straggler::test(explore = "exhaustive", eager_spawns)]
async fn eager() {}

#[straggler::test(explore = "all")]
async fn other_word() {}

#[straggler::test(explore = "exhaustive", flavor = "multi_thread")]
async fn threads() {}

fn main() {}
