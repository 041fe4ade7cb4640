#[straggler::test(flavor = multi_thread)]
async fn flavor() {}

#[straggler::test(flavor)]
async fn flavor_without_value() {}

#[straggler::test(flavor("local"))]
async fn flavor_list() {}

#[straggler::test(flavor = "multi_thread", worker_threads = "2")]
async fn worker_threads() {}

#[straggler::test(start_paused = 1)]
async fn start_paused() {}

#[straggler::test(name = true)]
async fn name() {}

#[straggler::test(unhandled_panic = false)]
async fn unhandled_panic() {}

#[straggler::test(crate = straggler)]
async fn krate() {}

#[straggler::test(grace = 250)]
async fn grace() {}

#[straggler::test(allow = "src/pool.rs")]
async fn allow() {}

#[straggler::test(allow(2))]
async fn allow_list() {}

#[straggler::test(threads = true)]
async fn threads() {}

#[straggler::test(threads)]
async fn threads_without_value() {}

#[straggler::test(threads("deny"))]
async fn threads_list() {}

#[straggler::test(explore)]
async fn explore_without_value() {}

#[straggler::test(explore = true)]
async fn explore_switched_on() {}

#[straggler::test(cancel = 100)]
async fn cancel_with_runs() {}

fn main() {}
