//! `LeakCheck::watch`: checks of a runtime that the check does not own.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{Report, Verdict, Wait, Watch};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, yield_now};

use super::SHORT;

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
fn clean_body_verifies() {
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
fn watches_open_together_are_noted() {
    const NOTE: &str = "another watch of this runtime was open at the same time";
    for runtime in runtimes() {
        runtime.block_on(async {
            let leak = || straggler::spawn(pending::<()>());
            let verified = async |watch: &Watch| watch.verify().await.unwrap_err().to_string();

            let (first, second) = (watch(), watch());
            leak();
            for watch in [&first, &second] {
                let report = verified(watch).await;
                assert!(report.contains(NOTE), "{report}");
            }
            // Both have ended.
            let alone = watch();
            leak();
            let report = verified(&alone).await;
            assert!(!report.contains(NOTE), "{report}");

            // Another one that begins and ends meanwhile.
            let around = watch();
            watch().verify().await.unwrap();
            leak();
            let report = verified(&around).await;
            assert!(report.contains(NOTE), "{report}");
        });
    }
}

#[test]
fn leak_reported_until_it_ends() {
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
fn earlier_tasks_not_charged() {
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
            // An earlier task that ends must not make room for a new leak.
            earlier.abort();
            watch.verify().await.unwrap();
            straggler::spawn(pending::<()>());
            let report = watch.verify().await.unwrap_err();
            assert_eq!(report.count(), 1);
        });
    }
}

#[test]
fn tracked_blocking_work_reported_until_it_ends() {
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
fn verifying_closure_not_counted() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            let asks = move || Handle::current().block_on(watch.verify());
            straggler::spawn_blocking(asks).await.unwrap().unwrap();
        });
    }
}

#[test]
fn verifying_task_not_counted() {
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
fn helpers_stopped_by_verify() {
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
fn helpers_run_after_another_watch_ended() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let outer = watch();
            watch().verify().await.unwrap();
            straggler::background(async {}).await.unwrap();
            outer.verify().await.unwrap();
        });
    }
}

#[test]
fn rules_apply_to_watch() {
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
fn paused_clock_does_not_advance() {
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
#[should_panic(expected = "must be called in the runtime it watches")]
fn verify_panics_in_other_runtime() {
    let [watched, other] = runtimes();
    let watch = LeakCheck::watch(watched.handle());
    _ = other.block_on(watch.verify());
}

/// The report on a task that blocks its thread until the report is made.
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
fn blocking_task_distinguished_from_waiting_task() {
    let report = blocked(|begins, ended| {
        straggler::spawn(async move {
            begins.send(()).unwrap();
            _ = ended.recv();
        });
    });
    assert!(matches!(report.tasks()[0].wait(), Wait::Blocks(_)));
}

#[test]
fn task_recorded_until_variables_dropped() {
    /// Signals its drop, and then blocks until the report is made.
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
fn unstoppable_helper_is_leak() {
    let report = blocked(|begins, ended| {
        straggler::background(async move {
            begins.send(()).unwrap();
            _ = ended.recv();
        });
    });
    assert!(report.tasks()[0].is_background());
    let text = report.to_string();
    assert!(
        text.contains("straggler stops it only at an `.await`"),
        "{text}"
    );
}

#[test]
fn grace_ends_with_blocking_pool_full() {
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
fn verify_polls_waiting_task_once() {
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
                        // A kept waker that never wakes.
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
fn join_polls_only_woken_child_after_verify() {
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
fn report_shows_current_wait() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let watch = watch();
            let (resume, resumed) = oneshot::channel::<()>();
            straggler::spawn(async {
                resumed.await.unwrap();
                tokio::time::sleep(Duration::from_secs(3600)).await;
            });
            let report = watch.verify().await.unwrap_err();
            assert!(
                report
                    .to_string()
                    .contains("on tokio::sync::oneshot::Receiver"),
                "{report}"
            );
            resume.send(()).unwrap();
            let report = watch.verify().await.unwrap_err();
            assert!(
                report.to_string().contains("on tokio::time::sleep::Sleep"),
                "{report}"
            );
        });
    }
}

#[test]
fn join_deadline_passes_after_verify() {
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
fn earlier_awaited_task_does_not_hide_leak() {
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
fn earlier_helpers_and_panics_ignored() {
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
fn earlier_untracked_panics_ignored() {
    for runtime in runtimes() {
        runtime.block_on(async {
            // The watch that was there first is charged with the earlier panic.
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
fn tracked_panic_charged_to_watch_of_its_thread() {
    for runtime in runtimes() {
        let (begun, begins) = (Barrier::new(2), Barrier::new(2));
        let panics = thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                runtime.block_on(async {
                    let watch = watch();
                    begun.wait();
                    straggler::spawn(async {
                        // The child of a task belongs to the same test.
                        let child = straggler::spawn(async { panic!("of the child") });
                        assert!(child.await.unwrap_err().is_panic());
                        panic!("of the task");
                    })
                    .await
                    .unwrap_err();
                    begins.wait();
                    begins.wait();
                    watch.verify().await.unwrap_err().panics().len()
                })
            });
            let other = scope.spawn(|| {
                let watch = LeakCheck::watch(runtime.handle());
                begun.wait();
                begins.wait();
                let checked = runtime.block_on(watch.verify());
                begins.wait();
                checked.unwrap();
            });
            other.join().unwrap();
            panicking.join().unwrap()
        });
        assert_eq!(panics, 2);
    }
}

#[test]
fn local_runtime_tasks_counted_once() {
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

#[test]
fn local_runtime_and_set_told_apart() {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = Builder::new_current_thread().build_local(options).unwrap();
    let check = |leak: fn(&LocalSet)| async move {
        let watch = watch();
        let set = LocalSet::new();
        leak(&set);
        tokio::spawn(pending::<()>());
        let report = watch.verify().await.unwrap_err();
        (report.count(), report.unseen())
    };
    let spawns = |set: &LocalSet| {
        let _entered = set.enter();
        straggler::spawn_local(pending::<()>());
    };
    let spawns_on = |set: &LocalSet| {
        let mut joined = straggler::tokio::task::JoinSet::new();
        joined.spawn_local_on(pending::<()>(), set);
        joined.detach_all();
    };
    for leak in [spawns, spawns_on] {
        assert_eq!(runtime.block_on(check(leak)), (2, 1), "local");
        let [shared, multi] = runtimes();
        for runtime in [shared, multi] {
            assert_eq!(runtime.block_on(check(leak)), (2, 1), "shared");
        }
    }
}
