use straggler::leak_check;

#[leak_check(require_overlap)]
async fn one_run() {}

#[leak_check(explore = 5, require_overlap = true)]
async fn with_a_value() {}

fn main() {}
