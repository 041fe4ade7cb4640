//! Locks still held when a test ends, and locks that a test hangs on.

use std::mem;
use std::thread;

use straggler::leak::Place;
use straggler::{Lock, LockGuard};

use super::*;

/// Acquires a lock, and returns the place it was acquired at.
async fn acquire(lock: &Lock) -> (LockGuard<'_>, Place) {
    let guard = lock.acquire().await;
    let place = lock.holder().unwrap().place().clone();
    (guard, place)
}

#[test]
fn forgotten_lock_reported_with_place() {
    for check in every_flavor() {
        let mut held_at = None;
        let report = check.grace(SHORT).run(async {
            let lock = Lock::new();
            let (guard, place) = acquire(&lock).await;
            held_at = Some(place);
            mem::forget(guard);
        });
        let report = report.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::LocksHeld);
        assert_eq!((report.count(), report.blocking().len()), (0, 0));
        let lock = only_lock(&report);
        assert_eq!(*holder(lock).place(), held_at.unwrap());
        assert_eq!(holder(lock).by(), Some(&SpawnedBy::Test));
        assert!(
            holder(lock).time().unwrap() >= SHORT,
            "held during the grace"
        );
        assert!(lock.waiters().is_empty());
        let text = report.to_string();
        let first = "leak_check: 1 lock is still held at the end of the check at ";
        assert!(text.starts_with(first), "{text}");
        let line = format!(
            "\n  acquired at {} by the test, held for ",
            holder(lock).place()
        );
        assert!(text.contains(&line), "{text}");
        assert!(text.contains("\n  drop the guard acquired at "), "{text}");
    }
}

#[test]
fn static_guard_reported_and_releasable() {
    static LOCK: Lock = Lock::new();
    static KEPT: Mutex<Option<LockGuard<'_>>> = Mutex::new(None);
    let keep = async { *KEPT.lock().unwrap() = Some(LOCK.acquire().await) };
    let report = LeakCheck::new().grace(SHORT).run(keep).unwrap_err();
    assert_eq!(*report.verdict(), Verdict::LocksHeld);

    // The next test hangs on the lock, and its report names the holder.
    let hangs = async { drop(LOCK.acquire().await) };
    let hung = LeakCheck::new().timeout(SHORT).run(hangs).unwrap_err();
    let lock = only_lock(&hung);
    assert_eq!(holder(lock).place(), holder(only_lock(&report)).place());
    assert_eq!(holder(lock).by(), None, "no task of this test holds it");
    assert_eq!(lock.waiters()[0].by(), Some(&SpawnedBy::Test));
    let text = hung.to_string();
    assert!(text.contains(" outside this test, held for "), "{text}");
    assert!(!text.contains("before the same task acquires it"), "{text}");

    drop(KEPT.lock().unwrap().take());
    assert!(!LOCK.is_locked() && LOCK.holder().is_none());
    LeakCheck::new()
        .run(async { drop(LOCK.acquire().await) })
        .unwrap();
}

#[test]
fn lock_of_leaked_task_reported_beside_it() {
    for check in every_flavor() {
        let report = check.grace(SHORT).run(async {
            let lock = Arc::new(Lock::new());
            let (holds, held) = oneshot::channel();
            straggler::spawn(async move {
                let _guard = lock.acquire().await;
                holds.send(()).unwrap();
                pending::<()>().await;
            });
            held.await.unwrap();
        });
        let report = report.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::Leaked, "tasks rank higher");
        let by = holder(only_lock(&report)).by();
        assert!(
            matches!(by, Some(SpawnedBy::Task { number: 1, .. })),
            "{report}"
        );
        let text = report.to_string();
        assert!(
            text.contains("\n\nalso still held: 1 lock\n\n  acquired at "),
            "{text}"
        );
    }
}

#[test]
fn released_locks_are_clean() {
    assert_clean(|| async {
        let lock = Arc::new(Lock::new());
        lock.acquire().await.release();
        drop(lock.try_acquire());
        let of_task = Arc::clone(&lock);
        let aborted = straggler::spawn(async move {
            let _guard = of_task.acquire().await;
            pending::<()>().await;
        });
        yield_now().await;
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        // Released at the end of the body: one guard by the body, one by a helper that is stopped.
        let _guard = lock.acquire().await;
        let other = Lock::new();
        straggler::background(async move {
            let _guard = other.acquire().await;
            pending::<()>().await;
        });
        yield_now().await;
    });
}

#[test]
fn thread_may_release_lock_within_grace() {
    static LOCK: Lock = Lock::new();
    let minute = LeakCheck::new().grace(Duration::from_secs(60));
    let thread = minute.run(async {
        let (ends, ended) = std_mpsc::channel::<()>();
        let guard = LOCK.acquire().await;
        let thread = thread::spawn(move || {
            let _guard = guard;
            _ = ended.recv();
        });
        // The check drops the sender with the helper, after the body.
        straggler::background(async move {
            let _ends = ends;
            pending::<()>().await;
        });
        thread
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn locks_of_allowed_tasks_may_be_held() {
    let hold = |is_tracked: bool| async move {
        let lock = Arc::new(Lock::new());
        let (holds, held) = oneshot::channel();
        let task = async move {
            let _guard = lock.acquire().await;
            holds.send(()).unwrap();
            pending::<()>().await;
        };
        let task = if is_tracked {
            straggler::spawn(task)
        } else {
            tokio::spawn(task)
        };
        held.await.unwrap();
        drop(task);
    };
    for is_tracked in [true, false] {
        let check = LeakCheck::new().grace(SHORT);
        check.allow(1).run(hold(is_tracked)).unwrap();
        let check = LeakCheck::new().grace(SHORT);
        let report = check.run(hold(is_tracked)).unwrap_err();
        assert_eq!(report.locks().len(), 1);
    }
    let check = LeakCheck::new().grace(SHORT).allow(1);
    let report = check.run(async {
        hold(true).await;
        mem::forget(Lock::new().acquire().await);
    });
    let report = report.unwrap_err();
    assert_eq!(*report.verdict(), Verdict::LocksHeld);
    assert_eq!((report.count(), report.locks().len()), (0, 1), "{report}");
}

#[test]
fn held_locks_rank_below_other_findings() {
    async fn forget() {
        mem::forget(Lock::new().acquire().await);
    }
    let run = |body: Pin<Box<dyn Future<Output = ()>>>| {
        let report = LeakCheck::new().grace(SHORT).run(async {
            forget().await;
            body.await;
        });
        let report = report.unwrap_err();
        assert_eq!(report.locks().len(), 1, "{report}");
        assert!(report.to_string().contains("\n\nalso still held: 1 lock\n"));
        report
    };
    let report = run(Box::pin(async {
        straggler::spawn(async { panic!("on purpose") })
            .await
            .unwrap_err();
    }));
    assert_eq!(*report.verdict(), Verdict::Panicked);

    for is_tracked in [true, false] {
        let (end, ended) = std_mpsc::channel::<()>();
        let report = run(Box::pin(async move {
            let work = move || _ = ended.recv();
            if is_tracked {
                straggler::spawn_blocking(work);
            } else {
                tokio::task::spawn_blocking(work);
            }
        }));
        drop(end);
        assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn denied_threads_rank_below_held_locks() {
    let (end, ended) = std_mpsc::channel::<()>();
    let check = LeakCheck::new().grace(SHORT).deny_threads();
    let report = check.run(async {
        mem::forget(Lock::new().acquire().await);
        drop(thread::spawn(move || _ = ended.recv()));
    });
    drop(end);
    let report = report.unwrap_err();
    assert_eq!(*report.verdict(), Verdict::LocksHeld);
    assert_eq!((report.locks().len(), report.threads().len()), (1, 1));
    assert!(
        report.to_string().contains("join the threads too"),
        "{report}"
    );
}

#[test]
fn watch_charged_with_locks_acquired_since() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (before, since) = (Lock::new(), Lock::new());
        let outer = LeakCheck::new().grace(SHORT).watch_with(&Handle::current());
        let _before = before.acquire().await;
        let watch = LeakCheck::new().grace(SHORT).watch_with(&Handle::current());
        watch.verify().await.unwrap();
        let guard = since.acquire().await;
        let report = watch.verify().await.unwrap_err();
        assert_eq!(holder(only_lock(&report)).by(), Some(&SpawnedBy::NoTask));
        assert_eq!(outer.verify().await.unwrap_err().locks().len(), 2);
        guard.release();
        watch.verify().await.unwrap();
    });
}

#[test]
fn lock_handed_to_unpolled_future_reported() {
    let report = LeakCheck::new().timeout(SHORT).run(async {
        let lock = Lock::new();
        let guard = lock.acquire().await;
        let mut not_polled_again = Box::pin(lock.acquire());
        assert!(futures::poll!(&mut not_polled_again).is_pending());
        guard.release();
        drop(lock.acquire().await);
        drop(not_polled_again);
    });
    let report = report.unwrap_err();
    let lock = only_lock(&report);
    assert!(lock.holder().is_none());
    assert_eq!(lock.waiters().len(), 2);
    let text = report.to_string();
    assert!(
        text.contains("\n  released and handed to the first waiter, not polled since\n"),
        "{text}"
    );
}

#[test]
fn equal_locks_grouped_and_waiters_counted() {
    let report = LeakCheck::new().timeout(SHORT).run(async {
        let locks = [(); 3].map(|()| Lock::new());
        let mut guards = Vec::new();
        for lock in &locks {
            guards.push(lock.acquire().await);
        }
        let waiting = (0..8).map(|_| locks[0].acquire());
        assert!(straggler::settle_all(waiting).await.is_empty());
    });
    let text = report.unwrap_err().to_string();
    assert!(text.contains("\n\nalso in use: 3 locks\n"), "{text}");
    assert!(text.contains("\n  2 locks: acquired at "), "{text}");
    assert_eq!(text.matches("\n     requested at ").count(), 5, "{text}");
    assert!(text.contains("\n     and 3 more waiting\n"), "{text}");
}

#[test]
fn forgotten_guard_keeps_place_after_test() {
    let lock = Lock::new();
    let report = LeakCheck::new().grace(SHORT).run(async {
        mem::forget(lock.acquire().await);
    });
    report.unwrap_err();
    // The lock keeps the place, though the session is gone.
    assert!(lock.is_locked() && lock.holder().is_some());
}
