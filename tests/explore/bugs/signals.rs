//! Wake-ups and values that come when nobody waits for them.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use straggler::settle;
use tokio::sync::futures::Notified;
use tokio::sync::{Barrier, Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, watch};
use tokio::task::yield_now;

use super::{Bug, Needs};

pub(crate) const BUGS: &[Bug] = &[
    bug!("missed `Notify`", missed_notify),
    bug!("two notifications merged", merged_notifications),
    bug!("lost update around `Notify`", lost_update_around_notify).needs(Needs::PointsBefore),
    bug!(
        "lost update around a future that wraps `Notify`",
        lost_update_around_gate
    )
    .needs(Needs::PointsBefore),
    bug!("missed change of a `watch`", missed_change),
    bug!("value overwritten in a `watch`", overwritten),
    bug!("receiver that lags", lagging),
    bug!("event between snapshot and subscription", missed_event),
    bug!("counter reset after a barrier", reset_after_barrier).needs(Needs::PointsBefore),
    bug!("wait group that is empty early", empty_early),
];

/// The waiter checks, then logs, and registers with the `Notify` too late.
async fn missed_notify(repaired: bool) {
    let (is_ready, notify) = (Mutex::new(false), Notify::new());
    let (log, _logged) = mpsc::channel(1);
    let wait = async {
        let mut notified = repaired.then(|| Box::pin(notify.notified()));
        let is_ready = *is_ready.lock().await;
        if is_ready {
            return;
        }
        log.send("waiting").await.unwrap();
        match notified.take() {
            Some(notified) => notified.await,
            None => notify.notified().await,
        }
    };
    let set = async {
        *is_ready.lock().await = true;
        notify.notify_waiters();
    };
    settle!(wait, set);
}

/// Two children read, wait for what has happened already, and write.
async fn lost_update_around_notify(repaired: bool) {
    let count = Cell::new(0);
    let add = async || {
        let notify = Notify::new();
        notify.notify_one();
        let mut before = count.get();
        notify.notified().await;
        if repaired {
            before = count.get();
        }
        count.set(before + 1);
    };
    settle!(add(), add());
    assert_eq!(count.get(), 2);
}

async fn missed_change(repaired: bool) {
    let (values, _) = watch::channel(0);
    let wait = async {
        let mut changed = values.subscribe();
        if repaired {
            changed.wait_for(|value| *value > 0).await.unwrap();
        } else {
            changed.changed().await.unwrap();
        }
    };
    let change = async {
        yield_now().await;
        values.send_replace(1);
    };
    let _begun = settle!(wait, change);
}

async fn lagging(repaired: bool) {
    let (send, mut receive) = broadcast::channel(if repaired { 4 } else { 2 });
    let sender = async {
        for number in 0..4 {
            send.send(number).unwrap();
            yield_now().await;
        }
    };
    let receiver = async {
        for number in 0..4 {
            assert_eq!(receive.recv().await, Ok(number));
        }
    };
    settle!(sender, receiver);
}

/// Two notifications before anyone waits wake one waiter.
async fn merged_notifications(repaired: bool) {
    let (notify, permits) = (Notify::new(), Semaphore::new(0));
    let worker = async || {
        if repaired {
            permits.acquire().await.unwrap().forget();
        } else {
            notify.notified().await;
        }
    };
    let producer = async {
        for _ in 0..2 {
            notify.notify_one();
            permits.add_permits(1);
        }
    };
    settle!(worker(), worker(), producer);
}

/// A future of one's own around that of a `Notify`.
struct Opened<'a>(Pin<Box<Notified<'a>>>);

impl Future for Opened<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

/// The same as around a `Notify`.
async fn lost_update_around_gate(repaired: bool) {
    let count = Cell::new(0);
    let add = async || {
        let notify = Notify::new();
        notify.notify_one();
        let mut before = count.get();
        Opened(Box::pin(notify.notified())).await;
        if repaired {
            before = count.get();
        }
        count.set(before + 1);
    };
    settle!(add(), add());
    assert_eq!(count.get(), 2);
}

/// A `watch` keeps its last value alone.
async fn overwritten(repaired: bool) {
    let (values, mut watched) = watch::channel(0);
    let (send, mut queued) = mpsc::channel(2);
    let sender = async {
        for value in [1, 2] {
            values.send_replace(value);
            send.send(value).await.unwrap();
            yield_now().await;
        }
    };
    let receiver = async {
        for value in [1, 2] {
            let received = if repaired {
                queued.recv().await.unwrap()
            } else {
                watched.changed().await.unwrap();
                *watched.borrow_and_update()
            };
            assert_eq!(received, value);
        }
    };
    settle!(receiver, sender);
}

/// A view takes its snapshot, and subscribes to what follows a moment later.
async fn missed_event(repaired: bool) {
    let (version, events) = (RwLock::new(0), broadcast::Sender::new(1));
    let (log, _read_later) = mpsc::channel(1);
    let view = async {
        let early = repaired.then(|| events.subscribe());
        let snapshot = *version.read().await;
        log.send("snapshot").await.unwrap();
        (snapshot, early.unwrap_or_else(|| events.subscribe()))
    };
    let update = async {
        *version.write().await = 1;
        _ = events.send(1);
    };
    let ((snapshot, mut later), ()) = settle!(view, update);
    assert!(snapshot == 1 || later.try_recv() == Ok(1));
}

/// The leader of a round resets the counter when the other may be in the next round.
async fn reset_after_barrier(repaired: bool) {
    let (barrier, count) = (Barrier::new(2), Mutex::new(0));
    let worker = async || {
        for _ in 0..2 {
            *count.lock().await += 1;
            if barrier.wait().await.is_leader() {
                let mut count = count.lock().await;
                assert_eq!(*count, 2);
                *count = 0;
            }
            if repaired {
                barrier.wait().await;
            }
        }
    };
    settle!(worker(), worker());
}

/// Each worker adds itself to the group, which is empty before the last one begins.
async fn empty_early(repaired: bool) {
    let (lock, is_empty) = (Mutex::new(()), Notify::new());
    let (working, done) = (Cell::new(if repaired { 2 } else { 0 }), Cell::new(0));
    let work = async || {
        working.set(working.get() + i32::from(!repaired));
        drop(lock.lock().await);
        done.set(done.get() + 1);
        working.set(working.get() - 1);
        if working.get() == 0 {
            is_empty.notify_one();
        }
    };
    let wait = async {
        is_empty.notified().await;
        assert_eq!(done.get(), 2);
    };
    settle!(work(), work(), wait);
}
