#[straggler::test(require_overlap)]
async fn one_run() {}

#[straggler::test(explore = 5, require_overlap = true)]
async fn with_value() {}

fn main() {}
