//! Work that ends half-way.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;

use straggler::settle;
use tokio::sync::{Mutex, Notify, Semaphore, mpsc, oneshot};
use tokio::task::yield_now;

use super::{Bug, Needs};

pub(crate) const BUGS: &[Bug] = &[
    bug!("message lost in `select!`", lost_in_select),
    bug!("semaphore leak", semaphore_leak),
    bug!("first operation of a branch cancelled", half_done_branch).needs(Needs::PointsBefore),
    bug!("permit lost by an early return", early_return),
    bug!("task aborted half-way", aborted_half_way),
    bug!("answer to a client that has gone", receiver_dropped),
];

/// `select!` drops the branch that has received a message while it waits for a lock.
async fn lost_in_select(repaired: bool) {
    let (send, mut receive) = mpsc::channel(4);
    let stop = Notify::new();
    let stored = Mutex::new(Vec::new());
    let store = async |message: u32| stored.lock().await.push(message);
    let receiver = async {
        let mut stopped = pin!(stop.notified());
        loop {
            if repaired {
                tokio::select! {
                    biased;
                    Some(message) = receive.recv() => store(message).await,
                    () = &mut stopped => break,
                }
            } else {
                tokio::select! {
                    biased;
                    () = async {
                        if let Some(message) = receive.recv().await {
                            store(message).await;
                        }
                    } => {}
                    () = &mut stopped => break,
                }
            }
        }
        receive.close();
        while let Some(message) = receive.recv().await {
            store(message).await;
        }
    };
    let sender = async {
        for message in [1, 2] {
            send.send(message).await.unwrap();
        }
        stop.notify_one();
    };
    settle!(receiver, sender);
    assert_eq!(stored.into_inner(), [1, 2]);
}

/// A forgotten permit is returned by hand, but the future that returns it is cancelled.
async fn semaphore_leak(repaired: bool) {
    let (pool, work) = (Semaphore::new(1), Mutex::new(()));
    let cancel = Notify::new();
    let worker = async {
        tokio::select! {
            biased;
            () = async {
                let permit = pool.acquire().await.unwrap();
                if repaired {
                    drop(work.lock().await);
                    drop(permit);
                } else {
                    permit.forget();
                    drop(work.lock().await);
                    pool.add_permits(1);
                }
            } => {}
            () = cancel.notified() => {}
        }
    };
    let stopper = async { cancel.notify_one() };
    settle!(worker, stopper);
    assert_eq!(pool.available_permits(), 1);
}

/// `select!` drops a branch that has taken something and has not put it back, in its first operation.
async fn half_done_branch(repaired: bool) {
    let (taken, lock, stop) = (Cell::new(false), Mutex::new(()), Notify::new());
    let worker = async {
        tokio::select! {
            biased;
            () = async {
                if !repaired {
                    taken.set(true);
                }
                let _held = lock.lock().await;
                taken.set(false);
            } => {}
            () = stop.notified() => {}
        }
    };
    let stopping = async { stop.notify_one() };
    settle!(worker, stopping);
    assert!(!taken.get());
}

/// A busy file makes the worker return before it gives its permit back.
async fn early_return(repaired: bool) {
    let (pool, file) = (Semaphore::new(2), Mutex::new(()));
    let (log, _read_later) = mpsc::channel(2);
    let work = async || {
        pool.acquire().await.unwrap().forget();
        let Ok(_file) = file.try_lock() else {
            pool.add_permits(usize::from(repaired));
            return;
        };
        log.send("has the file").await.unwrap();
        pool.add_permits(1);
    };
    settle!(work(), work());
    assert_eq!(pool.available_permits(), 2);
}

/// A task is aborted between the halves of a transfer.
async fn aborted_half_way(repaired: bool) {
    let accounts = Arc::new([Mutex::new(10), Mutex::new(10)]);
    let transferred = Arc::clone(&accounts);
    let task = straggler::spawn(async move {
        let [ada, bob] = &*transferred;
        if repaired {
            let (mut ada, mut bob) = (ada.lock().await, bob.lock().await);
            *ada -= 5;
            *bob += 5;
        } else {
            *ada.lock().await -= 5;
            *bob.lock().await += 5;
        }
    });
    yield_now().await;
    task.abort();
    _ = task.await;
    let [ada, bob] = &*accounts;
    assert_eq!(*ada.lock().await + *bob.lock().await, 20);
}

/// A server relies on its client to wait for the answer.
async fn receiver_dropped(repaired: bool) {
    let (ask, mut asked) = mpsc::channel::<oneshot::Sender<u32>>(1);
    let stop = Notify::new();
    let client = async {
        let (answer, answered) = oneshot::channel();
        ask.send(answer).await.unwrap();
        tokio::select! {
            biased;
            _ = answered => {}
            () = stop.notified() => {}
        }
    };
    let server = async {
        let sent = asked.recv().await.unwrap().send(42);
        assert!(repaired || sent.is_ok(), "the client has gone");
    };
    let stopper = async { stop.notify_one() };
    settle!(client, server, stopper);
}
