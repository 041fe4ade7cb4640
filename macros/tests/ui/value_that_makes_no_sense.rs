use straggler::leak_check;

#[leak_check(flavor = "many_threads")]
async fn flavor() {}

#[leak_check(flavor = "multi_thread", worker_threads = 0)]
async fn worker_threads() {}

#[leak_check(unhandled_panic = "explode")]
async fn unhandled_panic() {}

#[leak_check(crate = "no path")]
async fn krate() {}

#[leak_check(grace = "250")]
async fn grace() {}

#[leak_check(timeout = "0s")]
async fn timeout() {}

#[leak_check(panics = "maybe")]
async fn panics() {}

#[leak_check(allow = 0)]
async fn allow_none() {}

#[leak_check(allow = -1)]
async fn allow_less() {}

#[leak_check(allow())]
async fn allow_nowhere() {}

#[leak_check(allow(""))]
async fn allow_everywhere() {}

#[leak_check(allow("src/pool.rs" = 0))]
async fn allow_none_there() {}

#[leak_check(threads = "allow")]
async fn threads() {}

#[leak_check(explore = 0)]
async fn no_run() {}

fn main() {}
