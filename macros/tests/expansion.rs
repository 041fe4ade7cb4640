//! What the expansion calls, recorded by a stand-in for `straggler`.
//!
//! The option `crate` gives the path of the stand-in, relative to each test.

use std::cell::RefCell;

use tokio::runtime::Handle;

mod stand_in {
    use std::time::Duration;

    #[cfg(tokio_unstable)]
    pub(crate) use ::tokio;
    pub(crate) use straggler_macros::leak_check as test;

    /// Records the settings of a check.
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
            self.record("runtime")
        }

        pub(crate) fn local(self) -> Self {
            self.record("local")
        }

        pub(crate) fn grace(self, grace: Duration) -> Self {
            self.record(&format!("grace {grace:?}"))
        }

        pub(crate) fn timeout(self, timeout: Duration) -> Self {
            self.record(&format!("timeout {timeout:?}"))
        }

        pub(crate) fn no_timeout(self) -> Self {
            self.record("no timeout")
        }

        pub(crate) fn allow_panics(self) -> Self {
            self.record("allow panics")
        }

        pub(crate) fn allow(self, tasks: usize) -> Self {
            self.record(&format!("allow {tasks}"))
        }

        pub(crate) fn allow_at(self, place: &str) -> Self {
            self.record(&format!("allow at {place}"))
        }

        pub(crate) fn allow_at_most(self, place: &str, tasks: usize) -> Self {
            self.record(&format!("allow {tasks} at {place}"))
        }

        pub(crate) fn deny_threads(self) -> Self {
            self.record("deny threads")
        }

        fn record(mut self, setting: &str) -> Self {
            self.settings.push_str(setting);
            self.settings.push_str(", ");
            self
        }
    }

    /// Records the settings of an exploration.
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
        use std::pin::Pin;

        pub(crate) use tokio::runtime::Builder;

        use super::{Explore, LeakCheck};
        use crate::{Call, LAST};

        pub(crate) struct TestCase {
            pub(crate) name: &'static str,
        }

        pub(crate) fn returned<T>() -> T {
            unreachable!()
        }

        type BoxedBody<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

        #[track_caller]
        pub(crate) fn leak_test<T>(case: TestCase, check: LeakCheck, body: BoxedBody<'_, T>) -> T {
            run("leak_test", case, check, body)
        }

        #[track_caller]
        pub(crate) fn leak_test_should_panic(
            case: TestCase,
            check: LeakCheck,
            body: BoxedBody<'_, ()>,
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
                run("explored_test", TestCase { name }, check, Box::pin(body()));
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
            run("explored_test_should_panic", case, check, Box::pin(body()));
        }

        #[track_caller]
        fn run<T>(
            function: &'static str,
            TestCase { name }: TestCase,
            check: LeakCheck,
            body: BoxedBody<'_, T>,
        ) -> T {
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

/// Returns the settings of the running test.
fn settings() -> String {
    LAST.take().settings
}

#[straggler::test(crate = "stand_in")]
async fn no_option_sets_nothing() {
    let call = LAST.take();
    assert_eq!(call.function, "leak_test");
    assert_eq!(call.settings, "");
}

#[straggler::test(
    crate = "crate::stand_in",
    grace = "1s 250ms",
    timeout = "1m",
    threads = "deny",
    allow = 2
)]
async fn straggler_options_are_passed_on() {
    assert_eq!(
        settings(),
        "grace 1.25s, timeout 60s, allow 2, deny threads, "
    );
}

#[straggler::test(crate = "stand_in", timeout = "none", panics = "allow")]
async fn disabled_checks_are_passed_on() {
    assert_eq!(settings(), "no timeout, allow panics, ");
}

#[straggler::test(crate = "stand_in", panics = "deny")]
async fn default_may_be_explicit() {
    assert_eq!(settings(), "");
}

#[straggler::test(allow("src/a.rs", "src/b.rs:12" = 2), crate = "self::stand_in", allow("src/c.rs" = 1))]
async fn allowed_places_are_passed_on() {
    assert_eq!(
        settings(),
        "allow at src/a.rs, allow 2 at src/b.rs:12, allow 1 at src/c.rs, "
    );
}

#[straggler::test(crate = "stand_in", flavor = "current_thread")]
async fn default_flavor_builds_no_runtime() {
    assert_eq!(settings(), "");
}

#[straggler::test(crate = "stand_in", flavor = "local")]
async fn local_flavor_builds_no_runtime() {
    assert_eq!(settings(), "local, ");
}

#[straggler::test(crate = "stand_in", flavor = "local", start_paused = false)]
async fn local_flavor_takes_runtime_options() {
    assert_eq!(settings(), "runtime, local, ");
}

#[straggler::test(crate = "stand_in", name = "named", start_paused = true)]
async fn runtime_options_are_passed_on() {
    assert_eq!(settings(), "runtime, ");
    assert_eq!(Handle::current().name(), Some("named"));
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
}

#[straggler::test(crate = "stand_in", allow = 1, explore = 9)]
async fn explore_passes_on_runs() -> Result<(), String> {
    let call = LAST.take();
    assert_eq!(call.function, "explored_test");
    assert_eq!(call.settings, "allow 1, 9 runs, ");
    Ok(())
}

#[straggler::test(crate = "stand_in", explore = 9)]
#[should_panic(expected = "explored_test_should_panic")]
async fn explore_passes_on_should_panic() {
    panic!("{}", LAST.take().function);
}

macro_rules! numbered {
    ($name:ident, $tasks:literal, $grace:expr) => {
        #[straggler::test(crate = "stand_in", allow = $tasks, grace = $grace)]
        async fn $name() {
            assert_eq!(settings(), "grace 3s, allow 2, ");
        }
    };
}

numbered!(options_from_macro_rules, 2, "3s");

mod nested {
    use super::*;

    #[straggler::test(crate = "crate::stand_in")]
    async fn test_case_has_name_of_harness() {
        let name = concat!(module_path!(), "::test_case_has_name_of_harness");
        assert_eq!(LAST.take().name, name);
    }
}

#[straggler::test(crate = "stand_in")]
// The caller is the line below, not the attribute.
async fn caller_is_name_of_test() {
    let line = line!() - 1;
    let call = LAST.take();
    assert_eq!((call.line, call.column), (line, 10));
}

#[straggler::test(crate = "stand_in", flavor = "multi_thread", allow = 1)]
async fn caller_is_name_of_test_with_options() {
    let line = line!() - 1;
    let call = LAST.take();
    assert_eq!((call.line, call.column), (line, 10));
}

#[straggler::test(crate = "stand_in")]
#[should_panic(expected = "leak_test_should_panic")]
async fn should_panic_below_is_passed_on() {
    panic!("{}", LAST.take().function);
}

#[should_panic(expected = "leak_test_should_panic")]
#[straggler::test(crate = "stand_in")]
async fn should_panic_above_is_passed_on() {
    panic!("{}", LAST.take().function);
}

#[straggler::test(crate = "stand_in")]
#[cfg_attr(all(), should_panic(expected = "leak_test_should_panic"))]
async fn should_panic_by_cfg_attr_is_passed_on() {
    panic!("{}", LAST.take().function);
}

#[cfg(tokio_unstable)]
#[straggler::test(crate = "stand_in", unhandled_panic = "shutdown_runtime")]
#[should_panic(expected = "unhandled")]
async fn unhandled_panic_shuts_down_runtime() {
    drop(tokio::spawn(async { panic!("not awaited") }));
    std::future::pending().await
}

#[straggler::test(crate = "stand_in", allow = 2)]
#[rstest::rstest]
#[case(1)]
async fn rstest_passes_on_crate(#[case] number: usize) {
    assert_eq!(number, 1);
    assert_eq!(settings(), "allow 2, ");
}
