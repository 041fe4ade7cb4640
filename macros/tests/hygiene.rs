//! The expansion resolves its own names where the test's module defines the same ones.

#![expect(
    dead_code,
    non_camel_case_types,
    unused_macros,
    clippy::new_ret_no_self,
    reason = "the names are there to be mistaken for those of the expansion"
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

/// Gives every type the methods that the expansion calls.
trait Shadow: Sized {
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

impl<T> Shadow for T {}

#[::straggler::test]
async fn default_expansion() {
    future();
    runtime();
    output();
    leak_test();
}

#[::straggler::test(
    flavor = "multi_thread",
    worker_threads = 1,
    name = "name",
    grace = "1s",
    allow = 1,
    allow("a", "b" = 2)
)]
async fn multi_thread_options() {
    ::tokio::task::yield_now().await;
}

#[::straggler::test(flavor = "local", start_paused = true)]
async fn local_options() {
    ::tokio::task::yield_now().await;
}

#[::straggler::test]
async fn result() -> ::std::result::Result<(), ::std::fmt::Error> {
    Ok(())
}

#[::straggler::test]
#[should_panic(expected = "as it should")]
async fn should_panic() {
    panic!("as it should");
}

#[::straggler::test]
async fn r#async() {
    r#await();
}

const fn r#await() {}
