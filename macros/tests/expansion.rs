//! What `#[leak_check]` calls, told by a stand-in for `straggler` that writes it down. The stand-in
//! is reached by the option `crate`, from where the tests are.

use std::cell::RefCell;

use straggler::leak_check;
use tokio::runtime::Handle;

mod stand_in {
    use std::time::Duration;

    #[cfg(tokio_unstable)]
    pub(crate) use ::tokio;
    pub(crate) use straggler_macros::leak_check as test;

    /// Writes down what it is told.
    pub(crate) struct LeakCheck {
        pub(crate) runtime: Option<tokio::runtime::Builder>,
        pub(crate) settings: String,
    }

    impl LeakCheck {
        pub(crate) fn new() -> Self {
            Self {
                runtime: None,
                settings: String::new(),
            }
        }

        pub(crate) fn runtime(mut self, builder: tokio::runtime::Builder) -> Self {
            self.runtime = Some(builder);
            self.and("runtime")
        }

        pub(crate) fn local(self) -> Self {
            self.and("local")
        }

        pub(crate) fn grace(self, grace: Duration) -> Self {
            self.and(&format!("grace {grace:?}"))
        }

        pub(crate) fn timeout(self, timeout: Duration) -> Self {
            self.and(&format!("timeout {timeout:?}"))
        }

        pub(crate) fn no_timeout(self) -> Self {
            self.and("no timeout")
        }

        pub(crate) fn allow_panics(self) -> Self {
            self.and("allow panics")
        }

        pub(crate) fn allow(self, tasks: usize) -> Self {
            self.and(&format!("allow {tasks}"))
        }

        pub(crate) fn allow_at(self, place: &str) -> Self {
            self.and(&format!("allow at {place}"))
        }

        pub(crate) fn allow_at_most(self, place: &str, tasks: usize) -> Self {
            self.and(&format!("allow {tasks} at {place}"))
        }

        pub(crate) fn deny_threads(self) -> Self {
            self.and("deny threads")
        }

        fn and(mut self, setting: &str) -> Self {
            self.settings.push_str(setting);
            self.settings.push_str(", ");
            self
        }
    }

    /// Writes down how many runs it is to make.
    pub(crate) struct Explore(pub(crate) String);

    impl LeakCheck {
        pub(crate) fn explore(self) -> Explore {
            Explore(self.settings)
        }
    }

    impl Explore {
        pub(crate) fn runs(self, runs: usize) -> Self {
            Self(format!("{}{runs} runs, ", self.0))
        }
    }

    pub(crate) mod __private {
        use std::panic::Location;
        use std::pin::{Pin, pin};

        pub(crate) use tokio::runtime::Builder;

        use super::{Explore, LeakCheck};
        use crate::{Call, LAST};

        pub(crate) struct TestCase {
            pub(crate) name: &'static str,
        }

        pub(crate) trait TestBody: Future {}

        impl<F: Future> TestBody for F {}

        pub(crate) struct Body;

        impl Body {
            #[expect(clippy::new_ret_no_self, reason = "any future stands in for a body")]
            pub(crate) fn new<F: Future>(future: F) -> F {
                future
            }
        }

        #[track_caller]
        pub(crate) fn leak_test<F: Future + ?Sized>(
            case: TestCase,
            check: LeakCheck,
            body: Pin<&mut F>,
        ) -> F::Output {
            run("leak_test", case, check, body)
        }

        #[track_caller]
        pub(crate) fn leak_test_should_panic<F: Future<Output = ()> + ?Sized>(
            case: TestCase,
            check: LeakCheck,
            body: Pin<&mut F>,
        ) {
            run("leak_test_should_panic", case, check, body);
        }

        #[track_caller]
        pub(crate) fn explored_test<R: Future>(
            TestCase { name }: TestCase,
            Explore(settings): Explore,
            mut body: impl FnMut() -> R,
        ) {
            for settings in [settings.clone(), settings] {
                let runtime = None;
                let check = LeakCheck { runtime, settings };
                run("explored_test", TestCase { name }, check, pin!(body()));
            }
        }

        #[track_caller]
        pub(crate) fn explored_test_should_panic<R: Future>(
            case: TestCase,
            explore: Explore,
            mut body: impl FnMut() -> R,
        ) {
            let check = LeakCheck {
                runtime: None,
                settings: explore.0,
            };
            run("explored_test_should_panic", case, check, pin!(body()));
        }

        #[track_caller]
        fn run<F: Future + ?Sized>(
            function: &'static str,
            TestCase { name }: TestCase,
            check: LeakCheck,
            body: Pin<&mut F>,
        ) -> F::Output {
            LAST.set(Call {
                function,
                name,
                line: Location::caller().line(),
                column: Location::caller().column(),
                settings: check.settings,
            });
            let mut runtime = check.runtime.unwrap_or_else(Builder::new_current_thread);
            runtime.build().expect("there is a runtime").block_on(body)
        }
    }
}

/// The last call on this thread.
#[derive(Default)]
struct Call {
    function: &'static str,
    name: &'static str,
    line: u32,
    column: u32,
    settings: String,
}

thread_local! {
    static LAST: RefCell<Call> = RefCell::default();
}

/// The settings that came with the test which runs.
fn settings() -> String {
    LAST.take().settings
}

#[leak_check(crate = "stand_in")]
async fn a_test_that_says_nothing_is_checked_as_usual() {
    let call = LAST.take();
    assert_eq!(call.function, "leak_test");
    assert_eq!(call.settings, "");
}

#[leak_check(
    crate = "crate::stand_in",
    grace = "1s 250ms",
    timeout = "1m",
    threads = "deny",
    allow = 2
)]
async fn own_options_come_through() {
    assert_eq!(
        settings(),
        "grace 1.25s, timeout 60s, allow 2, deny threads, "
    );
}

#[leak_check(crate = "stand_in", timeout = "none", panics = "allow")]
async fn what_is_not_checked_comes_through() {
    assert_eq!(settings(), "no timeout, allow panics, ");
}

#[leak_check(crate = "stand_in", panics = "deny")]
async fn what_is_the_default_may_be_said() {
    assert_eq!(settings(), "");
}

#[leak_check(allow("src/a.rs", "src/b.rs:12" = 2), crate = "self::stand_in", allow("src/c.rs" = 1))]
async fn places_come_through() {
    assert_eq!(
        settings(),
        "allow at src/a.rs, allow 2 at src/b.rs:12, allow 1 at src/c.rs, "
    );
}

#[leak_check(crate = "stand_in", flavor = "current_thread")]
async fn the_usual_runtime_need_not_be_built() {
    assert_eq!(settings(), "");
}

#[leak_check(crate = "stand_in", flavor = "local")]
async fn a_local_runtime_is_of_one_thread() {
    assert_eq!(settings(), "local, ");
}

#[leak_check(crate = "stand_in", flavor = "local", start_paused = false)]
async fn a_local_runtime_takes_options() {
    assert_eq!(settings(), "runtime, local, ");
}

#[leak_check(crate = "stand_in", name = "named", start_paused = true)]
async fn runtime_options_come_through() {
    assert_eq!(settings(), "runtime, ");
    assert_eq!(Handle::current().name(), Some("named"));
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
}

#[leak_check(crate = "stand_in", allow = 1, explore = 9)]
async fn an_explored_test_is_run_again_and_again() -> Result<(), String> {
    let call = LAST.take();
    assert_eq!(call.function, "explored_test");
    assert_eq!(call.settings, "allow 1, 9 runs, ");
    Ok(())
}

#[leak_check(crate = "stand_in", explore = 9)]
#[should_panic(expected = "explored_test_should_panic")]
async fn an_explored_test_may_be_expected_to_panic() {
    panic!("{}", LAST.take().function);
}

macro_rules! numbered {
    ($name:ident, $tasks:literal, $grace:expr) => {
        #[leak_check(crate = "stand_in", allow = $tasks, grace = $grace)]
        async fn $name() {
            assert_eq!(settings(), "grace 3s, allow 2, ");
        }
    };
}

numbered!(options_may_come_from_a_macro, 2, "3s");

mod nested {
    use super::*;

    #[leak_check(crate = "crate::stand_in")]
    async fn the_name_is_that_of_the_test_runner() {
        let name = concat!(module_path!(), "::the_name_is_that_of_the_test_runner");
        assert_eq!(LAST.take().name, name);
    }
}

#[leak_check(crate = "stand_in")]
// The line below.
async fn the_place_is_the_name_of_the_test() {
    let line = line!() - 1;
    let call = LAST.take();
    assert_eq!((call.line, call.column), (line, 10));
}

#[leak_check(crate = "stand_in", flavor = "multi_thread", allow = 1)]
async fn options_do_not_move_the_place() {
    let line = line!() - 1;
    let call = LAST.take();
    assert_eq!((call.line, call.column), (line, 10));
}

#[leak_check(crate = "stand_in")]
#[should_panic(expected = "leak_test_should_panic")]
async fn a_panic_that_should_be_is_told() {
    panic!("{}", LAST.take().function);
}

#[should_panic(expected = "leak_test_should_panic")]
#[leak_check(crate = "stand_in")]
async fn a_panic_that_should_be_is_told_from_above() {
    panic!("{}", LAST.take().function);
}

#[leak_check(crate = "stand_in")]
#[cfg_attr(all(), should_panic(expected = "leak_test_should_panic"))]
async fn a_panic_that_should_be_by_configuration_is_told() {
    panic!("{}", LAST.take().function);
}

#[cfg(tokio_unstable)]
#[leak_check(crate = "stand_in", unhandled_panic = "shutdown_runtime")]
#[should_panic(expected = "unhandled")]
async fn a_panic_that_nobody_handles_stops_the_runtime() {
    drop(tokio::spawn(async { panic!("nobody handles this") }));
    std::future::pending().await
}

#[leak_check(crate = "stand_in", allow = 2)]
#[rstest::rstest]
#[case(1)]
async fn the_crate_is_handed_on_to_a_parametrised_test(#[case] number: usize) {
    assert_eq!(number, 1);
    assert_eq!(settings(), "allow 2, ");
}
