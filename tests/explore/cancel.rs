//! Operations that are cancelled at each place.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use straggler::cancellable;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::*;

/// The failure of a body whose operations are cancelled.
fn cancel<R: Future<Output = ()>>(body: impl FnMut() -> R) -> Failure {
    Explore::new().cancel().find(body).unwrap_err()
}

/// In how many runs a body passes whose operations are cancelled.
#[track_caller]
fn passes<R: Future<Output = ()>>(body: impl FnMut() -> R) -> usize {
    let explored = Explore::new().cancel().find(body);
    explored
        .unwrap_or_else(|failure| panic!("{failure}"))
        .runs()
}

#[test]
fn two_step_write_found_with_its_place() {
    let failure = cancel(|| async {
        let (ada, bob) = (Mutex::new(100), Mutex::new(0));
        let transfer = async {
            *ada.lock().await -= 40;
            *bob.lock().await += 40;
        };
        _ = cancellable(transfer).await;
        assert_eq!(*ada.lock().await + *bob.lock().await, 100, "money was lost");
    });
    assert!(
        failure.message().unwrap().contains("money was lost"),
        "{failure}"
    );
    let steps: Vec<_> = failure.schedule().steps().iter().collect();
    let (last, before) = (steps[steps.len() - 1], steps[steps.len() - 2]);
    assert_eq!(last.action(), "is cancelled", "{failure}");
    assert!(
        before.action().contains("tests/explore/cancel.rs:31:"),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(
        text.contains("failed when its operation was cancelled"),
        "{text}"
    );
    assert!(text.contains("STRAGGLER_SEED=cancel:"), "{text}");
}

#[test]
fn sibling_keeps_its_budget() {
    passes(|| async {
        let mut polls = 0;
        let mut sibling = pin!(tokio::task::consume_budget());
        let sibling = poll_fn(|context| {
            polls += 1;
            sibling.as_mut().poll(context)
        });
        let operation = async { tokio::task::consume_budget().await };
        settle!(cancellable(operation), sibling);
        assert_eq!(polls, 1, "only the operation is made to yield");
    });
}

#[test]
fn write_in_one_step_passes() {
    let runs = passes(|| async {
        let (ada, bob) = (Mutex::new(100), Mutex::new(0));
        let transfer = async {
            let (mut ada, mut bob) = (ada.lock().await, bob.lock().await);
            *ada -= 40;
            *bob += 40;
        };
        _ = cancellable(transfer).await;
        assert_eq!(*ada.lock().await + *bob.lock().await, 100);
    });
    assert!(runs >= 4, "before, between the locks, after: {runs}");
}

/// Each run cancels at another place, and the first one at none.
#[test]
fn every_place_is_reached_once() {
    let reached = RefCell::new(Vec::new());
    passes(|| async {
        let steps = Cell::new(0);
        let operation = async {
            for _ in 0..3 {
                yield_now().await;
                steps.set(steps.get() + 1);
            }
        };
        let done = cancellable(operation).await;
        reached.borrow_mut().push((done.is_some(), steps.get()));
    });
    // Before the first poll, at each of the three yields, and with everything done.
    if !cfg!(straggler_instrumented) {
        let expected = [
            (true, 3),
            (false, 0),
            (false, 0),
            (false, 1),
            (false, 2),
            (false, 3),
        ];
        assert_eq!(*reached.borrow(), expected);
    }
}

#[test]
fn operation_may_be_dropped_before_its_first_poll() {
    let failure = cancel(|| async {
        let polled = Cell::new(false);
        let done = cancellable(async { polled.set(true) }).await;
        assert!(done.is_some() || polled.get(), "it never began");
    });
    assert!(
        failure.message().unwrap().contains("it never began"),
        "{failure}"
    );
    assert_eq!(failure.seed().to_string(), "cancel:0");
    let text = failure.to_string();
    assert!(text.contains("dropped before its first poll"), "{text}");
}

#[test]
fn state_taken_before_first_operation_lost() {
    let failure = cancel(|| async {
        let (mut batch, disk) = (vec![1, 2], Mutex::new(Vec::new()));
        let flush = async {
            let taken = std::mem::take(&mut batch);
            disk.lock().await.extend(taken);
        };
        cancellable(flush).await;
        assert_eq!(batch.len() + disk.lock().await.len(), 2, "bytes were lost");
    });
    assert!(
        failure.message().unwrap().contains("bytes were lost"),
        "{failure}"
    );
}

#[test]
fn checkpoint_is_a_place() {
    let failure = cancel(|| async {
        let half = Cell::new(false);
        let operation = async {
            half.set(true);
            checkpoint("half-way").await;
            half.set(false);
        };
        cancellable(operation).await;
        assert!(!half.get(), "half done");
    });
    let text = failure.to_string();
    assert!(text.contains("half done"), "{text}");
    assert!(text.contains("cancel.rs"), "{text}");
}

#[test]
fn output_may_be_lost() {
    let failure = cancel(|| async {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.send(7).await.unwrap();
        let message = match cancellable(receiver.recv()).await {
            Some(message) => message,
            None => receiver.try_recv().ok(),
        };
        assert_eq!(message, Some(7), "the message was lost");
    });
    assert!(
        failure.message().unwrap().contains("the message was lost"),
        "{failure}"
    );
    assert!(
        failure
            .to_string()
            .contains("before its caller saw the output"),
        "{failure}"
    );
}

#[test]
fn lost_permit_hangs_retry() {
    let failure = cancel(|| async {
        let semaphore = Semaphore::new(1);
        let work = async || {
            semaphore.acquire().await.unwrap().forget();
            yield_now().await;
            semaphore.add_permits(1);
        };
        if cancellable(work()).await.is_none() {
            cancellable(work()).await;
        }
    });
    assert!(
        matches!(verdict(&failure), Verdict::Deadlocked { .. }),
        "{failure}"
    );
    let text = failure.to_string();
    let says = "A later operation of the same type hangs: if it is a second attempt, the operation is not restartable. Suspected: a permit of that semaphore \
                was not returned.";
    assert!(text.contains(says), "{text}");
}

#[test]
fn permit_given_back_by_drop_passes() {
    passes(|| async {
        let semaphore = Semaphore::new(1);
        let work = async || {
            let _permit = semaphore.acquire().await.unwrap();
            yield_now().await;
        };
        if cancellable(work()).await.is_none() {
            work().await;
        }
    });
}

#[test]
fn task_left_by_cancelled_operation_found() {
    let failure = cancel(|| async {
        let stop = Arc::new(Notify::new());
        let operation = async {
            let stopped = Arc::clone(&stop);
            let task = straggler::spawn(async move { stopped.notified().await });
            yield_now().await;
            stop.notify_one();
            task.await.unwrap();
        };
        cancellable(operation).await;
    });
    assert!(matches!(verdict(&failure), Verdict::Leaked), "{failure}");
    assert!(
        failure
            .to_string()
            .contains("Work that the operation started is still running"),
        "{failure}"
    );
}

#[test]
fn second_cancellation_found() {
    // The first retry works; it is the second one that finds nothing left.
    let failure = cancel(|| async {
        let tries = Cell::new(2);
        let operation = async || {
            tries.set(tries.get() - 1);
            yield_now().await;
        };
        for _ in 0..3 {
            assert!(tries.get() > 0, "no try is left");
            if cancellable(operation()).await.is_some() {
                break;
            }
        }
    });
    assert!(
        failure.message().unwrap().contains("no try is left"),
        "{failure}"
    );
    assert!(
        failure.to_string().contains("was cancelled twice"),
        "{failure}"
    );
}

#[test]
fn panic_of_drop_found() {
    struct Unfinished;
    impl Drop for Unfinished {
        fn drop(&mut self) {
            panic!("dropped half-way");
        }
    }

    let failure = cancel(|| async {
        let operation = async {
            let guard = Unfinished;
            yield_now().await;
            std::mem::forget(guard);
        };
        cancellable(operation).await;
    });
    assert!(
        failure.message().unwrap().contains("dropped half-way"),
        "{failure}"
    );
}

#[test]
fn same_place_is_replayed() {
    let body = || async {
        let half = Cell::new(false);
        let operation = async {
            half.set(true);
            yield_now().await;
            half.set(false);
        };
        cancellable(operation).await;
        assert!(!half.get(), "half done");
    };
    let found = cancel(body);
    let again = Explore::new()
        .cancel()
        .replay(found.seed().clone())
        .find(body)
        .unwrap_err();
    assert_eq!(again.schedule(), found.schedule());
    assert_eq!(again.message(), found.message());
    let note = Explore::new()
        .cancel()
        .replay("cancel:0".parse().unwrap())
        .find(body)
        .unwrap();
    assert!(note.note().unwrap().contains("passes now"));
}

/// A place of a run in which the operation had more of them, as before a bug was mended.
#[test]
fn seed_beyond_last_place_noted() {
    let replay = |seed: &str| Explore::new().cancel().replay(seed.parse().unwrap());
    let passes = || async { _ = cancellable(yield_now()).await };
    let note = |seed: &str| {
        let explored = replay(seed).find(passes).unwrap();
        explored.note().unwrap().to_owned()
    };
    let beyond = note("cancel:90");
    let (_, last) = beyond
        .split_once("the seed `cancel:90` cancels nothing: this run has the places 0 to ")
        .unwrap_or_else(|| panic!("{beyond}"));
    let last: usize = last.split_once('.').unwrap().0.parse().unwrap();
    assert!(!beyond.contains("passes now"), "{beyond}");
    for (place, is_there) in [(0, true), (last, true), (last + 1, false)] {
        let of_place = note(&format!("cancel:{place}"));
        assert_eq!(of_place.contains("passes now"), is_there, "{of_place}");
    }
    let half = note("cancel:0,90");
    let says = "the seed `cancel:0,90` cancels nothing at place 90: ";
    assert!(half.starts_with(says), "{half}");

    let is_mended = false;
    let fails = || async {
        cancellable(yield_now()).await;
        assert!(is_mended, "always");
    };
    let failure = replay("cancel:90").find(fails).unwrap_err().to_string();
    for says in [
        "failed before anything was cancelled",
        "note: the seed `cancel:90` cancels nothing: ",
    ] {
        assert!(failure.contains(says), "{failure}");
    }
    assert!(!failure.contains("plain order"), "{failure}");
}

#[test]
fn operation_inside_operation_is_part_of_it() {
    let runs = |is_nested: bool| {
        passes(|| async move {
            let steps = async {
                yield_now().await;
                yield_now().await;
            };
            if is_nested {
                cancellable(async { _ = cancellable(steps).await }).await;
            } else {
                cancellable(steps).await;
            }
        })
    };
    assert_eq!(runs(true), runs(false));
}

#[test]
fn picture_shows_cancelled_operation_beside_another() {
    let failure = cancel(|| async {
        let half = Cell::new(false);
        let other = async {
            for _ in 0..3 {
                yield_now().await;
            }
        };
        let operation = async {
            yield_now().await;
            half.set(true);
            yield_now().await;
            half.set(false);
        };
        settle!(cancellable(other), cancellable(operation));
        assert!(!half.get(), "half done");
    });
    let text = failure.to_string();
    assert!(text.contains("operation 2 is cancelled"), "{text}");
    let is_drawn = |line: &str| line.contains("│ ") && line.ends_with("╳ is cancelled");
    assert!(text.lines().any(is_drawn), "{text}");
    assert!(text.contains("     the operation  "), "{text}");
    let svg = failure.to_svg();
    assert!(svg.contains(">is cancelled</text>"), "{svg}");
    assert!(svg.contains("what the operations did"), "{svg}");
}

#[test]
fn body_without_operation_is_an_error() {
    let failure = cancel(|| async {});
    let text = failure.to_string();
    for says in [
        " cancelled nothing: its body polls no `straggler::cancellable(..)`",
        "; wrap the operation: `cancellable(operation).await`",
    ] {
        assert!(text.contains(says), "{text}");
    }
    assert!(!text.contains("was not run"), "{text}");
}

#[test]
fn places_beyond_the_runs_are_noted() {
    let explored = Explore::new().runs(3).cancel().find(|| async {
        cancellable(async {
            for _ in 0..9 {
                yield_now().await;
            }
        })
        .await;
    });
    let explored = explored.unwrap();
    assert_eq!(explored.runs(), 3);
    assert!(
        explored.note().unwrap().starts_with("only the first 2 of "),
        "{explored:?}"
    );
}

#[test]
fn failure_without_cancellation_is_a_plain_one() {
    let failure = cancel(|| async {
        cancellable(async {}).await;
        panic!("always");
    });
    assert_eq!(failure.seed().to_string(), "plain");
    let text = failure.to_string();
    assert_eq!(text.matches("cancelled").count(), 1, "{text}");
    assert!(
        text.contains(" failed before anything was cancelled"),
        "{text}"
    );
}

/// Outside of such a run the future is that of its operation.
#[tokio::test]
async fn nothing_is_cancelled_elsewhere() {
    assert_eq!(cancellable(async { 7 }).await, Some(7));
    let explored = Explore::new().runs(20).find(|| async {
        assert_eq!(
            cancellable(async {
                yield_now().await;
                7
            })
            .await,
            Some(7)
        );
    });
    // `find` inside a runtime is an error of its own.
    assert!(explored.is_err());
}

#[test]
fn schedules_cancel_nothing() {
    let ran = AtomicUsize::new(0);
    let explored = Explore::new().runs(20).find(|| async {
        assert_eq!(
            cancellable(async {
                yield_now().await;
                7
            })
            .await,
            Some(7)
        );
        ran.fetch_add(1, SeqCst);
    });
    assert_eq!((explored.unwrap().runs(), ran.into_inner()), (20, 20));
}

#[test]
#[should_panic(expected = "polled after it had returned")]
fn polled_after_end_panics() {
    let mut operation: Pin<Box<_>> = Box::pin(cancellable(ready(7)));
    tokio_test::block_on(async {
        assert_eq!(operation.as_mut().await, Some(7));
        operation.as_mut().await;
    });
}

#[test]
fn places_are_counted() {
    let body = || async {
        _ = cancellable(async {
            yield_now().await;
            yield_now().await;
        })
        .await;
    };
    let explored = Explore::new().cancel().find(body).unwrap();
    let places = explored.places();
    // Nothing is left to cancel a second time.
    assert_eq!(explored.runs(), 1 + places);
    if !cfg!(straggler_instrumented) {
        assert_eq!(places, 4);
        let text = explored.to_string();
        assert_eq!(text, "5 runs without a failure, cancelled at 4 places");
    }
    let few = Explore::new().runs(3).cancel().find(body).unwrap();
    assert_eq!(few.places(), 2);
    let schedules = Explore::new().runs(40).cancel_in_schedules().find(body);
    let schedules = schedules.unwrap();
    assert_eq!((schedules.places(), schedules.runs()), (places, 40));
    assert_eq!(Explore::new().runs(2).find(body).unwrap().places(), 0);
}

#[straggler::test(cancel)]
async fn attribute_cancels() {
    let (first, second) = (Mutex::new(0), Mutex::new(0));
    let add = async {
        let (mut first, mut second) = (first.lock().await, second.lock().await);
        *first += 1;
        *second += 1;
    };
    cancellable(add).await;
    assert_eq!(*first.lock().await, *second.lock().await);
}

#[straggler::test(cancel)]
#[should_panic(expected = "differ")]
async fn attribute_finds_two_step_write() {
    let (first, second) = (Mutex::new(0), Mutex::new(0));
    let add = async {
        *first.lock().await += 1;
        *second.lock().await += 1;
    };
    cancellable(add).await;
    assert_eq!(*first.lock().await, *second.lock().await, "they differ");
}
