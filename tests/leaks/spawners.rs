//! Who spawned a task, and how many are listed.

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
