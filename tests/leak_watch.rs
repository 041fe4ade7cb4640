//! `LeakCheck::watch`: checks of a runtime that somebody else owns.

#![cfg(feature = "tokio")]

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{Report, Verdict, Wait, Watch};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::yield_now;

const SHORT: Duration = Duration::from_millis(20);

fn watch() -> Watch {
    LeakCheck::new().grace(SHORT).watch_with(&Handle::current())
}

fn runtimes() -> [Runtime; 2] {
    let current = Builder::new_current_thread().enable_all().build().unwrap();
    [
        current,
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap(),
    ]
}

#[test]
fn a_clean_test_verifies() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = LeakCheck::watch(&Handle::current());
            tokio::spawn(async {}).await.unwrap();
            straggler::spawn(async {}).await.unwrap();
            watch.verify().await.unwrap();
        });
    }
}

#[test]
fn what_is_left_is_reported_as_long_as_it_is_left() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            let tracked = straggler::spawn(pending::<()>());
            let other = tokio::spawn(pending::<()>());
            let report = watch.verify().await.unwrap_err();
            assert_eq!((report.count(), report.unseen()), (2, 1));
            assert_eq!(report.place().file(), file!());
            tracked.abort();
            assert_eq!(watch.verify().await.unwrap_err().count(), 1);
            other.abort();
            watch.verify().await.unwrap();
        });
    }
}

#[test]
fn what_was_there_before_is_not_charged() {
    for runtime in runtimes() {
        let earlier = runtime.block_on(async {
            let watch = watch();
            let left = straggler::spawn(pending::<()>());
            drop(tokio::spawn(pending::<()>()));
            assert!(watch.verify().await.is_err());
            left.abort_handle()
        });
        runtime.block_on(async {
            let watch = watch();
            watch.verify().await.unwrap();
            // An old one that ends does not make room for a new one.
            earlier.abort();
            watch.verify().await.unwrap();
            straggler::spawn(pending::<()>());
            let report = watch.verify().await.unwrap_err();
            assert_eq!(report.count(), 1);
        });
    }
}

#[test]
fn blocking_work_that_is_tracked_is_reported_as_long_as_it_is_left() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (open, opened) = mpsc::channel::<()>();
            let (end, ended) = mpsc::channel::<()>();
            let earlier = straggler::spawn_blocking(move || ended.recv());
            let watch = watch();
            let work = straggler::spawn_blocking(move || opened.recv());
            let report = watch.verify().await.unwrap_err();
            assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
            assert_eq!((report.count(), report.blocking().len()), (0, 1));
            drop(open);
            work.await.unwrap().unwrap_err();
            watch.verify().await.unwrap();
            drop(end);
            earlier.await.unwrap().unwrap_err();
        });
    }
}

#[test]
fn the_blocking_work_that_asks_is_not_counted() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            let asks = move || Handle::current().block_on(watch.verify());
            straggler::spawn_blocking(asks).await.unwrap().unwrap();
        });
    }
}

#[test]
fn the_task_that_asks_is_not_counted() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            straggler::spawn(async move { watch.verify().await.unwrap() })
                .await
                .unwrap();
        });
    }
}

#[test]
fn helpers_in_the_background_are_stopped() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            let helper = straggler::background(pending::<()>());
            watch.verify().await.unwrap();
            assert!(helper.await.unwrap_err().is_cancelled());
        });
    }
}

#[test]
fn rules_hold_here_too() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let check = LeakCheck::new().grace(SHORT).allow(1).allow_at(file!());
            let watch = check.watch_with(&Handle::current());
            straggler::spawn(pending::<()>());
            tokio::spawn(pending::<()>());
            watch.verify().await.unwrap();
        });
    }
}

#[test]
fn a_paused_clock_stands_still() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let watch = watch();
        tokio::spawn(tokio::time::sleep(Duration::from_secs(3600)));
        let before = tokio::time::Instant::now();
        assert_eq!(watch.verify().await.unwrap_err().count(), 1);
        assert_eq!(before.elapsed(), Duration::ZERO);
    });
}

#[test]
#[should_panic(expected = "in another runtime than the one it watches")]
fn verifying_in_another_runtime_panics() {
    let [watched, other] = runtimes();
    let watch = LeakCheck::watch(watched.handle());
    _ = other.block_on(watch.verify());
}

/// The report of a task that blocks its thread from when it has begun until the report is there.
fn blocked(spawn: fn(oneshot::Sender<()>, mpsc::Receiver<()>)) -> Report {
    let [_, runtime] = runtimes();
    let (end, ended) = mpsc::channel();
    runtime.block_on(async {
        let watch = watch();
        let (begins, begun) = oneshot::channel();
        spawn(begins, ended);
        begun.await.unwrap();
        let report = watch.verify().await.unwrap_err();
        drop(end);
        report
    })
}

#[test]
fn a_task_that_blocks_its_thread_is_told_from_one_that_waits() {
    let report = blocked(|begins, ended| {
        straggler::spawn(async move {
            begins.send(()).unwrap();
            _ = ended.recv();
        });
    });
    assert!(matches!(report.tasks()[0].wait(), Wait::Blocks(_)));
}

#[test]
fn a_task_is_on_record_until_its_variables_are_gone() {
    /// Says when it is dropped, and blocks until the report is there.
    struct Blocks(Option<oneshot::Sender<()>>, mpsc::Receiver<()>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).unwrap();
            _ = self.1.recv();
        }
    }

    let report = blocked(|begins, ended| {
        straggler::spawn(async move {
            let _blocks = Blocks(Some(begins), ended);
            yield_now().await;
        });
    });
    assert_eq!((report.count(), report.unseen()), (1, 0), "{report}");
}

#[test]
fn a_helper_that_cannot_be_stopped_is_a_leak() {
    let report = blocked(|begins, ended| {
        straggler::background(async move {
            begins.send(()).unwrap();
            _ = ended.recv();
        });
    });
    assert!(report.tasks()[0].is_background());
    let text = report.to_string();
    assert!(text.contains("only then can it be stopped"), "{text}");
}

#[test]
fn the_grace_ends_though_every_thread_for_blocking_work_is_blocked() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(1).build().unwrap();
    let (end, ended) = mpsc::channel::<()>();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || ended.recv());
        let watch = watch();
        straggler::spawn(pending::<()>());
        assert_eq!(watch.verify().await.unwrap_err().count(), 1);
        drop(end);
    });
}

#[test]
fn a_task_is_polled_once_to_find_out_where_it_waits_and_is_left_alone_then() {
    for count in [3, 300] {
        let [runtime, _] = runtimes();
        runtime.block_on(async {
            let watch = watch();
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            straggler::spawn(async move {
                let children = (0..count).map(|_| {
                    let polls = Arc::clone(&counted);
                    poll_fn(move |context| {
                        polls.fetch_add(1, Relaxed);
                        // Somebody holds it, and never wakes it.
                        Box::leak(Box::new(context.waker().clone()));
                        Poll::<()>::Pending
                    })
                });
                let _ = straggler::settle_all(children).await;
            });
            for round in 2..5 {
                let report = watch.verify().await.unwrap_err();
                let Wait::At(places) = report.tasks()[0].wait() else {
                    panic!("{report}");
                };
                assert_eq!(places.len(), count);
                for _ in 0..1000 {
                    yield_now().await;
                }
                assert_eq!(polls.load(Relaxed), round * count, "{count} children");
            }
        });
    }
}

#[test]
fn after_it_was_asked_a_join_polls_only_what_was_woken() {
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let watch = watch();
        let polls = Arc::new(AtomicUsize::new(0));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let (counted, kept) = (Arc::clone(&polls), Arc::clone(&wakers));
        straggler::spawn(async move {
            let children = (0..3).map(|_| {
                let (polls, wakers) = (Arc::clone(&counted), Arc::clone(&kept));
                poll_fn(move |context| {
                    polls.fetch_add(1, Relaxed);
                    wakers.lock().unwrap().push(context.waker().clone());
                    Poll::<()>::Pending
                })
            });
            let _ = straggler::settle_all(children).await;
        });
        assert!(watch.verify().await.is_err());
        let before = polls.load(Relaxed);
        let waker = wakers.lock().unwrap()[0].clone();
        waker.wake();
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(polls.load(Relaxed), before + 1);
    });
}

#[test]
fn each_report_says_where_a_task_waits_now() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            let (go_on, goes_on) = oneshot::channel::<()>();
            straggler::spawn(async {
                goes_on.await.unwrap();
                tokio::time::sleep(Duration::from_secs(3600)).await;
            });
            let report = watch.verify().await.unwrap_err();
            assert!(
                report
                    .to_string()
                    .contains("on tokio::sync::oneshot::Receiver"),
                "{report}"
            );
            go_on.send(()).unwrap();
            let report = watch.verify().await.unwrap_err();
            assert!(
                report.to_string().contains("on tokio::time::sleep::Sleep"),
                "{report}"
            );
        });
    }
}

#[test]
fn a_deadline_of_a_join_passes_after_it_was_asked_where_it_waits() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async {
        let watch = watch();
        let (send, deadline) = oneshot::channel::<()>();
        let children = (0..300).map(|_| pending::<()>());
        let joining = straggler::settle_all(children).deadline(deadline);
        let task = straggler::spawn(joining);
        assert!(watch.verify().await.is_err());
        send.send(()).unwrap();
        let unsettled = task.await.unwrap().unwrap_err();
        assert_eq!(unsettled.pending().len(), 300);
        watch.verify().await.unwrap();
    });
}

#[test]
fn a_task_that_was_awaited_before_makes_no_room_for_one_that_leaks() {
    let [_, runtime] = runtimes();
    for _ in 0..50 {
        let left = runtime.block_on(async {
            for _ in 0..3 {
                tokio::spawn(yield_now()).await.unwrap();
            }
            let watch = watch();
            let left = tokio::spawn(pending::<()>());
            assert_eq!(watch.verify().await.unwrap_err().count(), 1);
            left.abort_handle()
        });
        left.abort();
    }
}

#[test]
fn helpers_and_panics_from_before_are_left_alone() {
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let earlier = watch();
        let helper = straggler::background(pending::<()>());
        let panicking = straggler::background(async { panic!("from before") });
        assert!(panicking.await.unwrap_err().is_panic());

        let watch = watch();
        watch.verify().await.unwrap();
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!helper.is_finished());

        let report = earlier.verify().await.unwrap_err();
        assert_eq!(report.panics().len(), 1);
        assert!(helper.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn so_are_panics_from_before_of_tasks_that_are_not_on_record() {
    for runtime in runtimes() {
        runtime.block_on(async {
            // Who watches all along is charged with what the other one is not.
            let all_along = watch();
            let panicking = tokio::spawn(async { panic!("from before") });
            assert!(panicking.await.unwrap_err().is_panic());

            let watch = watch();
            watch.verify().await.unwrap();
            let panicking = tokio::spawn(async { panic!("of the test") });
            assert!(panicking.await.unwrap_err().is_panic());
            for (watch, message) in [(watch, "of the test"), (all_along, "from before")] {
                let report = watch.verify().await.unwrap_err();
                assert_eq!(*report.verdict(), Verdict::Panicked, "{report}");
                let [panic] = report.panics() else {
                    panic!("{report}");
                };
                assert_eq!(panic.message(), Some(message));
            }
        });
    }
}

#[test]
fn a_local_runtime_s_tasks_are_counted_once() {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = Builder::new_current_thread().build_local(options).unwrap();
    runtime.block_on(async {
        let watch = watch();
        straggler::spawn_local(pending::<()>());
        straggler::tokio::task::JoinSet::new().spawn_local(pending::<()>());
        let report = watch.verify().await.unwrap_err();
        assert_eq!((report.count(), report.unseen()), (1, 0), "{report}");
    });
}
