//! What the leak check lets pass and what it does not, by the values it returns.

#![cfg(feature = "tokio")]

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::task::Poll;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{Call, LeakedTask, Report, SpawnedBy, Verdict, Wait, WaitPlace};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

/// A grace that no leak of these tests ends in, so short that they are fast.
const SHORT: Duration = Duration::from_millis(20);

fn multi_thread() -> LeakCheck {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    LeakCheck::new().runtime(builder)
}

fn paused() -> LeakCheck {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    LeakCheck::new().runtime(builder)
}

/// A check of each flavor.
fn every_flavor() -> [LeakCheck; 3] {
    [LeakCheck::new(), multi_thread(), LeakCheck::new().local()]
}

#[track_caller]
fn assert_clean<F: Future>(mut body: impl FnMut() -> F) {
    for check in every_flavor() {
        if let Err(report) = check.run(body()) {
            panic!("{report}");
        }
    }
}

/// The report of a body that leaks, the same in each flavor but for ages.
#[track_caller]
fn leaks<F: Future>(mut body: impl FnMut() -> F) -> Report {
    let [current, multi, local] = every_flavor().map(|check| {
        let Err(report) = check.grace(SHORT).run(body()) else {
            panic!("nothing leaked");
        };
        assert_eq!(*report.verdict(), Verdict::Leaked);
        report
    });
    assert_eq!(
        (current.count(), current.unseen()),
        (multi.count(), multi.unseen())
    );
    assert_eq!(
        (current.count(), current.unseen()),
        (local.count(), local.unseen())
    );
    current
}

/// A task that waits until its test says so, or until it is dropped.
async fn waits(sign: oneshot::Receiver<()>) {
    _ = sign.await;
}

mod clean {
    use super::*;

    #[test]
    fn a_body_that_spawns_nothing_waits_for_nothing() {
        for check in every_flavor() {
            check
                .grace(Duration::from_secs(3600))
                .run(async {})
                .unwrap();
        }
    }

    #[test]
    fn a_set_that_the_future_itself_owns() {
        /// Owns tasks outside of an async block.
        struct Owner(JoinSet<()>);
        impl Future for Owner {
            type Output = ();

            fn poll(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
                self.0.spawn(pending());
                Poll::Ready(())
            }
        }

        for check in every_flavor() {
            check.run(Owner(JoinSet::new())).unwrap();
        }
    }

    #[test]
    fn tasks_that_were_awaited() {
        assert_clean(|| async {
            tokio::spawn(yield_now()).await.unwrap();
            straggler::spawn(yield_now()).await.unwrap();
        });
    }

    #[test]
    fn a_task_that_ended_and_whose_handle_nobody_awaits() {
        assert_clean(|| async {
            let (ends, ended) = oneshot::channel();
            let handle = tokio::spawn(async { ends.send(()) });
            ended.await.unwrap();
            drop(handle);
        });
    }

    #[test]
    fn aborted_tasks_awaited_or_not() {
        assert_clean(|| async {
            let task = straggler::spawn(pending::<()>());
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            tokio::spawn(pending::<()>()).abort();
            straggler::spawn(pending::<()>()).abort();
        });
    }

    #[test]
    fn without_a_grace_a_task_gets_the_turns_it_needs() {
        for check in every_flavor() {
            let body = async {
                tokio::spawn(pending::<()>()).abort();
                drop(straggler::spawn(yield_now()));
            };
            // On its own thread a task may not get a processor at all.
            let grace = if format!("{check:?}").contains("MultiThread") {
                Duration::from_secs(10)
            } else {
                Duration::ZERO
            };
            check.grace(grace).run(body).unwrap();
        }
    }

    #[test]
    fn sets_and_trackers_that_were_dropped_or_waited_for() {
        assert_clean(|| async {
            let mut dropped = JoinSet::new();
            dropped.spawn(pending::<()>());
            yield_now().await;
            drop(dropped);
            let mut dropped = straggler::tokio::task::JoinSet::new();
            dropped.spawn(pending::<()>());
            drop(dropped);
            let mut joined = straggler::tokio::task::JoinSet::new();
            joined.spawn(yield_now());
            while joined.join_next().await.is_some() {}
            let tracker = tokio_util::task::TaskTracker::new();
            tracker.spawn(yield_now());
            tracker.close();
            tracker.wait().await;
            drop(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
                pending::<()>(),
            )));
        });
    }

    #[test]
    fn a_task_that_ends_shortly_after_the_body() {
        assert_clean(|| async {
            tokio::spawn(tokio::time::sleep(Duration::from_millis(1)));
            straggler::spawn(async {
                for _ in 0..1000 {
                    yield_now().await;
                }
            });
        });
    }

    #[test]
    fn blocking_work_that_was_awaited_and_the_threads_it_leaves_idle() {
        assert_clean(|| async {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            straggler::spawn_blocking(|| ()).await.unwrap();
        });
    }

    #[test]
    fn the_tasks_of_a_local_set_that_goes_with_the_body() {
        for check in [LeakCheck::new(), multi_thread()] {
            let body = async {
                let set = LocalSet::new();
                set.run_until(async {
                    tokio::task::spawn_local(pending::<()>());
                    straggler::spawn_local(pending::<()>());
                    yield_now().await;
                })
                .await;
            };
            check.grace(SHORT).run(body).unwrap();
        }
    }

    #[test]
    fn timers_sockets_and_children_of_joins() {
        assert_clean(|| async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (accepted, connected) =
                straggler::settle!(listener.accept(), tokio::net::TcpStream::connect(address));
            accepted.unwrap();
            connected.unwrap();
            let sleeps = (0..3).map(|_| tokio::time::sleep(Duration::from_micros(10)));
            let _ = straggler::settle_all(sleeps).await;
        });
    }

    #[test]
    fn what_the_body_returns_comes_back() {
        let output = LeakCheck::new().run(async { tokio::spawn(async { 7 }).await.unwrap() });
        assert_eq!(output.unwrap(), 7);
    }

    #[test]
    fn a_long_chain_of_spawns_is_kept_short() {
        fn spawn_next(
            left: usize,
            done: mpsc::Sender<()>,
        ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                if left == 0 {
                    done.send(()).await.unwrap();
                } else {
                    straggler::spawn(spawn_next(left - 1, done));
                }
            })
        }

        let body = async {
            let (done, mut is_done) = mpsc::channel(1);
            straggler::spawn(spawn_next(200_000, done));
            is_done.recv().await.unwrap();
        };
        LeakCheck::new().run(body).unwrap();
    }
}

mod leaked {
    use super::*;

    #[test]
    fn a_task_that_is_pending_for_ever() {
        let report = leaks(|| async { drop(tokio::spawn(pending::<()>())) });
        assert_eq!(report.count(), 1);
    }

    #[test]
    fn a_tracked_task_is_named_with_all_there_is_to_know() {
        let line = line!() + 4;
        let report = leaks(|| async {
            let (sign, signed) = oneshot::channel();
            Box::leak(Box::new(sign));
            straggler::spawn_named("janitor", waits(signed));
            yield_now().await;
        });
        let [task] = report.tasks() else {
            panic!("{report}");
        };
        assert_eq!((task.number(), task.name()), (1, Some("janitor")));
        let place = task.place();
        assert_eq!((place.file(), place.line()), (file!(), line));
        assert_eq!(task.spawned_by(), [SpawnedBy::Test]);
        assert!(task.age() >= SHORT);
        // By the body, or by nobody before the drain; and to find out where it waits.
        assert_eq!(task.polls(), Some(2));
        let Wait::At(waits) = task.wait() else {
            panic!("{report}");
        };
        assert_eq!(waits[0].on(), Some("tokio::sync::oneshot::Receiver"));
        let call = &waits[0].calls()[0];
        assert_eq!(call.function(), "leaks::waits");
        assert_eq!(call.place().unwrap().file(), file!());
        assert_eq!(report.unseen(), 0);
    }

    #[test]
    fn a_task_that_lives_longer_than_the_grace() {
        let (end, ended) = std_mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let report = leaks(|| {
            let ended = Arc::clone(&ended);
            async move {
                straggler::spawn(async move {
                    while ended.lock().unwrap().try_recv()
                        != Err(std_mpsc::TryRecvError::Disconnected)
                    {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                });
            }
        });
        drop(end);
        assert_eq!(report.count(), 1);
    }

    #[test]
    fn equal_leaks_are_one_entry_and_leaks_of_two_lines_are_two() {
        let report = leaks(|| async {
            for _ in 0..2 {
                straggler::spawn(pending::<()>());
            }
            straggler::spawn(pending::<()>());
        });
        assert_eq!(report.count(), 3);
        let text = report.to_string();
        assert!(text.contains("\n  2 tasks: #1, #2 spawned at "), "{text}");
        assert!(text.contains("\n  #3 spawned at "), "{text}");
    }

    #[test]
    fn each_check_is_charged_with_its_own_tasks() {
        let leak = |count: usize| async move {
            for _ in 0..count {
                straggler::spawn(pending::<()>());
                tokio::spawn(pending::<()>());
            }
        };
        std::thread::scope(|scope| {
            for count in (0..4).cycle().take(16) {
                scope.spawn(move || {
                    let check = if count % 2 == 0 {
                        LeakCheck::new()
                    } else {
                        multi_thread()
                    };
                    // Long enough to tell a clean one under load.
                    let result = check.grace(Duration::from_millis(500)).run(leak(count));
                    assert_eq!(
                        result.map_err(|report| report.count()).err(),
                        (count > 0).then_some(2 * count)
                    );
                });
            }
        });
    }

    #[test]
    fn a_grandchild_is_traced_back_to_the_test_though_its_parent_has_ended() {
        let report = leaks(|| async {
            let child = straggler::spawn(async {
                straggler::spawn(pending::<()>());
            });
            child.await.unwrap();
        });
        let [task] = report.tasks() else {
            panic!("{report}");
        };
        assert_eq!(task.number(), 2);
        let [
            SpawnedBy::Task {
                number: 1, place, ..
            },
            SpawnedBy::Test,
        ] = task.spawned_by()
        else {
            panic!("{:?}", task.spawned_by());
        };
        assert!(place.line() < task.place().line());
    }

    #[test]
    fn spawns_through_a_handle_from_other_threads() {
        for check in [LeakCheck::new(), multi_thread()] {
            let report = check.grace(SHORT).run(async {
                let handle = Handle::current();
                let thread = std::thread::spawn(move || {
                    let _runtime = handle.enter();
                    straggler::spawn(pending::<()>());
                });
                thread.join().unwrap();
                straggler::spawn_blocking(|| drop(straggler::spawn(pending::<()>())))
                    .await
                    .unwrap();
                tokio::task::spawn_blocking(|| drop(straggler::spawn(pending::<()>())))
                    .await
                    .unwrap();
            });
            let report = report.unwrap_err();
            let by: Vec<_> = report.tasks().iter().map(LeakedTask::spawned_by).collect();
            let [
                [SpawnedBy::NoTask],
                [SpawnedBy::Task { number: 2, .. }, SpawnedBy::Test],
                [SpawnedBy::UnknownTask],
            ] = by[..]
            else {
                panic!("{report}");
            };
        }
    }

    #[test]
    fn a_task_that_was_never_polled_is_polled_in_the_end_and_is_clean_if_it_ends_then() {
        let polls = Arc::new(AtomicUsize::new(0));
        assert_clean(|| {
            let polls = Arc::clone(&polls);
            async move {
                tokio::spawn(async move { polls.fetch_add(1, SeqCst) });
            }
        });
        assert_eq!(polls.load(SeqCst), 3, "one in each flavor");
    }

    #[test]
    fn a_worker_that_sleeps_in_a_loop_is_told_how_to_stop() {
        let report = leaks(|| async {
            straggler::spawn(async {
                let mut ticks = tokio::time::interval(Duration::from_secs(3600));
                loop {
                    ticks.tick().await;
                }
            });
        });
        let text = report.to_string();
        assert!(
            text.contains("on tokio::time::interval::Interval::tick"),
            "{text}"
        );
        assert!(
            text.contains("a sign to stop: a `CancellationToken`"),
            "{text}"
        );
    }

    #[test]
    fn an_endless_loop_of_yields_is_busy_and_the_grace_ends_all_the_same() {
        let report = leaks(|| async {
            straggler::spawn(async {
                loop {
                    yield_now().await;
                }
            });
            straggler::spawn(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            // Yields only because tokio makes it.
            straggler::spawn(async {
                let (sender, mut receiver) = mpsc::channel(1);
                loop {
                    sender.send(()).await.unwrap();
                    receiver.recv().await;
                }
            });
        });
        assert_eq!(report.count(), 3);
        for task in report.tasks() {
            let Wait::Busy(places) = task.wait() else {
                panic!("{report}");
            };
            assert_eq!(places[0].calls()[0].place().unwrap().file(), file!());
        }
    }

    #[test]
    fn a_task_that_accepts_connections() {
        let report = leaks(|| async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            straggler::spawn(async move { drop(listener.accept().await) });
        });
        let text = report.to_string();
        assert!(
            text.contains("on tokio::net::tcp::listener::TcpListener::accept"),
            "{text}"
        );
    }

    #[test]
    fn a_task_that_keeps_no_waker_can_never_be_woken() {
        let report = leaks(|| async { drop(straggler::spawn(pending::<()>())) });
        assert_eq!(*report.tasks()[0].wait(), Wait::Unwakeable);
    }

    #[test]
    fn the_children_of_joins_are_located_and_named() {
        let report = leaks(|| async {
            let signs: Vec<_> = (0..2)
                .map(|_| {
                    let (sign, signed) = oneshot::channel();
                    Box::leak(Box::new(sign));
                    signed
                })
                .collect();
            straggler::spawn(async {
                let names = ["reader", "writer"];
                let inner =
                    straggler::settle_all(signs.into_iter().map(waits)).named(|index| names[index]);
                let _ = straggler::settle!(inner, pending::<()>());
            });
        });
        let [task] = report.tasks() else {
            panic!("{report}");
        };
        let Wait::At(waits) = task.wait() else {
            panic!("{report}");
        };
        let children: Vec<_> = waits.iter().map(WaitPlace::children).collect();
        assert_eq!(children.len(), 2, "{report}");
        for (child, name) in children.iter().zip(["#0 `reader`", "#1 `writer`"]) {
            let [outer, inner] = child else {
                panic!("{report}");
            };
            assert_eq!(outer, "#0 `inner`");
            assert!(
                inner.starts_with(&format!("{name} of the join at {}:", file!())),
                "{inner}"
            );
        }
        assert_eq!(waits[0].calls()[0].function(), "leaks::waits");
        // At its start, and to find this out: that wakes it no further.
        assert_eq!(task.polls(), Some(2));
    }

    #[test]
    fn more_children_than_tokio_lets_a_task_poll_at_once_are_all_located() {
        let report = leaks(|| async {
            let signs: Vec<_> = (0..200).map(|_| oneshot::channel::<()>()).collect();
            let (keep, signed): (Vec<_>, Vec<_>) = signs.into_iter().unzip();
            straggler::spawn(async {
                let _keep = keep;
                let _ = straggler::settle_all(signed).await;
            });
        });
        let Wait::At(places) = report.tasks()[0].wait() else {
            panic!("{report}");
        };
        assert_eq!(places.len(), 200);
        assert!(report.to_string().contains("and at 190 more\n"), "{report}");
    }

    #[test]
    fn one_that_ends_when_it_is_asked_where_it_waits_is_no_leak() {
        for check in every_flavor() {
            let polls = Arc::new(AtomicUsize::new(0));
            let check = check.grace(SHORT);
            // Pending at the first poll, and ready at the next, which nobody else causes.
            let body = async move {
                straggler::spawn(poll_fn(move |_| match polls.fetch_add(1, SeqCst) {
                    0 => Poll::Pending,
                    _ => Poll::Ready(()),
                }));
            };
            check.run(body).unwrap();
        }
    }

    #[test]
    fn what_a_leaked_task_does_in_drop_disturbs_nothing() {
        struct PanicsAndSpawns;
        impl Drop for PanicsAndSpawns {
            fn drop(&mut self) {
                tokio::spawn(pending::<()>());
                straggler::spawn(pending::<()>());
                panic!("dropped at shutdown");
            }
        }

        let report = leaks(|| async {
            straggler::spawn(async {
                let _panics = PanicsAndSpawns;
                pending::<()>().await;
            });
        });
        assert_eq!(report.count(), 1);
    }

    #[test]
    fn a_local_runtime_counts_local_tasks() {
        let check = LeakCheck::new().local().grace(SHORT);
        let report = check.run(async {
            tokio::task::spawn_local(pending::<()>());
            straggler::spawn_local(pending::<()>());
        });
        assert_eq!(report.unwrap_err().count(), 2);
    }

    #[test]
    fn a_local_task_whose_set_outlives_the_test_is_seen_if_it_is_tracked() {
        let kept = std::cell::RefCell::new(None);
        let report = LeakCheck::new().grace(SHORT).run(async {
            let set = LocalSet::new();
            set.run_until(async { drop(straggler::spawn_local(pending::<()>())) })
                .await;
            kept.replace(Some(set));
        });
        assert_eq!(report.unwrap_err().count(), 1);
    }
}

mod spawners {
    use super::*;

    #[test]
    fn are_found_also_after_another_task_was_polled_inside_of_the_poll() {
        let report = LeakCheck::new().grace(SHORT).run(async {
            let set = LocalSet::new();
            let local = set.run_until(async { straggler::spawn_local(async {}).await.unwrap() });
            // The first polls the local task, and then it is the second one's turn.
            let ((), ()) = straggler::settle!(local, async {
                straggler::spawn(pending::<()>());
            });
        });
        let report = report.unwrap_err();
        assert_eq!(
            report.tasks()[0].spawned_by(),
            [SpawnedBy::Test],
            "{report}"
        );
    }

    #[test]
    fn more_than_twenty_kinds_of_leaks_are_counted_and_not_listed() {
        let report = leaks(|| async {
            for number in 0..25 {
                straggler::spawn_named(format!("task {number}"), pending::<()>());
            }
        });
        let text = report.to_string();
        assert!(
            text.contains("`task 19`") && !text.contains("`task 20`"),
            "{text}"
        );
        assert!(text.contains("and 5 more, spawned elsewhere"), "{text}");
    }
}

mod macros_of_tokio {
    use super::*;

    #[test]
    fn do_not_hide_what_is_awaited() {
        let report = leaks(|| async {
            straggler::spawn(async {
                let hour = Duration::from_secs(3600);
                tokio::join!(tokio::time::sleep(hour), tokio::time::sleep(hour));
            });
            straggler::spawn(async {
                let (_sign, signed) = oneshot::channel::<()>();
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(3600)) => {}
                    _ = signed => {}
                }
            });
        });
        for (task, on) in report.tasks().iter().zip([
            &["tokio::time::sleep::Sleep"; 2],
            &[
                "tokio::time::sleep::Sleep",
                "tokio::sync::oneshot::Receiver",
            ],
        ]) {
            let Wait::At(places) = task.wait() else {
                panic!("{report}");
            };
            assert!(
                places
                    .iter()
                    .all(|place| on.contains(&place.on().unwrap_or_default())),
                "{report}"
            );
        }
        assert!(report.to_string().contains("`CancellationToken`"));
    }
}

mod paused_clock {
    use super::*;

    #[test]
    fn stands_still_in_the_grace_so_a_sleeper_is_a_leak() {
        let slept = Arc::new(AtomicBool::new(false));
        let sleeper = Arc::clone(&slept);
        let report = paused().grace(SHORT).run(async move {
            straggler::spawn(async move {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                sleeper.store(true, SeqCst);
            });
        });
        let report = report.unwrap_err();
        assert!(report.clock_stood_still());
        let text = report.to_string();
        assert!(
            text.contains("the clock is paused, and stands still"),
            "{text}"
        );
        assert!(!slept.load(SeqCst));
    }

    #[test]
    fn does_not_spin_an_interval() {
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ticks);
        let report = paused().grace(SHORT).run(async move {
            tokio::spawn(async move {
                let mut interval = tokio::time::interval(Duration::from_millis(1));
                loop {
                    interval.tick().await;
                    counted.fetch_add(1, SeqCst);
                }
            });
        });
        assert_eq!(report.unwrap_err().count(), 1);
        assert_eq!(ticks.load(SeqCst), 1, "the first tick is at once");
    }

    #[test]
    fn also_if_the_test_paused_it_itself() {
        let report = LeakCheck::new().grace(SHORT).run(async {
            tokio::time::pause();
            tokio::spawn(tokio::time::sleep(Duration::from_secs(3600)));
        });
        assert_eq!(report.unwrap_err().count(), 1);
    }

    #[test]
    fn goes_on_for_the_body() {
        let body = async { tokio::spawn(tokio::time::sleep(Duration::from_secs(3600))).await };
        paused().run(body).unwrap().unwrap();
    }
}

mod rules {
    use super::*;

    #[test]
    fn so_many_may_remain_and_no_more() {
        let leak = |count: usize| async move {
            for _ in 0..count {
                tokio::spawn(pending::<()>());
            }
        };
        for count in 0..4 {
            let result = LeakCheck::new().grace(SHORT).allow(2).run(leak(count));
            assert_eq!(result.is_ok(), count <= 2, "{count}");
        }
    }

    #[test]
    fn one_for_a_place_allows_what_was_spawned_there_and_nothing_else() {
        let check = LeakCheck::new().grace(SHORT).allow_at(file!());
        check
            .run(async { drop(straggler::spawn(pending::<()>())) })
            .unwrap();

        let report = LeakCheck::new().grace(SHORT).allow_at("src").run(async {
            straggler::spawn(pending::<()>());
        });
        let report = report.unwrap_err();
        assert_eq!(report.count(), 1);
        assert_eq!(report.unused_rules(), [r#"allow("src")"#]);
    }

    #[test]
    fn one_for_a_place_allows_its_own_while_others_fail() {
        let check = LeakCheck::new()
            .grace(SHORT)
            .allow_at(format!("{}:{}", file!(), line!() + 2));
        let report = check.run(async {
            straggler::spawn(pending::<()>());
            straggler::spawn(pending::<()>());
        });
        let report = report.unwrap_err();
        assert_eq!((report.count(), report.tasks()[0].number()), (1, 2));
    }

    #[test]
    fn one_for_a_place_allows_so_many() {
        let check = LeakCheck::new().grace(SHORT).allow_at_most(file!(), 1);
        let report = check.run(async {
            straggler::spawn(pending::<()>());
            straggler::spawn(pending::<()>());
        });
        assert_eq!(report.unwrap_err().count(), 1);
    }

    #[test]
    #[cfg(not(tokio_unstable))]
    fn one_for_a_place_cannot_match_a_task_that_is_not_seen() {
        let check = LeakCheck::new().grace(SHORT).allow_at(file!());
        let report = check.run(async { drop(tokio::spawn(pending::<()>())) });
        let text = report.unwrap_err().to_string();
        assert!(
            text.contains("can only match tasks of which it is seen"),
            "{text}"
        );
    }
}

mod background {
    use super::*;

    #[test]
    fn a_helper_is_stopped_and_is_no_leak() {
        assert_clean(|| async {
            let handle = straggler::background(async {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            yield_now().await;
            assert!(!handle.is_finished());
        });
    }

    #[test]
    fn a_helper_that_panics_fails_the_check_though_the_body_is_fine() {
        for check in every_flavor() {
            let report = check.run(async {
                let helper = straggler::background(async { panic!("no such table") });
                assert!(helper.await.unwrap_err().is_panic());
            });
            let report = report.unwrap_err();
            assert_eq!(*report.verdict(), Verdict::BackgroundPanicked);
            let [panic] = report.background_panics() else {
                panic!("{report}");
            };
            assert_eq!(
                (panic.message(), panic.place().file()),
                (Some("no such table"), file!())
            );
            assert!(
                report.to_string().contains("panicked: no such table"),
                "{report}"
            );
        }
    }

    #[test]
    fn a_helper_that_panics_does_not_hide_a_leak() {
        let report = LeakCheck::new().grace(SHORT).run(async {
            straggler::spawn(pending::<()>());
            straggler::background(async { panic!("no such table") });
            yield_now().await;
        });
        let report = report.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::Leaked);
        assert!(
            report.to_string().contains("panicked: no such table"),
            "{report}"
        );
    }

    #[test]
    fn a_helper_returns_what_it_returns() {
        assert_clean(|| async { assert_eq!(straggler::background(async { 7 }).await.unwrap(), 7) });
    }

    #[test]
    fn a_helper_that_begins_after_the_body_is_stopped_too() {
        let check = LeakCheck::new().grace(Duration::from_secs(60));
        let body = async {
            straggler::spawn(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                straggler::background(pending::<()>());
            });
        };
        check.run(body).unwrap();
    }

    #[test]
    fn outside_of_a_check_a_helper_is_a_task_like_any_other() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let output = runtime.block_on(async { straggler::background(async { 7 }).await });
        assert_eq!(output.unwrap(), 7);
    }
}

mod the_time_of_a_test {
    use super::*;

    /// Where a body waits whose time is up, the same in each flavor.
    #[track_caller]
    fn hangs<F: Future>(mut body: impl FnMut() -> F) -> Wait {
        let [current, multi, local] = every_flavor().map(|check| {
            let Err(report) = check.timeout(SHORT).run(body()) else {
                panic!("it ended");
            };
            match report.verdict() {
                Verdict::Hung {
                    timeout: SHORT,
                    wait,
                } => wait.clone(),
                _ => panic!("{report}"),
            }
        });
        assert_eq!((&current, &current), (&multi, &local));
        current
    }

    #[test]
    fn is_not_used_up_by_one_that_ends() {
        for check in every_flavor() {
            let check = check.timeout(Duration::from_secs(3600));
            let body = async { tokio::time::sleep(Duration::from_millis(1)).await };
            check.run(body).unwrap();
        }
        let check = LeakCheck::new().timeout(Duration::MAX);
        check.run(yield_now()).unwrap();
    }

    #[test]
    fn ends_and_the_body_is_asked_where_it_waits() {
        let wait = hangs(|| async {
            let (_sign, signed) = oneshot::channel();
            waits(signed).await;
        });
        let Wait::At(places) = wait else {
            panic!("{wait}");
        };
        let functions: Vec<_> = places[0].calls().iter().map(Call::function).collect();
        assert_eq!(functions[0], "leaks::waits");
        assert!(functions[1].ends_with("ends_and_the_body_is_asked_where_it_waits"));
    }

    #[test]
    fn is_over_also_if_the_body_could_not_be_asked_and_ends_later() {
        for check in every_flavor() {
            let (begins, begun) = std_mpsc::channel();
            let (end, ended) = std_mpsc::channel::<()>();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    begun.recv().unwrap();
                    // Its time is over by then, however long this takes.
                    std::thread::sleep(2 * SHORT);
                    drop(end);
                });
                let report = check.timeout(SHORT).run(async move {
                    begins.send(()).unwrap();
                    _ = ended.recv();
                });
                let report = report.unwrap_err();
                assert!(
                    matches!(report.verdict(), Verdict::Late { timeout: SHORT, took } if *took >= 2 * SHORT)
                );
                assert!(
                    report.to_string().contains("blocked its thread"),
                    "{report}"
                );
            });
        }
    }

    #[test]
    fn ends_also_for_a_body_that_is_busy_or_that_nothing_can_wake() {
        let busy = hangs(|| async {
            loop {
                yield_now().await;
            }
        });
        assert!(matches!(busy, Wait::Busy(_)), "{busy}");
        assert_eq!(hangs(pending::<()>), Wait::Unwakeable);
    }

    #[test]
    fn ends_for_each_of_several_tests_at_its_own_time() {
        std::thread::scope(|scope| {
            for milliseconds in [40, 10, 30, 20, 60_000] {
                let timeout = Duration::from_millis(milliseconds);
                scope.spawn(move || {
                    let check = LeakCheck::new().timeout(timeout);
                    if milliseconds == 60_000 {
                        check.run(yield_now()).unwrap();
                    } else {
                        let report = check.run(pending::<()>()).unwrap_err();
                        assert!(matches!(report.verdict(), Verdict::Hung { timeout: of, .. } if *of == timeout));
                    }
                });
            }
        });
    }

    #[test]
    fn is_real_time_also_if_the_clock_is_paused() {
        let output = paused().timeout(Duration::from_secs(60)).run(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        });
        output.unwrap();
        let report = paused().timeout(SHORT).run(async {
            let (_sign, signed) = oneshot::channel();
            waits(signed).await;
        });
        assert!(matches!(
            report.unwrap_err().verdict(),
            Verdict::Hung { .. }
        ));
    }

    #[test]
    fn says_where_the_tasks_wait_that_are_alive_also_those_that_may_remain() {
        let report = LeakCheck::new().timeout(SHORT).allow(5).run(async {
            let (_sign, signed) = oneshot::channel();
            straggler::spawn(waits(signed));
            pending::<()>().await;
        });
        let report = report.unwrap_err();
        assert_eq!(report.count(), 1);
        assert!(matches!(report.tasks()[0].wait(), Wait::At(_)), "{report}");
        assert!(
            report.to_string().contains("meanwhile 1 task is alive"),
            "{report}"
        );
    }
}

mod the_body {
    use super::*;

    #[test]
    fn lets_its_panic_go_on_with_its_payload_also_with_a_leak() {
        let check = LeakCheck::new().grace(SHORT);
        let panicking = || {
            check.run(async {
                straggler::spawn(pending::<()>());
                std::panic::panic_any(7);
            })
        };
        let payload = catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&7));
    }

    #[test]
    fn is_not_clean_where_the_check_itself_panics() {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let mut builder = Builder::new_current_thread();
        builder.on_thread_park(move || assert!(!over.load(SeqCst), "in the middle of the check"));
        let report = LeakCheck::new().runtime(builder).run(async move {
            tokio::spawn(pending::<()>());
            is_over.store(true, SeqCst);
        });
        let report = report.unwrap_err();
        assert!(
            matches!(report.verdict(), Verdict::CheckFailed(_)),
            "{report}"
        );
        assert!(
            report
                .to_string()
                .contains("panicked: in the middle of the check"),
            "{report}"
        );
    }

    #[test]
    fn is_not_run_inside_of_a_runtime() {
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let outer = LeakCheck::new()
            .run(async { LeakCheck::new().run(async move { runs.store(true, SeqCst) }) });
        let report = outer.unwrap().unwrap_err();
        assert!(matches!(report.verdict(), Verdict::NotRun(_)));
        let text = report.to_string();
        assert!(
            text.contains("inside of a tokio runtime") && text.contains("LeakCheck::watch"),
            "{text}"
        );
        assert!(!ran.load(SeqCst));
    }
}
