//! Which task spawned a leak, and how many leaks a report lists.

use std::mem;

use straggler::Lock;
use tokio::task::spawn_local;

use super::*;

#[test]
fn spawner_known_after_nested_poll() {
    let report = LeakCheck::new().grace(SHORT).run(async {
        let set = LocalSet::new();
        let local = set.run_until(async { straggler::spawn_local(async {}).await.unwrap() });
        // The first child polls the local task; the second one spawns after that.
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
fn spawner_unknown_inside_untracked_poll() {
    for check in every_flavor() {
        let report = check.grace(SHORT).run(async {
            let untracked = async {
                straggler::spawn(pending::<()>());
                mem::forget(Lock::new().acquire().await);
            };
            // The set polls it inside the body's own poll, so the body is the outer task.
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
                // In a local runtime the task belongs to the runtime, whose hooks see it.
                SpawnedBy::Task { place, .. } => cfg!(tokio_unstable) && place.file() == file!(),
                _ => false,
            };
            assert!(is_right, "{report}");
        }
    }
}

#[test]
fn leak_kinds_beyond_twenty_counted() {
    let report = expect_leak(|| async {
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
