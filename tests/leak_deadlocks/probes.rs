//! A probe polls a waiting task once more to find where it waits. What that poll brings about must
//! not become the verdict.

use std::pin::Pin;

use tokio::sync::{Mutex, Notify, OnceCell, Semaphore};

use super::*;

/// Long enough for the first poll on a busy machine: a probe of a later one shows more.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A future that is ready at its second poll, and keeps no waker: a lost wake-up.
async fn lost() {
    let mut is_first = true;
    poll_fn(|_| {
        if std::mem::take(&mut is_first) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

/// A future that asserts that nothing polls it without a wake-up.
async fn asserts_wake_up() {
    let mut is_first = true;
    poll_fn(|_| -> Poll<()> {
        assert!(std::mem::take(&mut is_first), "polled without a wake-up");
        Poll::Pending
    })
    .await;
}

fn wait_of(verdict: &Verdict) -> &Wait {
    match verdict {
        Verdict::Deadlocked { wait } | Verdict::Hung { wait, .. } => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lost_wake_up_of_body_reported() {
    let report = expect_deadlock(lost());
    assert_eq!(wait_of(report.verdict()), &Wait::LostWakeUp);
    let text = report.to_string();
    assert!(
        text.contains(
            "can never end: its clock is paused, and nothing can wake its body\n\n  it was ready"
        ),
        "{text}"
    );
}

#[test]
fn lost_wake_up_in_middle_of_body_reported() {
    let report = expect_deadlock(async {
        lost().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    assert_ne!(wait_of(report.verdict()), &Wait::Unknown);
}

#[test]
fn lost_wake_up_of_awaited_task_reported() {
    for sends in [false, true] {
        let report = expect_deadlock(async move {
            let (sender, receiver) = oneshot::channel();
            let task = straggler::spawn(async move {
                lost().await;
                _ = sender.send(());
            });
            if sends {
                receiver.await.unwrap();
            } else {
                task.await.unwrap();
            }
        });
        let [task] = report.tasks() else {
            panic!("{report}");
        };
        assert_eq!(task.wait(), &Wait::LostWakeUp);
    }
}

#[test]
fn lost_wake_up_on_running_clock_is_hang() {
    for check in every_flavor() {
        let report = check.timeout(TIMEOUT).run(lost()).unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
        assert_eq!(wait_of(report.verdict()), &Wait::LostWakeUp);
    }
}

#[test]
fn lost_wake_up_of_awaited_task_on_running_clock_is_hang() {
    for check in every_flavor() {
        let body = async {
            let (sender, receiver) = oneshot::channel();
            straggler::spawn(async move {
                lost().await;
                _ = sender.send(());
            });
            receiver.await.unwrap();
        };
        let report = check.timeout(TIMEOUT).run(body).unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
        assert_eq!(report.tasks()[0].wait(), &Wait::LostWakeUp);
    }
}

#[test]
fn task_ready_only_when_probed_is_leak() {
    let report = expect_leak(|| async { drop(straggler::spawn(lost())) });
    let [task] = report.tasks() else {
        panic!("{report}");
    };
    assert_eq!(task.wait(), &Wait::LostWakeUp);
    assert_eq!(task.polls(), Some(1));
    let text = report.to_string();
    let advice = "What to do:\n  a task that lost a wake-up (#1): make the future that it awaits keep the waker";
    assert!(text.contains(advice), "{text}");
}

#[test]
fn task_woken_only_by_probed_task_is_leak() {
    let report = expect_leak(|| async {
        let (sender, mut receiver) = oneshot::channel::<()>();
        let (start, started) = oneshot::channel();
        let mut start = Some(start);
        // Its first poll must end before the probe of the other task: a first poll is the task's own.
        straggler::spawn(poll_fn(move |context| {
            let poll = Pin::new(&mut receiver).poll(context);
            if let Some(start) = start.take() {
                start.send(()).unwrap();
            }
            poll
        }));
        started.await.unwrap();
        straggler::spawn(async move {
            lost().await;
            _ = sender.send(());
        });
    });
    assert_eq!(report.count(), 2);
}

#[test]
fn local_task_ready_only_when_probed_is_hang() {
    for check in [paused(), LeakCheck::new(), multi_thread()] {
        let body = async {
            let local = LocalSet::new();
            local
                .run_until(async { straggler::spawn_local(lost()).await.unwrap() })
                .await;
        };
        let report = check.timeout(TIMEOUT).run(body).unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
        assert_eq!(report.tasks()[0].wait(), &Wait::LostWakeUp);
    }
}

#[test]
fn body_panicking_only_when_probed_is_hang() {
    let report = expect_deadlock(asserts_wake_up());
    let Wait::PanicsUnwoken { message, place } = wait_of(report.verdict()) else {
        panic!("{report}");
    };
    assert_eq!(message.as_deref(), Some("polled without a wake-up"));
    assert!(place.as_ref().unwrap().file().ends_with("probes.rs"));
    for check in every_flavor() {
        let report = check.timeout(TIMEOUT).run(asserts_wake_up()).unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
        assert!(report.panics().is_empty());
    }
}

#[test]
fn task_panicking_only_when_probed_is_leak() {
    let report = expect_leak(|| async { drop(straggler::spawn(asserts_wake_up())) });
    assert!(report.panics().is_empty(), "{report}");
    let [task] = report.tasks() else {
        panic!("{report}");
    };
    assert!(
        matches!(task.wait(), Wait::PanicsUnwoken { .. }),
        "{report}"
    );
}

#[test]
fn awaited_task_panicking_only_when_probed_is_hang() {
    let report = expect_deadlock(async { straggler::spawn(asserts_wake_up()).await.unwrap() });
    assert!(report.panics().is_empty(), "{report}");
}

#[test]
fn probed_task_with_allowed_panics_is_leak() {
    for check in every_flavor() {
        let body = async { drop(straggler::spawn(asserts_wake_up())) };
        let report = check.allow_panics().grace(SHORT).run(body).unwrap_err();
        assert_eq!(report.count(), 1);
    }
}

#[test]
fn lost_wake_up_found_by_explore() {
    let failure = straggler::Explore::new().runs(3).find(lost).unwrap_err();
    assert_eq!(failure.run(), 1, "{failure}");
    let awaits = || async { straggler::spawn(lost()).await.unwrap() };
    let failure = straggler::Explore::new().runs(3).find(awaits).unwrap_err();
    assert_eq!(failure.run(), 1, "{failure}");
}

/// Polls nothing until it is woken, like a future that a combinator polls on each poll of its own.
#[test]
fn probe_keeps_properly_waiting_task() {
    let notify = Arc::new(Notify::new());
    let waiting = Arc::clone(&notify);
    let thread = thread::spawn(move || {
        wait_past_probe();
        notify.notify_one();
    });
    paused()
        .run(async move {
            let task = straggler::spawn(async move { waiting.notified().await });
            task.await.unwrap();
        })
        .unwrap();
    thread.join().unwrap();
}

/// A future that hands its waker to a thread at its first poll and ignores later ones.
#[test]
fn waker_of_first_poll_kept_by_thread_is_no_deadlock() {
    let (hand, handed) = std_mpsc::channel::<std::task::Waker>();
    let is_ready = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&is_ready);
    let thread = thread::spawn(move || {
        let waker = handed.recv().unwrap();
        wait_past_probe();
        answer.store(true, SeqCst);
        waker.wake();
    });
    let mut is_first = true;
    let body = poll_fn(move |context| {
        if std::mem::take(&mut is_first) {
            hand.send(context.waker().clone()).unwrap();
        }
        if is_ready.load(SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    paused().run(body).unwrap();
    thread.join().unwrap();
}

/// Runs a test that waits for something `static` which another test holds, on a clock of its own.
fn expect_wait_for_other_test<F: Future<Output = ()>>(
    hold: impl FnOnce(std_mpsc::Sender<()>) -> Pin<Box<dyn Future<Output = ()>>> + Send + 'static,
    body: F,
) {
    let (acquire, acquired) = std_mpsc::channel();
    let other = thread::spawn(move || LeakCheck::new().run(hold(acquire)));
    acquired.recv().unwrap();
    let output = paused().run(body);
    other.join().unwrap().unwrap();
    output.unwrap();
}

/// Keeps what a test holds for longer than a test may stand still.
async fn hold(acquire: std_mpsc::Sender<()>) {
    acquire.send(()).unwrap();
    tokio::task::spawn_blocking(wait_past_probe).await.unwrap();
}

#[test]
fn static_mutex_of_other_test_is_no_deadlock() {
    static SHARED: Mutex<()> = Mutex::const_new(());
    expect_wait_for_other_test(
        |acquire| {
            Box::pin(async move {
                let _guard = SHARED.lock().await;
                hold(acquire).await;
            })
        },
        async { drop(SHARED.lock().await) },
    );
}

#[test]
fn static_semaphore_of_other_test_is_no_deadlock() {
    static SHARED: Semaphore = Semaphore::const_new(1);
    expect_wait_for_other_test(
        |acquire| {
            Box::pin(async move {
                let _permit = SHARED.acquire().await.unwrap();
                hold(acquire).await;
            })
        },
        async { drop(SHARED.acquire().await.unwrap()) },
    );
}

#[test]
fn static_cell_of_other_test_is_no_deadlock() {
    static SHARED: OnceCell<()> = OnceCell::const_new();
    expect_wait_for_other_test(
        |acquire| {
            Box::pin(async move {
                SHARED.get_or_init(|| hold(acquire)).await;
            })
        },
        async {
            SHARED.get_or_init(|| async {}).await;
        },
    );
}
