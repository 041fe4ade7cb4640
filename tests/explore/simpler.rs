//! A run that failed is made simpler, also where each run that fails leaves something behind.

use super::*;

/// Leaves a task behind if two users are registered twice each, amid others who yield too.
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

/// In how many decisions the run that is told of differs from the plain order.
fn decisions(failure: &Failure) -> usize {
    let text = failure.to_string();
    let Some((_, number)) = text.split_once("differs from the plain order in ") else {
        return 0;
    };
    let (number, _) = number.split_once(' ').unwrap();
    number.parse().unwrap()
}

#[test]
fn of_a_run_that_leaves_a_task_behind_no_decision_is_left_that_is_not_needed() {
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

/// Takes a moment to end, and more turns than there are without a grace.
pub(crate) async fn takes_long() {
    for _ in 0..5_000 {
        yield_now().await;
    }
}

#[test]
fn what_ends_in_the_grace_is_not_taken_for_what_is_left() {
    let failure = Explore::new().find(|| async {
        straggler::spawn(takes_long());
        let users = RwLock::default();
        let both = [register(&users, "eve"), register(&users, "eve")];
        if settle_all(both).await.ok_count() == 2 {
            straggler::spawn(pending::<()>());
        }
    });
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Leaked);
    assert_eq!(failure.report().unwrap().count(), 1, "{failure}");
    assert_eq!(decisions(&failure), 1, "{failure}");
}

#[test]
fn a_task_that_panics_in_the_grace_is_not_taken_for_one_that_is_left() {
    let failure = Explore::new().find(|| async {
        let users = RwLock::default();
        let both = [register(&users, "eve"), register(&users, "eve")];
        if settle_all(both).await.ok_count() == 2 {
            straggler::spawn(async {
                takes_long().await;
                panic!("one name, one account");
            });
        }
    });
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Panicked, "{failure}");
    assert_eq!(decisions(&failure), 1, "{failure}");
}
