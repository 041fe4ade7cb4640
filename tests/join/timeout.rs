//! `SettleAll::timeout`, on tokio's paused clock, so no test waits in real time.

use std::future::pending;
use std::time::Duration;

use straggler::{Pending, settle_all};
use tokio::time::{Instant, error::Elapsed, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn futures_in_time_settle() {
    let sleeps = [3, 1, 2].map(|seconds| async move {
        sleep(seconds * SECOND).await;
        seconds
    });
    let settled = settle_all(sleeps).timeout(4 * SECOND).await.unwrap();
    assert_eq!(settled.completion_order(), [1, 2, 0]);
    assert_eq!(settled.into_vec(), [3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_when_time_is_over() {
    let start = Instant::now();
    let sleeps = [1, 9].map(|seconds| sleep(seconds * SECOND));
    let unsettled = settle_all(sleeps).timeout(2 * SECOND).await.unwrap_err();
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(unsettled.settled(), [(0, ())]);
    assert_eq!(unsettled.pending()[0].index(), 1);
}

#[tokio::test(start_paused = true)]
async fn time_counts_from_call() {
    let start = Instant::now();
    let settling = settle_all([pending::<()>()]).timeout(2 * SECOND);
    sleep(SECOND).await;
    assert!(settling.await.is_err());
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn future_ending_at_timeout_is_in_time() {
    let at = Instant::now() + SECOND;
    let settled = settle_all([tokio::time::sleep_until(at)])
        .timeout(SECOND)
        .await;
    assert_eq!(settled.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn zero_timeout_lets_ready_futures_settle() {
    let settled = settle_all([async { 1 }]).timeout(Duration::ZERO).await;
    assert_eq!(settled.unwrap().into_vec(), [1]);
    assert!(
        settle_all([pending::<()>()])
            .timeout(Duration::ZERO)
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn stuck_future_reported_as_unwakeable() {
    let unsettled = settle_all([pending::<()>()])
        .timeout(3600 * SECOND)
        .await
        .unwrap_err();
    assert!(!unsettled.pending().iter().any(Pending::can_be_woken));
}

#[tokio::test(start_paused = true)]
async fn longest_duration_is_allowed() {
    let settled = settle_all([sleep(SECOND)]).timeout(Duration::MAX).await;
    assert_eq!(settled.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn per_future_timeout_ends_only_that_one() {
    let calls = [1, 9].map(|seconds| timeout(2 * SECOND, sleep(seconds * SECOND)));
    let settled = settle_all(calls).await;
    assert_eq!(settled[0], Ok(()));
    assert!(matches!(settled[1], Err(Elapsed { .. })));
}

#[tokio::test(start_paused = true)]
async fn timeout_can_be_spawned() {
    let settling = settle_all([sleep(9 * SECOND)]).timeout(SECOND);
    assert!(tokio::spawn(settling).await.unwrap().is_err());
}

#[test]
#[should_panic(expected = "there is no reactor running")]
fn panics_at_call_without_runtime() {
    drop(settle_all([pending::<()>()]).timeout(SECOND));
}
