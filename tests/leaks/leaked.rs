//! Tests that leave tasks behind, and what is said of them.

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
    // The poll that finds out where it waits does not count.
    assert_eq!(task.polls(), Some(1));
    let Wait::At(waits) = task.wait() else {
        panic!("{report}");
    };
    assert_eq!(waits[0].on(), Some("tokio::sync::oneshot::Receiver"));
    let call = &waits[0].calls()[0];
    assert_eq!(call.function(), "leaks::waits");
    assert_eq!(call.place().unwrap().file(), "tests/leaks/main.rs");
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
                while ended.lock().unwrap().try_recv() != Err(std_mpsc::TryRecvError::Disconnected)
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
    assert_eq!(task.polls(), Some(1));
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
