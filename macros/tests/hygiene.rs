//! Names of the test's own that are also names in what `#[leak_check]` makes of it.

#![expect(
    dead_code,
    non_camel_case_types,
    unused_macros,
    clippy::new_ret_no_self,
    reason = "the names are there to be in the way"
)]

mod core {}
mod std {}
mod tokio {}
mod straggler {}

struct Option;
struct Result;
struct Some;
struct None;
struct Pin;
struct Future;
struct Duration;
struct LeakCheck;
struct Builder;
struct TestCase;
struct usize;
struct str;

const fn future() {}
const fn runtime() {}
const fn output() {}
const fn leak_test() {}

macro_rules! concat {
    () => {};
}

macro_rules! stringify {
    () => {};
}

macro_rules! module_path {
    () => {};
}

macro_rules! pin {
    () => {};
}

/// Has the methods that the expansion calls, for everything.
trait InTheWay: Sized {
    fn new() {}
    fn new_current_thread() {}
    fn new_multi_thread() {}
    fn enable_all(self) {}
    fn worker_threads(self, _: u8) {}
    fn start_paused(self, _: u8) {}
    fn name(self, _: u8) {}
    fn runtime(self, _: u8) {}
    fn local(self, _: u8) {}
    fn grace(self, _: u8) {}
    fn allow(self, _: u8) {}
    fn allow_at(self, _: u8) {}
    fn allow_at_most(self, _: u8) {}
    fn map(self) {}
    fn into(self) {}
}

impl<T> InTheWay for T {}

#[::straggler::leak_check]
async fn the_usual_is_found() {
    future();
    runtime();
    output();
    leak_test();
}

#[::straggler::leak_check(
    flavor = "multi_thread",
    worker_threads = 1,
    name = "name",
    grace = "1s",
    allow = 1,
    allow("a", "b" = 2)
)]
async fn the_options_are_found() {
    ::tokio::task::yield_now().await;
}

#[::straggler::leak_check(flavor = "local", start_paused = true)]
async fn the_other_options_are_found() {
    ::tokio::task::yield_now().await;
}

#[::straggler::leak_check]
async fn a_result_is_found() -> ::std::result::Result<(), ::std::fmt::Error> {
    Ok(())
}

#[::straggler::leak_check]
#[should_panic(expected = "as it should")]
async fn a_panic_is_found() {
    panic!("as it should");
}

#[::straggler::leak_check]
async fn r#async() {
    r#await();
}

const fn r#await() {}
