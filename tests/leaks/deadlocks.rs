//! Under a paused clock it is seen, after a second or two, that a test can never end.

use std::thread;
use std::time::Instant;

use straggler::Lock;
use tokio::sync::Mutex as AsyncMutex;

use super::*;

/// Locks two locks, the second when its sibling has the other one.
async fn lock_both(first: &AsyncMutex<()>, second: &AsyncMutex<()>) {
    let _first = first.lock().await;
    yield_now().await;
    let _second = second.lock().await;
}

/// The wait of a body that is found to be deadlocked long before its time is up.
#[track_caller]
fn deadlock<F: Future>(body: F) -> Report {
    let begun = Instant::now();
    let report = paused().timeout(Duration::from_secs(3600)).run(body);
    let Err(report) = report else {
        panic!("it ended");
    };
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        matches!(report.verdict(), Verdict::Deadlocked { .. }),
        "{report}"
    );
    report
}

#[test]
fn of_children_that_lock_in_different_order_is_told_with_their_lines() {
    let report = deadlock(async {
        let (accounts, audit) = (AsyncMutex::new(()), AsyncMutex::new(()));
        straggler::settle!(lock_both(&accounts, &audit), lock_both(&audit, &accounts));
    });
    let Verdict::Deadlocked {
        wait: Wait::At(places),
    } = report.verdict()
    else {
        panic!("{report}");
    };
    assert_eq!(places.len(), 2, "{report}");
    for place in places {
        assert_eq!(place.calls()[0].function(), "leaks::deadlocks::lock_both");
        assert_eq!(place.children().len(), 1);
    }
}

#[test]
fn of_tasks_is_told_with_where_each_of_them_waits() {
    let report = deadlock(async {
        let locks = Arc::new((AsyncMutex::new(()), AsyncMutex::new(())));
        let reader = Arc::clone(&locks);
        let reader = straggler::spawn(async move { lock_both(&reader.0, &reader.1).await });
        let writer = straggler::spawn(async move { lock_both(&locks.1, &locks.0).await });
        let (read, written) = tokio::join!(reader, writer);
        (read.unwrap(), written.unwrap())
    });
    assert_eq!(report.count(), 2);
    for task in report.tasks() {
        assert!(matches!(task.wait(), Wait::At(_)), "{report}");
    }
}

#[test]
fn of_tasks_of_a_set_is_told() {
    let report = deadlock(async {
        let locks = Arc::new((AsyncMutex::new(()), AsyncMutex::new(())));
        let mut set = straggler::tokio::task::JoinSet::new();
        let reader = Arc::clone(&locks);
        set.spawn(async move { lock_both(&reader.0, &reader.1).await });
        set.spawn(async move { lock_both(&locks.1, &locks.0).await });
        while set.join_next().await.is_some() {}
    });
    assert_eq!(report.count(), 2);
}

#[test]
fn is_told_also_when_blocking_work_has_ended() {
    deadlock(async {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        let (_sign, signed) = oneshot::channel::<()>();
        _ = signed.await;
    });
}

#[test]
fn is_told_also_where_the_test_may_take_for_ever() {
    let (tell, told) = std_mpsc::channel();
    thread::spawn(move || {
        let report = paused().no_timeout().run(pending::<()>());
        _ = tell.send(report);
    });
    let report = told.recv_timeout(Duration::from_secs(60));
    let report = report.expect("it is seen").unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Deadlocked { .. }));
}

#[test]
fn is_none_while_another_test_has_the_lock() {
    static LOCK: Lock = Lock::new();
    let (acquire, acquired) = std_mpsc::channel();
    let (release, released) = oneshot::channel::<()>();
    let other = thread::spawn(|| {
        LeakCheck::new().run(async move {
            let _guard = LOCK.acquire().await;
            acquire.send(()).unwrap();
            _ = released.await;
        })
    });
    acquired.recv().unwrap();
    let releasing = thread::spawn(|| {
        later();
        release.send(()).unwrap();
    });
    let output = paused().run(async { drop(LOCK.acquire().await) });
    releasing.join().unwrap();
    other.join().unwrap().unwrap();
    output.unwrap();
}

#[test]
fn of_a_body_that_waits_for_a_sign_to_stop_is_told() {
    let report = deadlock(async {
        let stop = tokio_util::sync::CancellationToken::new();
        stop.cancelled().await;
    });
    assert_eq!(report.count(), 0);
}

#[test]
fn of_participants_of_whom_one_stays_and_never_arrives_is_told() {
    let report = deadlock(async {
        let rendezvous = straggler::Rendezvous::new(2);
        let (mut waits, _stays) = (rendezvous.join(), rendezvous.join());
        waits.wait().await.unwrap();
    });
    let Verdict::Deadlocked {
        wait: Wait::At(places),
    } = report.verdict()
    else {
        panic!("{report}");
    };
    assert_eq!(places.len(), 1, "{report}");
    assert_eq!(places[0].on(), Some("straggler::Participant::wait"));
}

#[test]
fn of_a_body_that_nobody_answers_is_one_also_in_a_local_runtime() {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    let check = LeakCheck::new().runtime(builder).local();
    let report = check.timeout(Duration::from_secs(3600)).run(async {
        let (_sign, signed) = oneshot::channel();
        waits(signed).await;
    });
    let report = report.unwrap_err();
    assert!(
        matches!(report.verdict(), Verdict::Deadlocked { .. }),
        "{report}"
    );
}

#[test]
fn is_none_while_there_is_a_timer() {
    let output = paused().run(async {
        let (sign, signed) = oneshot::channel();
        straggler::spawn(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            sign.send(()).unwrap();
        });
        signed.await.unwrap();
    });
    output.unwrap();
}

/// Lets something happen after the watchdog has looked at a test that stands still: for that there is
/// no sign.
fn later() {
    thread::sleep(Duration::from_secs(2));
}

#[test]
fn is_told_also_of_a_body_that_was_busy_for_long_before() {
    let report = deadlock(async {
        later();
        yield_now().await;
        let (_sign, signed) = oneshot::channel();
        waits(signed).await;
    });
    assert_eq!(report.count(), 0);
}

/// A poll that takes long, as one that computes does.
async fn computes() {
    yield_now().await;
    later();
}

#[test]
fn is_none_while_a_task_computes() {
    let output = paused().run(async {
        straggler::spawn(computes()).await.unwrap();
        // What the body goes on with when it was asked meanwhile.
        straggler::spawn(async {}).await.unwrap();
    });
    output.unwrap();
    let output = paused().run(async {
        tokio::spawn(computes()).await.unwrap();
        straggler::spawn(async {}).await.unwrap();
    });
    output.unwrap();
}

#[test]
fn is_none_while_blocking_work_follows_a_task_that_computes() {
    let output = paused().run(async {
        tokio::spawn(computes()).await.unwrap();
        let work = tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(50)));
        work.await.unwrap();
    });
    output.unwrap();
}

#[test]
fn is_none_while_two_that_compute_in_turn_answer_one_another() {
    let output = paused().run(async {
        let (ask, mut asked) = tokio::sync::mpsc::channel::<oneshot::Sender<()>>(1);
        let answering = tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                computes().await;
                answer.send(()).unwrap();
            }
        });
        for _ in 0..2 {
            let (answer, answered) = oneshot::channel();
            ask.send(answer).await.unwrap();
            answered.await.unwrap();
        }
        drop(ask);
        answering.await.unwrap();
    });
    output.unwrap();
}

#[test]
fn is_none_while_blocking_work_is_under_way() {
    for is_tracked in [true, false] {
        let output = paused().run(async move {
            let (sign, signed) = oneshot::channel();
            let work = move || {
                later();
                sign.send(()).unwrap();
            };
            let work = if is_tracked {
                straggler::spawn_blocking(work)
            } else {
                tokio::task::spawn_blocking(work)
            };
            signed.await.unwrap();
            work.await.unwrap();
        });
        output.unwrap();
    }
}

#[test]
fn is_none_while_the_network_is_waited_for() {
    let output = paused().run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = thread::spawn(move || {
            later();
            std::net::TcpStream::connect(address).unwrap()
        });
        listener.accept().await.unwrap();
        connecting.join().unwrap();
    });
    output.unwrap();
}

#[test]
fn is_none_that_can_be_told_where_a_task_is_not_tracked_or_the_clock_runs() {
    let output = paused().run(async {
        let (sign, signed) = oneshot::channel();
        let task = tokio::spawn(waits(signed));
        let (done, is_done) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            later();
            drop((sign, done));
        });
        _ = is_done.await;
        task.await.unwrap();
        thread.join().unwrap();
    });
    output.unwrap();
    let output = LeakCheck::new().run(async {
        let (sign, signed) = oneshot::channel();
        let thread = thread::spawn(move || {
            later();
            drop(sign);
        });
        waits(signed).await;
        thread.join().unwrap();
    });
    output.unwrap();
}

#[test]
fn a_body_that_was_looked_at_and_may_go_on_is_still_given_up_when_its_time_is_up() {
    // Longer than until it is looked at whether it can still end.
    let report = paused().timeout(Duration::from_millis(2500)).run(async {
        let mut kept = None;
        // Somebody outside of the runtime may wake it.
        poll_fn(|context| {
            kept = Some(context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    });
    let report = report.unwrap_err();
    let Verdict::Hung { wait, .. } = report.verdict() else {
        panic!("{report}");
    };
    assert!(matches!(wait, Wait::At(_)), "{report}");
}
