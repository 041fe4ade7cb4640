//! Bugs beside timers.

use std::sync::Arc;
use std::time::Duration;

use straggler::settle;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{pause, sleep, timeout};

use super::Bug;

pub(crate) const BUGS: &[Bug] = &[
    bug!(
        "lost update on a clock that the body pauses",
        on_paused_clock
    ),
    bug!("answer that is due with its timeout", due_with_timeout),
    bug!("clean-up that never begins", clean_up),
];

async fn on_paused_clock(repaired: bool) {
    pause();
    let count = Mutex::new(0);
    let add = async || {
        sleep(Duration::from_secs(1)).await;
        let mut before = *count.lock().await;
        let mut count = count.lock().await;
        if repaired {
            before = *count;
        }
        *count = before + 1;
    };
    settle!(add(), add());
    assert_eq!(count.into_inner(), 2);
}

/// A server takes as long as its client waits.
async fn due_with_timeout(repaired: bool) {
    let (answer, answered) = oneshot::channel();
    let server = async {
        sleep(Duration::from_secs(5)).await;
        _ = answer.send(42);
    };
    let limit = Duration::from_secs(if repaired { 10 } else { 5 });
    let client = async {
        let answered = timeout(limit, answered).await;
        assert!(answered.is_ok(), "the answer was late");
    };
    settle!(server, client);
}

/// A task misses the signal to stop, and outlives the body. Its clean-up takes a moment.
async fn clean_up(repaired: bool) {
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    straggler::spawn(async move {
        stopped.notified().await;
        sleep(Duration::from_millis(100)).await;
    });
    yield_now().await;
    if repaired {
        stop.notify_one();
    } else {
        stop.notify_waiters();
    }
}
