//! What builds with scheduling points do differently; `.ci/instrumented` runs these tests.

use futures::FutureExt as _;
use tokio::task::LocalSet;
use tokio_test::{assert_pending, assert_ready};

use super::*;

#[test]
fn hand_polls_never_yield() {
    let explored = Explore::new().runs(200).find(|| async {
        let lock = RwLock::new(1);
        let by_hand = async || {
            *lock.write().await += 1;
            let value = lock.read().now_or_never().map(|value| *value);
            assert!(value.is_some());
            drop(assert_ready!(tokio_test::task::spawn(lock.read()).poll()));
            let _held = lock.write().await;
            assert_pending!(tokio_test::task::spawn(lock.read()).poll());
        };
        settle!(by_hand());
        straggler::spawn(async { by_hand_in_task().await })
            .await
            .unwrap();
        LocalSet::new().run_until(by_hand()).await;
    });
    assert!(explored.is_ok(), "{explored:?}");
}

async fn by_hand_in_task() {
    let (_sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
    yield_now().await;
    assert_pending!(tokio_test::task::spawn(receiver.recv()).poll());
    assert!(Mutex::new(()).lock().now_or_never().is_some());
}

#[test]
fn operation_before_which_run_yields_is_named() {
    let torn_read = bugs::BUGS_BEFORE_OPERATIONS[0].body;
    let failure = Explore::new().find(|| torn_read(false)).unwrap_err();
    let steps: Vec<_> = failure.schedule().steps().iter().collect();
    assert_eq!(steps[0].actor(), "child #0 `transfer`", "{failure}");
    let action = steps[0].action();
    assert!(
        action.starts_with("yields at tests/explore/bugs.rs:"),
        "{failure}"
    );
    assert!(
        action.ends_with("tokio::sync::rwlock::RwLock::write"),
        "{failure}"
    );
    let again = Explore::new().replay(failure.seed().clone());
    let again = again.find(|| torn_read(false)).unwrap_err();
    assert_eq!(again.schedule(), failure.schedule());
}
