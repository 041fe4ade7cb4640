//! Tests with a timeout.

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
                report
                    .to_string()
                    .contains("it was inside of one poll then"),
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

#[test]
fn says_where_a_task_waits_that_the_body_polls_in_a_local_set() {
    let check = LeakCheck::new().timeout(SHORT);
    let report = check.run(LocalSet::new().run_until(async {
        let (sign, signed) = oneshot::channel::<()>();
        let waits = straggler::spawn_local(async { _ = signed.await });
        waits.await.unwrap();
        drop(sign);
    }));
    let report = report.unwrap_err();
    let [task] = report.tasks() else {
        panic!("{report}");
    };
    assert!(matches!(task.wait(), Wait::At(_)), "{report}");
}

/// Children of which the first has ended, and the last waits.
fn one_that_has_ended_and(other: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> {
    let (sign, signed) = oneshot::channel::<()>();
    let waits = async move {
        _ = signed.await;
        drop(sign);
    };
    let children: [Pin<Box<dyn Future<Output = ()>>>; 3] =
        [Box::pin(async {}), Box::pin(other), Box::pin(waits)];
    async { drop(straggler::settle_all(children).await) }
}

#[test]
fn says_where_those_children_wait_that_have_not_ended() {
    let Wait::At(places) = hangs(|| one_that_has_ended_and(async {})) else {
        panic!("one of them waits");
    };
    let [place] = &places[..] else {
        panic!("{places:?}");
    };
    assert!(place.children()[0].starts_with("#2 of the join at "));
}

#[test]
fn says_which_child_is_busy_that_is_in_line_already() {
    let wait = hangs(|| {
        one_that_has_ended_and(poll_fn(|context| {
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
