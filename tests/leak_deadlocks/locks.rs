//! Deadlocks on a `Lock`, whose report names holders and waiters.

use straggler::Lock;

use super::*;

#[test]
fn lock_acquired_twice_reported_in_hang() {
    for (check, is_paused) in [(LeakCheck::new().timeout(SHORT), false), (paused(), true)] {
        let lock = Lock::new();
        let report = check.run(async {
            let _guard = lock.acquire().await;
            drop(lock.acquire().await);
        });
        let report = report.unwrap_err();
        let (Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait }) = report.verdict() else {
            panic!("{report}");
        };
        assert_eq!(
            matches!(report.verdict(), Verdict::Deadlocked { .. }),
            is_paused
        );
        let Wait::At(places) = wait else {
            panic!("{report}");
        };
        let [place] = places.as_slice() else {
            panic!("{report}");
        };
        assert_eq!(place.on(), Some("straggler::Lock::acquire"));
        let [waiter] = only_lock(&report).waiters() else {
            panic!("{report}");
        };
        assert_eq!(
            waiter.place().line(),
            holder(only_lock(&report)).place().line() + 1
        );
        assert_eq!(waiter.by(), holder(only_lock(&report)).by());
        let text = report.to_string();
        assert!(
            text.contains("\n\nalso in use: 1 lock\n\n  acquired at "),
            "{text}"
        );
        let line = format!(
            "\n     requested at {} by the test, waiting for ",
            waiter.place()
        );
        assert!(text.contains(&line), "{text}");
        let advice = format!(
            "\n  release the lock acquired at {} before the same task acquires it at {}",
            holder(only_lock(&report)).place(),
            waiter.place()
        );
        assert!(text.contains(&advice), "{text}");
    }
}

#[test]
fn opposite_lock_order_reports_both() {
    async fn transfer(from: Arc<Lock>, to: Arc<Lock>) {
        let _from = from.acquire().await;
        yield_now().await;
        let _to = to.acquire().await;
    }
    let report = paused().run(async {
        let (ada, bob) = (Arc::new(Lock::new()), Arc::new(Lock::new()));
        let there = straggler::spawn(transfer(Arc::clone(&ada), Arc::clone(&bob)));
        let back = straggler::spawn(transfer(bob, ada));
        _ = straggler::settle!(there, back);
    });
    let report = report.unwrap_err();
    assert!(
        matches!(report.verdict(), Verdict::Deadlocked { .. }),
        "{report}"
    );
    let locks = report.locks();
    assert_eq!(locks.len(), 2, "{report}");
    for (lock, other) in [(&locks[0], &locks[1]), (&locks[1], &locks[0])] {
        assert_eq!(lock.waiters().len(), 1);
        assert_eq!(lock.waiters()[0].by(), holder(other).by());
        assert_ne!(lock.waiters()[0].by(), holder(lock).by());
    }
}
