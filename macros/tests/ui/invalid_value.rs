#[straggler::test(flavor = "many_threads")]
async fn flavor() {}

#[straggler::test(flavor = "multi_thread", worker_threads = 0)]
async fn worker_threads() {}

#[straggler::test(unhandled_panic = "explode")]
async fn unhandled_panic() {}

#[straggler::test(crate = "no path")]
async fn krate() {}

#[straggler::test(grace = "250")]
async fn grace() {}

#[straggler::test(timeout = "0s")]
async fn timeout() {}

#[straggler::test(panics = "maybe")]
async fn panics() {}

#[straggler::test(allow = 0)]
async fn allow_none() {}

#[straggler::test(allow = -1)]
async fn allow_negative() {}

#[straggler::test(allow())]
async fn allow_no_place() {}

#[straggler::test(allow(""))]
async fn allow_empty_place() {}

#[straggler::test(allow("src/pool.rs" = 0))]
async fn allow_none_at_place() {}

#[straggler::test(allow("::tests"))]
async fn allow_function_of_no_file() {}

#[straggler::test(allow("src/auth.rs::"))]
async fn allow_no_function() {}

#[straggler::test(threads = "allow")]
async fn threads() {}

#[straggler::test(explore = 0)]
async fn explore_none() {}

fn main() {}
