//! The timeout of a check.

use super::*;

/// Expects the body to time out in every flavor, waiting at the same place; returns that place.
#[track_caller]
fn expect_hang<F: Future>(mut body: impl FnMut() -> F) -> Wait {
    let [current, multi, local] = every_flavor().map(|check| {
        let Err(report) = check.timeout(SHORT).run(body()) else {
            panic!("the body ended");
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
fn timeout_not_awaited_by_finished_body() {
    for check in every_flavor() {
        let check = check.timeout(Duration::from_secs(3600));
        let body = async { tokio::time::sleep(Duration::from_millis(1)).await };
        check.run(body).unwrap();
    }
    let check = LeakCheck::new().timeout(Duration::MAX);
    check.run(yield_now()).unwrap();
}

#[test]
fn timeout_reports_where_body_waits() {
    let wait = expect_hang(|| async {
        let (_sender, receiver) = oneshot::channel();
        wait_for(receiver).await;
    });
    let Wait::At(places) = wait else {
        panic!("{wait}");
    };
    let functions: Vec<_> = places[0].calls().iter().map(Call::function).collect();
    assert_eq!(functions[0], "leak::checks::wait_for");
    assert!(functions[1].ends_with("timeout_reports_where_body_waits"));
}

#[test]
fn body_ending_after_timeout_is_late() {
    for check in every_flavor() {
        let (begins, begun) = std_mpsc::channel();
        let (end, ended) = std_mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                begun.recv().unwrap();
                // However long this sleep takes, the timeout has passed after it.
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
                report.to_string().contains("found the body inside a poll"),
                "{report}"
            );
        });
    }
}

#[test]
fn timeout_ends_busy_and_unwakeable_bodies() {
    let busy = expect_hang(|| async {
        loop {
            yield_now().await;
        }
    });
    assert!(matches!(busy, Wait::Busy(_)), "{busy}");
    assert_eq!(expect_hang(pending::<()>), Wait::Unwakeable);
}

#[test]
fn concurrent_timeouts_expire_separately() {
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
fn timeout_uses_real_time_on_paused_clock() {
    let output = paused().timeout(Duration::from_secs(60)).run(async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    });
    output.unwrap();
    let report = paused().timeout(SHORT).run(async {
        let (_sender, receiver) = oneshot::channel();
        wait_for(receiver).await;
    });
    assert!(matches!(
        report.unwrap_err().verdict(),
        Verdict::Hung { .. }
    ));
}

#[test]
fn timeout_locates_allowed_tasks_too() {
    let report = LeakCheck::new().timeout(SHORT).allow(5).run(async {
        let (_sender, receiver) = oneshot::channel();
        straggler::spawn(wait_for(receiver));
        pending::<()>().await;
    });
    let report = report.unwrap_err();
    assert_eq!(report.count(), 1);
    assert!(matches!(report.tasks()[0].wait(), Wait::At(_)), "{report}");
    assert!(
        report.to_string().contains("still alive: 1 task"),
        "{report}"
    );
}

#[test]
fn timeout_locates_local_set_task() {
    let check = LeakCheck::new().timeout(SHORT);
    let report = check.run(LocalSet::new().run_until(async {
        let (sender, receiver) = oneshot::channel::<()>();
        let waits = straggler::spawn_local(async { _ = receiver.await });
        waits.await.unwrap();
        drop(sender);
    }));
    let report = report.unwrap_err();
    let [task] = report.tasks() else {
        panic!("{report}");
    };
    assert!(matches!(task.wait(), Wait::At(_)), "{report}");
}

/// Joins a finished child, `other`, and a child that waits.
fn join_beside(other: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> {
    let (sender, receiver) = oneshot::channel::<()>();
    let waits = async move {
        _ = receiver.await;
        drop(sender);
    };
    let children: [Pin<Box<dyn Future<Output = ()>>>; 3] =
        [Box::pin(async {}), Box::pin(other), Box::pin(waits)];
    async { drop(straggler::settle_all(children).await) }
}

#[test]
fn timeout_locates_only_pending_children() {
    let Wait::At(places) = expect_hang(|| join_beside(async {})) else {
        panic!("the body waits at a known place");
    };
    let [place] = &places[..] else {
        panic!("{places:?}");
    };
    assert!(place.children()[0].starts_with("#2 of the join at "));
}

#[test]
fn timeout_names_busy_child() {
    let wait = expect_hang(|| {
        join_beside(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    });
    let Wait::Busy(places) = wait else {
        panic!("{wait}");
    };
    let [place] = &places[..] else {
        panic!("{places:?}");
    };
    assert!(place.children()[0].starts_with("#1 of the join at "));
}

#[test]
fn clean_up_spawned_in_drop_ends_after_hang() {
    for check in every_flavor() {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let cleans = SpawnsCleanUp(Arc::clone(&cleaned));
        let check = check.timeout(SHORT).grace(Duration::from_secs(10));
        let report = check.run(async move {
            let _cleans = cleans;
            pending::<()>().await;
        });
        assert!(matches!(
            report.unwrap_err().verdict(),
            Verdict::Hung { .. }
        ));
        assert_eq!(cleaned.load(SeqCst), 2);
    }
}

#[test]
fn clean_up_spawned_in_drop_ends_after_late_body() {
    let cleaned = Arc::new(AtomicUsize::new(0));
    let cleans = SpawnsCleanUp(Arc::clone(&cleaned));
    let check = LeakCheck::new().timeout(Duration::ZERO);
    let report = check.grace(Duration::from_secs(10)).run(async move {
        drop(cleans);
    });
    assert!(matches!(
        report.unwrap_err().verdict(),
        Verdict::Late { .. } | Verdict::Hung { .. }
    ));
    assert_eq!(cleaned.load(SeqCst), 2);
}

#[test]
fn timed_out_body_advised_by_its_timer() {
    let advice = |body: Pin<Box<dyn Future<Output = ()>>>| {
        let report = LeakCheck::new().timeout(SHORT).run(body).unwrap_err();
        let text = report.to_string();
        let why = "a timer that fires after its timeout. What to do:\n  ";
        let (_, steps) = text.split_once(why).expect(&text);
        steps.lines().next().unwrap().to_owned()
    };
    let long = Duration::from_secs(3600);
    let timeout = advice(Box::pin(async move {
        _ = tokio::time::timeout(long, pending::<()>()).await;
    }));
    assert!(timeout.starts_with("shorten the `timeout`"), "{timeout}");
    let sleep = advice(Box::pin(async move { tokio::time::sleep(long).await }));
    assert!(sleep.starts_with("shorten the sleep"), "{sleep}");
    let interval = advice(Box::pin(async move {
        let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + long, long);
        interval.tick().await;
    }));
    assert!(interval.starts_with("end the loop"), "{interval}");
}
