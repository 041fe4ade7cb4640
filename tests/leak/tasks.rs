//! Leaked tasks, and what the report says about each.

use std::task::{Context, Wake, Waker};

use super::*;

#[test]
fn forever_pending_task_reported() {
    let report = expect_leak(|| async { drop(tokio::spawn(pending::<()>())) });
    assert_eq!(report.count(), 1);
}

#[test]
fn tracked_task_reported_with_details() {
    let line = line!() + 4;
    let report = expect_leak(|| async {
        let (sender, receiver) = oneshot::channel();
        Box::leak(Box::new(sender));
        straggler::spawn_named("janitor", wait_for(receiver));
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
    // The probe that finds the wait is not counted.
    assert_eq!(task.polls(), Some(1));
    let Wait::At(waits) = task.wait() else {
        panic!("{report}");
    };
    assert_eq!(waits[0].on(), Some("tokio::sync::oneshot::Receiver"));
    let call = &waits[0].calls()[0];
    assert_eq!(call.function(), "leak::checks::wait_for");
    let file = call.place().unwrap().file();
    assert!(file.ends_with("common/checks.rs"), "{file}");
    assert_eq!(report.unseen(), 0);
}

#[test]
fn task_outliving_grace_reported() {
    let (end, ended) = std_mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let report = expect_leak(|| {
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
fn equal_leaks_grouped_by_line() {
    let report = expect_leak(|| async {
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
fn concurrent_checks_charged_with_own_tasks() {
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
                // Long enough for clean tasks to end on a loaded machine.
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
fn grandchild_traced_to_test_after_parent_ended() {
    let report = expect_leak(|| async {
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
fn spawns_from_other_threads_attributed() {
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
fn unpolled_task_polled_before_verdict() {
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
fn looping_worker_advised_to_use_token() {
    let report = expect_leak(|| async {
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
        text.contains("cancel it with a `CancellationToken`"),
        "{text}"
    );
}

#[test]
fn yield_loop_reported_as_busy() {
    let report = expect_leak(|| async {
        straggler::spawn(async {
            loop {
                yield_now().await;
            }
        });
        straggler::spawn(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        // Yields only because its cooperative budget is spent.
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
fn accepting_task_located() {
    let report = expect_leak(|| async {
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
fn task_without_waker_is_unwakeable() {
    let report = expect_leak(|| async { drop(straggler::spawn(pending::<()>())) });
    assert_eq!(*report.tasks()[0].wait(), Wait::Unwakeable);
}

#[test]
fn join_children_located_and_named() {
    let report = expect_leak(|| async {
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let (sender, receiver) = oneshot::channel();
                Box::leak(Box::new(sender));
                receiver
            })
            .collect();
        straggler::spawn(async {
            let names = ["reader", "writer"];
            let inner = straggler::settle_all(receivers.into_iter().map(wait_for))
                .named(|index| names[index]);
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
    assert_eq!(waits[0].calls()[0].function(), "leak::checks::wait_for");
    // Its first poll. The probe is not counted, and wakes nothing.
    assert_eq!(task.polls(), Some(1));
}

#[test]
fn children_beyond_coop_budget_located() {
    let report = expect_leak(|| async {
        let channels: Vec<_> = (0..200).map(|_| oneshot::channel::<()>()).collect();
        let (senders, receivers): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
        straggler::spawn(async {
            let _senders = senders;
            let _ = straggler::settle_all(receivers).await;
        });
    });
    let Wait::At(places) = report.tasks()[0].wait() else {
        panic!("{report}");
    };
    assert_eq!(places.len(), 200);
    assert!(report.to_string().contains("and at 190 more\n"), "{report}");
}

#[test]
fn panic_and_spawns_in_leak_drop_ignored() {
    struct PanicsAndSpawns;
    impl Drop for PanicsAndSpawns {
        fn drop(&mut self) {
            tokio::spawn(pending::<()>());
            straggler::spawn(pending::<()>());
            panic!("dropped at shutdown");
        }
    }

    let report = expect_leak(|| async {
        straggler::spawn(async {
            let _panics = PanicsAndSpawns;
            pending::<()>().await;
        });
    });
    assert_eq!(report.count(), 1);
}

#[test]
fn local_tasks_counted_in_local_runtime() {
    let check = LeakCheck::new().local().grace(SHORT);
    let report = check.run(async {
        tokio::task::spawn_local(pending::<()>());
        straggler::spawn_local(pending::<()>());
    });
    assert_eq!(report.unwrap_err().count(), 2);
}

#[test]
fn tracked_task_of_kept_local_set_reported() {
    let kept = std::cell::RefCell::new(None);
    let report = LeakCheck::new().grace(SHORT).run(async {
        let set = LocalSet::new();
        set.run_until(async { drop(straggler::spawn_local(pending::<()>())) })
            .await;
        kept.replace(Some(set));
    });
    assert_eq!(report.unwrap_err().count(), 1);
}

#[test]
fn leak_during_spawn_on_local_set_counted() {
    /// Spawns a task when the set is woken, which happens inside of `spawn_local`.
    struct Spawns;
    impl Wake for Spawns {
        fn wake(self: Arc<Self>) {
            tokio::spawn(pending::<()>());
        }
    }

    for check in [LeakCheck::new(), multi_thread()] {
        let kept = std::cell::RefCell::new(None);
        let report = check.grace(SHORT).run(async {
            let mut set = LocalSet::new();
            set.spawn_local(pending::<()>());
            let waker = Waker::from(Arc::new(Spawns));
            let polled = Pin::new(&mut set).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            let entered = set.enter();
            straggler::spawn_local(pending::<()>());
            drop(entered);
            kept.replace(Some(set));
        });
        let report = report.unwrap_err();
        assert_eq!((report.count(), report.unseen()), (2, 1), "{report}");
    }
}

#[test]
fn waits_inside_tokio_macros_located() {
    let report = expect_leak(|| async {
        straggler::spawn(async {
            let hour = Duration::from_secs(3600);
            tokio::join!(tokio::time::sleep(hour), tokio::time::sleep(hour));
        });
        straggler::spawn(async {
            let (_sender, receiver) = oneshot::channel::<()>();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
                _ = receiver => {}
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

#[test]
fn select_branches_listed_by_source_line() {
    // `select!` polls its branches in random order.
    let report = expect_leak(|| async {
        for _ in 0..16 {
            straggler::spawn(async {
                let ((_first, first), (_second, second)) = (oneshot::channel(), oneshot::channel());
                tokio::select! {
                    () = async { wait_for(first).await } => {}
                    () = async { wait_for(second).await } => {}
                }
            });
        }
    });
    for task in report.tasks() {
        let Wait::At(places) = task.wait() else {
            panic!("{report}");
        };
        let line = |place: &WaitPlace| place.calls()[1].place().map(Place::line);
        assert_eq!(places.len(), 2, "{report}");
        assert!(line(&places[0]) < line(&places[1]), "{report}");
    }
}

/// A trait with a method that the type has too.
trait Source {
    async fn recv(&mut self) -> Option<()>;
}

impl Source for mpsc::Receiver<()> {
    async fn recv(&mut self) -> Option<()> {
        // That of the type.
        Self::recv(self).await
    }
}

#[test]
fn method_of_type_named_inside_method_of_trait() {
    let report = expect_leak(|| async {
        let (sender, mut receiver) = mpsc::channel(1);
        Box::leak(Box::new(sender));
        straggler::spawn(async move { Source::recv(&mut receiver).await });
    });
    let Wait::At(places) = report.tasks()[0].wait() else {
        panic!("{report}");
    };
    let expected = "tokio::sync::mpsc::bounded::Receiver::recv";
    assert_eq!(places[0].on(), Some(expected), "{report}");
}

#[test]
fn select_without_budget_named() {
    let report = expect_leak(|| async {
        straggler::spawn(async {
            loop {
                for _ in 0..128 {
                    tokio::task::coop::consume_budget().await;
                }
                tokio::select! {
                    () = std::future::ready(()) => {}
                    () = pending() => {}
                }
            }
        });
    });
    let Wait::Busy(places) = report.tasks()[0].wait() else {
        panic!("{report}");
    };
    assert_eq!(places[0].on(), Some("tokio::select!"), "{report}");
}
