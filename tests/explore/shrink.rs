//! Failing runs are minimized, including those that leave something behind.

use std::sync::atomic::Ordering::Relaxed;

use super::*;

/// Leaks a task if two users are both registered twice, among unrelated children that yield.
async fn leaks_after_two_races() {
    let (users, others) = (RwLock::default(), Mutex::new(0));
    let noise = || async {
        for _ in 0..2 {
            *others.lock().await += 1;
        }
    };
    for user in ["ada", "bob"] {
        let register = || register(&users, user);
        _ = settle!(register(), register(), noise(), noise());
    }
    if users.into_inner().len() == 4 {
        straggler::spawn(pending::<()>());
    }
}

/// The number of decisions in which the reported run differs from the plain order.
pub(crate) fn reorderings(failure: &Failure) -> usize {
    let text = failure.to_string();
    let Some((before, _)) = text.split_once(" forced reordering") else {
        return 0;
    };
    let (_, number) = before.rsplit_once(' ').unwrap();
    number.parse().unwrap()
}

#[test]
fn shrink_minimizes_leaking_run() {
    let failure = Explore::new().find(leaks_after_two_races).unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Leaked);
    let seed = failure.seed().to_string();
    let (changes, _) = seed.split_once('/').unwrap();
    let changes: Vec<_> = changes.split(',').collect();
    for needless in 0..changes.len() {
        let mut fewer = changes.clone();
        fewer.remove(needless);
        let seed: Seed = fewer.join(",").parse().unwrap();
        let check = LeakCheck::new().grace(Duration::ZERO).explore();
        let explored = check.replay(seed).find(leaks_after_two_races);
        assert!(explored.is_ok(), "without {}: {failure}", changes[needless]);
    }
}

/// Takes more turns to end than a check without a grace gives.
pub(crate) async fn many_yields() {
    for _ in 0..5_000 {
        yield_now().await;
    }
}

#[test]
fn shrink_ignores_task_ending_in_grace() {
    let failure = Explore::new().find(|| async {
        straggler::spawn(many_yields());
        let users = RwLock::default();
        let both = [register(&users, "eve"), register(&users, "eve")];
        if settle_all(both).await.ok_count() == 2 {
            straggler::spawn(pending::<()>());
        }
    });
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Leaked);
    assert_eq!(failure.report().unwrap().count(), 1, "{failure}");
    assert_eq!(reorderings(&failure), 1, "{failure}");
}

#[test]
fn shrink_keeps_panic_during_grace() {
    let failure = Explore::new().find(|| async {
        let users = RwLock::default();
        let both = [register(&users, "eve"), register(&users, "eve")];
        if settle_all(both).await.ok_count() == 2 {
            straggler::spawn(async {
                many_yields().await;
                panic!("one name, one account");
            });
        }
    });
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Panicked, "{failure}");
    assert_eq!(reorderings(&failure), 1, "{failure}");
}

#[test]
fn shrink_puts_task_off_in_one_decision() {
    // The first task is needed only after the second one has yielded ten times.
    let body = || async {
        let is_set_up = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let sets_up = Arc::clone(&is_set_up);
        let first = straggler::spawn(async move { sets_up.store(true, Relaxed) });
        let second = straggler::spawn(async move {
            for _ in 0..10 {
                yield_now().await;
            }
            assert!(is_set_up.load(Relaxed), "not set up");
        });
        second.await.unwrap();
        first.await.unwrap();
    };
    let failure = Explore::new().find(body).unwrap_err();
    assert_eq!(reorderings(&failure), 1, "{failure}");
    let text = failure.schedule().to_string();
    assert!(text.contains("task #1 runs 16 turns later"), "{text}");
    let again = Explore::new().replay(failure.seed().clone()).find(body);
    assert_eq!(again.unwrap_err().schedule(), failure.schedule());
}
