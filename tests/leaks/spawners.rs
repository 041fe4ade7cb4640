//! Who spawned a task, and how many are listed.

use std::mem;

use straggler::Lock;
use tokio::task::spawn_local;

use super::*;

#[test]
fn are_found_also_after_another_task_was_polled_inside_of_the_poll() {
    let report = LeakCheck::new().grace(SHORT).run(async {
        let set = LocalSet::new();
        let local = set.run_until(async { straggler::spawn_local(async {}).await.unwrap() });
        // The first polls the local task, and then it is the second one's turn.
        let ((), ()) = straggler::settle!(local, async {
            straggler::spawn(pending::<()>());
        });
    });
    let report = report.unwrap_err();
    assert_eq!(
        report.tasks()[0].spawned_by(),
        [SpawnedBy::Test],
        "{report}"
    );
}

#[test]
fn are_unknown_in_a_task_that_is_not_on_record_inside_of_the_poll_of_one_that_is() {
    for check in every_flavor() {
        let report = check.grace(SHORT).run(async {
            let untracked = async {
                straggler::spawn(pending::<()>());
                mem::forget(Lock::new().acquire().await);
            };
            // It is polled inside of the body's own poll.
            let set = LocalSet::new();
            let body = set.run_until(async { spawn_local(untracked).await.unwrap() });
            body.await;
        });
        let report = report.unwrap_err();
        let spawner = &report.tasks()[0].spawned_by()[0];
        let holder = report.locks()[0].holder().unwrap().by().unwrap();
        for who in [spawner, holder] {
            let is_right = match who {
                SpawnedBy::UnknownTask => true,
                // In a local runtime it is the runtime's own task, and its hooks see it.
                SpawnedBy::Task { place, .. } => cfg!(tokio_unstable) && place.file() == file!(),
                _ => false,
            };
            assert!(is_right, "{report}");
        }
    }
}

#[test]
fn more_than_twenty_kinds_of_leaks_are_counted_and_not_listed() {
    let report = leaks(|| async {
        for number in 0..25 {
            straggler::spawn_named(format!("task {number}"), pending::<()>());
        }
    });
    let text = report.to_string();
    assert!(
        text.contains("`task 19`") && !text.contains("`task 20`"),
        "{text}"
    );
    assert!(text.contains("and 5 more, spawned elsewhere"), "{text}");
}
