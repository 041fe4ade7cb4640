//! The stack that tests and tasks need, compared with plain tokio.
//!
//! Without optimization, each function that takes a large future by value has a copy of it on the
//! stack. A test that fits into the 2 MB of its thread under tokio must fit under straggler too: an
//! overflow aborts the whole test binary.

#![cfg(feature = "macros")]
#![expect(
    clippy::large_stack_arrays,
    reason = "the stack is what these tests are about"
)]

#[path = "common/child.rs"]
mod child;

use std::hint::black_box;
use std::iter;
use std::pin::Pin;
use std::time::Duration;

use straggler::leak::Verdict;
#[cfg(debug_assertions)]
use straggler::settle_all;
use straggler::tokio as shadow;
use straggler::{Explore, LeakCheck};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::task::{LocalSet, yield_now};

/// Large enough that small frames do not matter.
const LARGE: usize = 400_000;

/// Holds a large variable across an await.
async fn large() {
    let array = [1_u8; LARGE];
    yield_now().await;
    black_box(&array);
}

/// Returns a closure with a large capture.
fn large_closure() -> impl FnOnce() + Send {
    let array = [1_u8; LARGE];
    move || _ = black_box(&array)
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Returns a boxed future that awaits a boxed future, and so on. The last one awaits `inner`.
fn chain(inner: impl Future<Output = ()> + Send + 'static) -> Boxed {
    let mut chain: Boxed = Box::pin(inner);
    for _ in 0..10_000 {
        chain = Box::pin(async {
            chain.await;
        });
    }
    chain
}

/// Returns whether the test passes if its threads have a stack of that many kilobytes.
fn passes(test: &str, kilobytes: usize) -> bool {
    let bytes = (kilobytes * 1024).to_string();
    // With one test thread, libtest runs a test on the main thread.
    let variables = [("RUST_MIN_STACK", &*bytes), ("RUST_TEST_THREADS", "2")];
    child::run_with(test, &variables).passed
}

/// Returns the smallest stack that a test passes with, in kilobytes, to 2 percent.
fn need(test: &str) -> usize {
    let (mut fails, mut enough) = (16, 16 * 1024);
    assert!(passes(test, enough), "{test} fails for another reason");
    while enough - fails > enough / 50 {
        let middle = usize::midpoint(fails, enough);
        *if passes(test, middle) {
            &mut enough
        } else {
            &mut fails
        } = middle;
    }
    enough
}

/// Requires that the test `checked` needs no more than the ninth part more than the test `plain`.
#[track_caller]
fn assert_fits(plain: &str, checked: &str) {
    let limit = need(plain) * 10 / 9;
    assert!(
        passes(checked, limit),
        "{plain} passes with {} kB, {checked} needs {} kB",
        limit * 9 / 10,
        need(checked)
    );
}

/// Defines a comparison: its name, the arguments of both attributes, and the two bodies.
macro_rules! compare {
    ($name:ident, [$($argument:tt)*], $plain:block, $checked:block) => {
        mod $name {
            use super::*;

            #[tokio::test($($argument)*)]
            #[ignore = "may overflow the stack"]
            async fn plain() $plain

            #[straggler::test($($argument)*)]
            #[ignore = "may overflow the stack"]
            async fn checked() $checked

            #[test]
            fn fits() {
                let test = |name| format!("{}::{name}", stringify!($name));
                assert_fits(&test("plain"), &test("checked"));
            }
        }
    };
    ($name:ident, [$($argument:tt)*], $body:block) => {
        compare!($name, [$($argument)*], $body, $body);
    };
}

compare!(body, [], {
    let array = [1_u8; LARGE];
    yield_now().await;
    black_box(&array);
});
compare!(body_of_multi_thread, [flavor = "multi_thread"], {
    let array = [1_u8; LARGE];
    yield_now().await;
    black_box(&array);
});
compare!(body_of_local, [flavor = "local"], {
    let array = [1_u8; LARGE];
    yield_now().await;
    black_box(&array);
});
compare!(chain_in_body, [], { chain(yield_now()).await });
compare!(
    chain_in_task,
    [],
    { tokio::spawn(chain(yield_now())).await.unwrap() },
    { straggler::spawn(chain(yield_now())).await.unwrap() }
);
compare!(spawn, [], { tokio::spawn(large()).await.unwrap() }, {
    straggler::spawn(large()).await.unwrap()
});
compare!(
    spawn_in_multi_thread,
    [flavor = "multi_thread"],
    { tokio::spawn(large()).await.unwrap() },
    { straggler::spawn(large()).await.unwrap() }
);
compare!(spawn_named, [], { tokio::spawn(large()).await.unwrap() }, {
    straggler::spawn_named("large", large()).await.unwrap()
});
compare!(background, [], { tokio::spawn(large()).await.unwrap() }, {
    straggler::background(large()).await.unwrap()
});
compare!(
    spawn_local,
    [flavor = "local"],
    { tokio::task::spawn_local(large()).await.unwrap() },
    { straggler::spawn_local(large()).await.unwrap() }
);
compare!(
    spawn_blocking,
    [],
    { tokio::task::spawn_blocking(large_closure()).await.unwrap() },
    { straggler::spawn_blocking(large_closure()).await.unwrap() }
);
compare!(
    join_set,
    [],
    { _ = tokio::task::JoinSet::new().spawn(large()) },
    { _ = shadow::task::JoinSet::new().spawn(large()) }
);
compare!(
    join_set_on_runtime,
    [],
    { _ = tokio::task::JoinSet::new().spawn_on(large(), &Handle::current()) },
    { _ = shadow::task::JoinSet::new().spawn_on(large(), &Handle::current()) }
);
compare!(
    join_set_local,
    [flavor = "local"],
    { _ = tokio::task::JoinSet::new().spawn_local(large()) },
    { _ = shadow::task::JoinSet::new().spawn_local(large()) }
);
compare!(
    join_set_on_local_set,
    [],
    { _ = tokio::task::JoinSet::new().spawn_local_on(large(), &LocalSet::new()) },
    { _ = shadow::task::JoinSet::new().spawn_local_on(large(), &LocalSet::new()) }
);
compare!(
    join_set_blocking,
    [],
    { _ = tokio::task::JoinSet::new().spawn_blocking(large_closure()) },
    { _ = shadow::task::JoinSet::new().spawn_blocking(large_closure()) }
);
compare!(
    join_set_of_iterator,
    [],
    { _ = iter::once_with(large).collect::<tokio::task::JoinSet<_>>() },
    { _ = iter::once_with(large).collect::<shadow::task::JoinSet<_>>() }
);
// With optimization, the plain join has no copy at all; ours has two.
#[cfg(debug_assertions)]
compare!(
    spawned,
    [],
    {
        let mut set: tokio::task::JoinSet<_> = iter::once_with(large).collect();
        set.join_next().await.unwrap().unwrap();
    },
    { _ = settle_all(iter::once_with(large)).spawned().await }
);
// With optimization, the plain join has no copy at all; ours has two.
#[cfg(debug_assertions)]
compare!(
    settled,
    [],
    { _ = futures::future::join_all(iter::once_with(large)).await },
    { _ = settle_all(iter::once_with(large)).await }
);
mod check_as_value {
    use super::*;

    #[test]
    #[ignore = "may overflow the stack"]
    fn plain() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(large());
    }

    #[test]
    #[ignore = "may overflow the stack"]
    fn checked() {
        LeakCheck::new().run(large()).unwrap();
    }

    #[test]
    #[ignore = "may overflow the stack"]
    fn explored() {
        Explore::new().runs(3).run(large);
    }

    #[test]
    fn fits() {
        assert_fits("check_as_value::plain", "check_as_value::checked");
    }

    #[test]
    fn fits_explored() {
        assert_fits("check_as_value::plain", "check_as_value::explored");
    }
}

mod explored_body {
    use super::*;

    #[straggler::test(explore = 3)]
    #[ignore = "may overflow the stack"]
    async fn checked() {
        let array = [1_u8; LARGE];
        yield_now().await;
        black_box(&array);
    }

    #[test]
    fn fits() {
        assert_fits("body::plain", "explored_body::checked");
    }
}

/// A probe polls the whole chain with a tracing waker.
mod probed_chain {
    use super::*;

    async fn never() {
        Notify::new().notified().await;
    }

    #[test]
    #[ignore = "may overflow the stack"]
    fn hangs() {
        let check = LeakCheck::new().timeout(Duration::from_millis(20));
        let report = check.run(chain(never())).unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }));
    }

    #[test]
    #[ignore = "may overflow the stack"]
    fn leaks() {
        let check = LeakCheck::new().grace(Duration::ZERO);
        let report = check.run(async { drop(straggler::spawn(chain(never()))) });
        assert_eq!(report.unwrap_err().count(), 1);
    }

    #[test]
    fn fits() {
        assert_fits("chain_in_body::plain", "probed_chain::hangs");
        assert_fits("chain_in_task::plain", "probed_chain::leaks");
    }
}
