//! A message that a cancelled operation had taken from its channel: it may be lost.
//!
//! Only an instrumented tokio tells of a receive.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use straggler::{cancellable, spawn_abortable};
use tokio::sync::{broadcast, mpsc};

use super::*;

const RECEIVED: &str =
    "Suspected: a message was lost. The operation received it at tests/explore/cancel_messages.rs:";

/// The text of the failure of a body whose operations are cancelled.
fn cancel<R: Future<Output = ()>>(body: impl FnMut() -> R) -> String {
    Explore::new().cancel().find(body).unwrap_err().to_string()
}

#[track_caller]
fn assert_suspects(text: &str) {
    let count = usize::from(cfg!(straggler_instrumented));
    assert_eq!(text.matches(RECEIVED).count(), count, "{text}");
    let condition = "If it had handled the message by then, the cause is another one";
    assert_eq!(text.matches(condition).count(), count, "{text}");
}

#[track_caller]
fn assert_suspects_nothing(text: &str) {
    assert!(
        !text.contains("a message was lost. The operation"),
        "{text}"
    );
}

/// An operation that takes a message, awaits something, and handles the message.
async fn forward<T>(receive: impl Future<Output = T>, log: &RefCell<Vec<T>>) {
    let message = receive.await;
    yield_now().await;
    log.borrow_mut().push(message);
}

async fn message_lost<T>(receive: impl Future<Output = T>, left: impl Fn() -> usize) {
    let log = RefCell::default();
    let done = cancellable(forward(receive, &log)).await;
    if done.is_none() {
        assert_eq!(left(), 1, "a message was lost");
    }
}

#[test]
fn message_of_each_channel_suspected() {
    let texts = [
        cancel(|| async {
            let (send, mut receive) = mpsc::channel(1);
            send.send(7).await.unwrap();
            message_lost(async { receive.recv().await.unwrap() }, || {
                1 - send.capacity()
            })
            .await;
        }),
        cancel(|| async {
            let (send, mut receive) = mpsc::channel(2);
            send.send(7).await.unwrap();
            let mut buffer = Vec::new();
            let left = || usize::from(send.capacity() == 1);
            message_lost(async { receive.recv_many(&mut buffer, 2).await }, left).await;
        }),
        cancel(|| async {
            let (send, mut receive) = mpsc::unbounded_channel();
            send.send(7).unwrap();
            let is_taken = Cell::new(false);
            let receive = async {
                let message = receive.recv().await.unwrap();
                is_taken.set(true);
                message
            };
            message_lost(receive, || usize::from(!is_taken.get())).await;
        }),
        cancel(|| async {
            let (send, receive) = oneshot::channel();
            send.send(7).unwrap();
            let is_taken = Cell::new(false);
            let receive = async {
                let message = receive.await.unwrap();
                is_taken.set(true);
                message
            };
            message_lost(receive, || usize::from(!is_taken.get())).await;
        }),
        cancel(|| async {
            let (send, mut receive) = broadcast::channel(1);
            send.send(7).unwrap();
            message_lost(async { receive.recv().await.unwrap() }, || send.len()).await;
        }),
    ];
    for text in texts {
        assert!(text.contains("a message was lost"), "{text}");
        assert_suspects(&text);
    }
}

/// The message is a token that the next one waits for.
#[test]
fn message_suspected_in_hang() {
    let text = cancel(|| async {
        let (give_back, mut tokens) = mpsc::channel(1);
        give_back.send(()).await.unwrap();
        cancellable(async {
            tokens.recv().await.unwrap();
            yield_now().await;
            give_back.send(()).await.unwrap();
        })
        .await;
        tokens.recv().await.unwrap();
    });
    assert!(
        text.contains("After the cancellation the body hangs"),
        "{text}"
    );
    assert_suspects(&text);
}

#[test]
fn message_suspected_in_schedule() {
    let failure = Explore::new().cancel_in_schedules().find(|| async {
        let (send, mut receive) = mpsc::channel(1);
        let log = RefCell::default();
        // In the plain order the operation waits, and is cancelled at once.
        let forward = cancellable(forward(async { receive.recv().await.unwrap() }, &log));
        let (done, ()) = settle!(forward, async { send.send(7).await.unwrap() });
        if done.is_none() {
            assert_eq!(send.capacity(), 0, "a message was lost");
        }
    });
    assert_suspects(&failure.unwrap_err().to_string());
}

#[test]
fn message_of_aborted_task_suspected() {
    let text = cancel(|| async {
        let (send, receive) = oneshot::channel();
        send.send(7).unwrap();
        let is_taken = Arc::new(AtomicBool::new(false));
        let task = spawn_abortable({
            let is_taken = Arc::clone(&is_taken);
            async move {
                _ = receive.await;
                is_taken.store(true, Relaxed);
                yield_now().await;
            }
        });
        if task.await.is_err() {
            assert!(!is_taken.load(Relaxed), "a message was lost");
        }
    });
    assert_suspects(&text);
}

/// An operation that receives again has handled the message before.
#[test]
fn message_before_next_receive_not_suspected() {
    let text = cancel(|| async {
        let (send, mut receive) = mpsc::channel(2);
        send.send(1).await.unwrap();
        send.send(2).await.unwrap();
        let handled = Cell::new(0);
        let handle = async {
            while let Some(message) = receive.recv().await {
                handled.set(handled.get() + message);
            }
        };
        let stop = cancellable(async {
            tokio::select! {
                () = handle => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        });
        assert!(
            stop.await.is_some() || handled.get() != 1,
            "stopped after the first"
        );
    });
    assert!(text.contains("stopped after the first"), "{text}");
    assert_suspects_nothing(&text);
}

/// What the operation does with the message is unknown, so the text has a condition.
#[test]
fn handled_message_not_called_lost() {
    let text = cancel(|| async {
        let (send, mut receive) = mpsc::channel(1);
        send.send(7).await.unwrap();
        let steps = Cell::new(0);
        cancellable(async {
            steps.set(receive.recv().await.unwrap());
            yield_now().await;
            steps.set(8);
        })
        .await;
        assert_ne!(steps.get(), 7, "half done");
    });
    assert!(text.contains("half done"), "{text}");
    assert_suspects(&text);
}

#[test]
fn no_message_not_suspected() {
    // The channel is closed.
    let closed = cancel(|| async {
        let (send, mut receive) = mpsc::channel::<()>(1);
        drop(send);
        let is_closed = Cell::new(false);
        let done = cancellable(async {
            is_closed.set(receive.recv().await.is_none());
            yield_now().await;
        });
        assert!(done.await.is_some() || !is_closed.get(), "half done");
    });
    // Somebody else received it.
    let other = cancel(|| async {
        let (send, mut receive) = mpsc::channel(1);
        send.send(7).await.unwrap();
        let other = async {
            receive.recv().await.unwrap();
            yield_now().await;
        };
        let (done, ()) = settle!(cancellable(yield_now()), other);
        assert!(done.is_some(), "half done");
    });
    // The operation was done.
    let done = cancel(|| async {
        let (send, mut receive) = mpsc::channel(1);
        send.send(7).await.unwrap();
        let done = cancellable(async { receive.recv().await.unwrap() }).await;
        assert!(done.is_some() || send.capacity() == 0, "half done");
    });
    for text in [closed, other, done] {
        assert!(text.contains("half done"), "{text}");
        assert_suspects_nothing(&text);
    }
}

/// Of several operations, the text is about the one that was cancelled last.
#[test]
fn message_of_operation_cancelled_earlier_not_suspected() {
    // The operations begin in this order, or in the other.
    for receives_first in [true, false] {
        let body = || async {
            let (send, mut receive) = mpsc::channel(1);
            send.send(7).await.unwrap();
            let log = RefCell::new(Vec::new());
            let receives = async {
                cancellable(forward(receive.recv(), &log)).await;
                log.borrow_mut().push(None);
            };
            let waits = async {
                let done = cancellable(async {
                    yield_now().await;
                    yield_now().await;
                });
                if done.await.is_none() {
                    log.borrow_mut().push(Some(0));
                }
            };
            if receives_first {
                settle!(receives, waits);
            } else {
                settle!(waits, receives);
            }
            // The other operation is cancelled after the one that received.
            let is_received = send.capacity() == 1;
            let is_lost = is_received && *log.borrow() == [None, Some(0)];
            assert!(!is_lost, "a message was lost");
        };
        let failure = Explore::new().cancel_in_schedules().find(body);
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("a message was lost"), "{text}");
        assert_suspects_nothing(&text);
    }
}
