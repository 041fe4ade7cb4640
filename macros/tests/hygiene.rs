//! The expansion resolves its own names where the test's module defines the same ones.

#![expect(
    dead_code,
    non_camel_case_types,
    non_upper_case_globals,
    unused_imports,
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
struct bool;
struct Box;
struct String;
struct Vec;

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

macro_rules! unreachable {
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
    fn timeout(self, _: u8) {}
    fn no_timeout(self, _: u8) {}
    fn allow_panics(self, _: u8) {}
    fn deny_threads(self, _: u8) {}
    fn explore(self, _: u8) {}
    fn runs(self, _: u8) {}
    fn require_overlap(self, _: u8) {}
    fn unhandled_panic(self, _: u8) {}
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
    timeout = "10s",
    panics = "allow",
    threads = "deny",
    allow = 1,
    allow("a", "b" = 2)
)]
async fn multi_thread_options() {
    ::tokio::task::yield_now().await;
}

#[::straggler::test(flavor = "local", start_paused = true, timeout = "none")]
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

/// Makes tests with each kind of expansion, in a module where `$item` defines a name.
///
/// A pattern such as that of `let future = ..` resolves to a constant, a static or a unit struct of
/// that name. Names that the expansion has bound before are among them.
macro_rules! with_each_name {
    ($(mod $module:ident { $($item:item)* })*) => { $(
        mod $module {
            $($item)*

            #[::straggler::test]
            async fn result() -> ::std::result::Result<(), ::std::fmt::Error> {
                Ok(())
            }

            #[::straggler::test(flavor = "multi_thread", worker_threads = 1)]
            async fn runtime_options() {}

            #[::straggler::test]
            async fn impl_trait() -> impl ::std::process::Termination {}

            #[::straggler::test]
            #[should_panic(expected = "as it should")]
            async fn should_panic() {
                panic!("as it should");
            }

            #[::straggler::test(explore = 2)]
            async fn explored() -> ::std::result::Result<(), ::std::fmt::Error> {
                Ok(())
            }

            #[::test_case::test_case(1)]
            #[::straggler::test(explore = 2)]
            async fn with_argument(number: u8) {
                assert_eq!(number, 1);
            }
        }
    )* };
}

with_each_name! {
    mod constants {
        const future: u8 = 0;
        const runtime: u8 = 0;
        const output: u8 = 0;
        const body: u8 = 0;
        const check: u8 = 0;
        const case: u8 = 0;
        const explore: u8 = 0;
        const name: u8 = 0;
        const pinned: u8 = 0;
        const returned: u8 = 0;
        const value: u8 = 0;
        const case_name: u8 = 0;
    }
    mod statics {
        static future: u8 = 0;
        static runtime: u8 = 0;
        static output: u8 = 0;
        static body: u8 = 0;
        static check: u8 = 0;
        static case: u8 = 0;
        static pinned: u8 = 0;
    }
    mod unit_structs {
        struct future;
        struct runtime;
        struct output;
        struct body;
        struct check;
        struct case;
        struct pinned;
    }
    mod glob_imports {
        mod glob {
            pub(super) enum All { future, runtime, output, body, check, case, pinned, leak_test }
            pub(super) mod straggler {}
            pub(super) mod core {}
            pub(super) mod std {}
        }
        use glob::*;
        use All::*;
    }
    mod types {
        type future = ();
        type Output = u8;
        type Termination = u8;
        trait TestBody {}
        trait Future {}
        trait Clone {}
        struct Body;
        struct Explore;
    }
}

/// `#[no_implicit_prelude]` leaves nothing but the paths from `::`.
#[no_implicit_prelude]
mod without_prelude {
    #[::straggler::test(flavor = "multi_thread", grace = "1s")]
    async fn runtime_options() -> ::std::result::Result<(), ::std::fmt::Error> {
        ::std::result::Result::Ok(())
    }

    #[::straggler::test(explore = 2)]
    async fn explored() {}
}

/// What the body defines is its own.
#[::straggler::test]
async fn items_in_body() -> ::std::result::Result<(), ::std::fmt::Error> {
    const output: u8 = 0;
    mod core {}
    struct Termination;
    Ok(())
}
