//! On a paused clock, a deadlock is detected within two seconds.

use std::thread;

use straggler::Lock;
use tokio::sync::Mutex as AsyncMutex;

use super::*;

/// Takes two locks, and yields in between so that a sibling can take the second.
async fn lock_both(first: &AsyncMutex<()>, second: &AsyncMutex<()>) {
    let _first = first.lock().await;
    yield_now().await;
    let _second = second.lock().await;
}

#[test]
fn deadlock_of_children_reported_with_lines() {
    let report = expect_deadlock(async {
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
        assert_eq!(
            place.calls()[0].function(),
            "leak_deadlocks::deadlock::lock_both"
        );
        assert_eq!(place.children().len(), 1);
    }
}

#[test]
fn deadlock_of_tasks_reported_with_waits() {
    let report = expect_deadlock(async {
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
fn deadlock_in_join_set_reported() {
    let report = expect_deadlock(async {
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
fn deadlock_reported_after_blocking_work() {
    expect_deadlock(async {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        let (_sender, receiver) = oneshot::channel::<()>();
        _ = receiver.await;
    });
}

#[test]
fn deadlock_reported_without_timeout() {
    expect_deadlock_in(paused().no_timeout(), async {
        let (_sender, receiver) = oneshot::channel();
        wait_for(receiver).await;
    });
}

#[test]
fn deadlock_not_reported_while_other_test_holds_lock() {
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
        wait_past_probe();
        release.send(()).unwrap();
    });
    let output = paused().run(async { drop(LOCK.acquire().await) });
    releasing.join().unwrap();
    other.join().unwrap().unwrap();
    output.unwrap();
}

#[test]
fn deadlock_reported_for_cancellation_token() {
    let report = expect_deadlock(async {
        let stop = tokio_util::sync::CancellationToken::new();
        stop.cancelled().await;
    });
    assert_eq!(report.count(), 0);
}

#[test]
fn deadlock_reported_for_missing_participant() {
    let report = expect_deadlock(async {
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
fn deadlock_reported_in_local_runtime() {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    let check = LeakCheck::new().runtime(builder).local();
    expect_deadlock_in(check.timeout(Duration::from_secs(3600)), async {
        let (_sender, receiver) = oneshot::channel();
        wait_for(receiver).await;
    });
}

#[test]
fn deadlock_not_reported_with_pending_timer() {
    let output = paused().run(async {
        let (sender, receiver) = oneshot::channel();
        straggler::spawn(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            sender.send(()).unwrap();
        });
        receiver.await.unwrap();
    });
    output.unwrap();
}

#[test]
fn deadlock_reported_after_long_poll() {
    let report = expect_deadlock(async {
        wait_past_probe();
        yield_now().await;
        let (_sender, receiver) = oneshot::channel();
        wait_for(receiver).await;
    });
    assert_eq!(report.count(), 0);
}

/// One long poll, as of a computation.
async fn compute() {
    yield_now().await;
    wait_past_probe();
}

#[test]
fn deadlock_not_reported_while_task_computes() {
    let output = paused().run(async {
        straggler::spawn(compute()).await.unwrap();
        // The body must still make progress after a probe.
        straggler::spawn(async {}).await.unwrap();
    });
    output.unwrap();
    let output = paused().run(async {
        tokio::spawn(compute()).await.unwrap();
        straggler::spawn(async {}).await.unwrap();
    });
    output.unwrap();
}

#[test]
fn deadlock_not_reported_for_blocking_work_after_poll() {
    let output = paused().run(async {
        tokio::spawn(compute()).await.unwrap();
        let work = tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(50)));
        work.await.unwrap();
    });
    output.unwrap();
}

#[test]
fn deadlock_not_reported_while_tasks_alternate() {
    let output = paused().run(async {
        let (ask, mut asked) = tokio::sync::mpsc::channel::<oneshot::Sender<()>>(1);
        let answering = tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                compute().await;
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
fn deadlock_not_reported_during_blocking_work() {
    for is_tracked in [true, false] {
        let output = paused().run(async move {
            let (sender, receiver) = oneshot::channel();
            let work = move || {
                wait_past_probe();
                sender.send(()).unwrap();
            };
            let work = if is_tracked {
                straggler::spawn_blocking(work)
            } else {
                tokio::task::spawn_blocking(work)
            };
            receiver.await.unwrap();
            work.await.unwrap();
        });
        output.unwrap();
    }
}

#[test]
fn deadlock_not_reported_while_awaiting_network() {
    let output = paused().run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = thread::spawn(move || {
            wait_past_probe();
            std::net::TcpStream::connect(address).unwrap()
        });
        listener.accept().await.unwrap();
        connecting.join().unwrap();
    });
    output.unwrap();
}

#[test]
fn deadlock_not_reported_if_untracked_or_unpaused() {
    let output = paused().run(async {
        let (sender, receiver) = oneshot::channel();
        let task = tokio::spawn(wait_for(receiver));
        let (done, is_done) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            wait_past_probe();
            drop((sender, done));
        });
        _ = is_done.await;
        task.await.unwrap();
        thread.join().unwrap();
    });
    output.unwrap();
    let output = LeakCheck::new().run(async {
        let (sender, receiver) = oneshot::channel();
        let thread = thread::spawn(move || {
            wait_past_probe();
            drop(sender);
        });
        wait_for(receiver).await;
        thread.join().unwrap();
    });
    output.unwrap();
}

#[test]
fn probed_body_still_times_out() {
    // Longer than the watchdog waits before it probes.
    let report = paused().timeout(Duration::from_millis(2500)).run(async {
        let mut kept = None;
        // Something outside the runtime could still use this waker, so it is no deadlock.
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

#[test]
fn clean_up_spawned_in_drop_ends_after_deadlock() {
    let cleaned = Arc::new(AtomicUsize::new(0));
    let cleans = SpawnsCleanUp(Arc::clone(&cleaned));
    let check = paused().grace(Duration::from_secs(10));
    let report = check.run(async move {
        let _cleans = cleans;
        let lock = tokio::sync::Mutex::new(());
        let _held = lock.lock().await;
        drop(lock.lock().await);
    });
    assert!(matches!(
        report.unwrap_err().verdict(),
        Verdict::Deadlocked { .. }
    ));
    assert_eq!(cleaned.load(SeqCst), 2);
}

/// A thread that may send the answer, for all that is known.
#[test]
fn timeout_of_likely_deadlock_says_so() {
    let (stop, stopped) = std_mpsc::channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    let locks = Arc::new((AsyncMutex::new(()), AsyncMutex::new(())));
    let report = paused().timeout(Duration::from_secs(3)).run(async {
        let reader = Arc::clone(&locks);
        let reader = straggler::spawn(async move { lock_both(&reader.0, &reader.1).await });
        let writer = straggler::spawn(async move { lock_both(&locks.1, &locks.0).await });
        let (read, written) = tokio::join!(reader, writer);
        (read.unwrap(), written.unwrap())
    });
    drop(stop);
    _ = thread.join().unwrap();
    let report = report.unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
    let text = report.to_string();
    assert!(text.contains("probably a deadlock"), "{text}");
}

#[test]
fn task_panic_ranks_above_deadlock() {
    let report = paused().run(async {
        panic_in_closure();
        let (_sender, receiver) = oneshot::channel::<()>();
        _ = receiver.await;
    });
    let report = report.unwrap_err();
    assert_panic_comes_first(&report, "is deadlocked");
    assert!(matches!(report.ending(), Some(Verdict::Deadlocked { .. })));
}
