use straggler::leak_check;

#[leak_check(flavor = multi_thread)]
async fn flavor() {}

#[leak_check(flavor)]
async fn bare() {}

#[leak_check(flavor("local"))]
async fn list() {}

#[leak_check(flavor = "multi_thread", worker_threads = "2")]
async fn worker_threads() {}

#[leak_check(start_paused = 1)]
async fn start_paused() {}

#[leak_check(name = true)]
async fn name() {}

#[leak_check(unhandled_panic = false)]
async fn unhandled_panic() {}

#[leak_check(crate = straggler)]
async fn krate() {}

#[leak_check(grace = 250)]
async fn grace() {}

#[leak_check(allow = "src/pool.rs")]
async fn allow() {}

#[leak_check(allow(2))]
async fn allow_list() {}

#[leak_check(threads = true)]
async fn threads() {}

#[leak_check(threads)]
async fn threads_alone() {}

#[leak_check(threads("deny"))]
async fn threads_list() {}

#[leak_check(explore)]
async fn without_a_number() {}

#[leak_check(explore = true)]
async fn switched_on() {}

fn main() {}
