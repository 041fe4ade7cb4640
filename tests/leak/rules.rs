//! Rules that allow leaks.

use super::*;

#[test]
fn allow_limits_task_count() {
    let leak = |count: usize| async move {
        for _ in 0..count {
            tokio::spawn(pending::<()>());
        }
    };
    for count in 0..4 {
        let result = LeakCheck::new().grace(SHORT).allow(2).run(leak(count));
        assert_eq!(result.is_ok(), count <= 2, "{count}");
    }
}

#[test]
fn allow_at_matches_only_its_place() {
    let check = LeakCheck::new().grace(SHORT).allow_at(file!());
    check
        .run(async { drop(straggler::spawn(pending::<()>())) })
        .unwrap();

    let report = LeakCheck::new().grace(SHORT).allow_at("src").run(async {
        straggler::spawn(pending::<()>());
    });
    let report = report.unwrap_err();
    assert_eq!(report.count(), 1);
    assert_eq!(report.unused_rules(), [r#"allow("src")"#]);
}

/// Only cargo's own cache makes a dependency of a file, whatever else is called `registry`.
#[test]
fn file_below_folder_called_registry_is_users() {
    let file = "tests/leak/registry/src/pool.rs";
    for check in every_flavor() {
        let report = check.grace(SHORT).run(async { pool::leak() }).unwrap_err();
        let task = &report.tasks()[0];
        assert!(task.place().file().ends_with(file), "{report}");
        let Wait::At(places) = task.wait() else {
            panic!("{report}");
        };
        let calls = places[0].calls();
        assert!(
            calls.iter().any(|call| call.function().ends_with("::wait")),
            "{report}"
        );
        let file = task.place().file().to_owned();
        let allowed = LeakCheck::new().grace(SHORT).allow_at(file);
        allowed.run(async { pool::leak() }).unwrap();
    }
    let here = std::path::Path::new(file!()).parent().unwrap();
    let check = LeakCheck::new().grace(SHORT);
    let check = check.allow_at(here.join("registry/src/pool.rs").to_string_lossy());
    check.run(async { pool::leak() }).unwrap();
}

#[test]
fn allow_at_line_leaves_other_lines_failing() {
    let check = LeakCheck::new()
        .grace(SHORT)
        .allow_at(format!("{}:{}", file!(), line!() + 2));
    let report = check.run(async {
        straggler::spawn(pending::<()>());
        straggler::spawn(pending::<()>());
    });
    let report = report.unwrap_err();
    assert_eq!((report.count(), report.tasks()[0].number()), (1, 2));
}

#[test]
fn allow_at_most_limits_count() {
    let check = LeakCheck::new().grace(SHORT).allow_at_most(file!(), 1);
    let report = check.run(async {
        straggler::spawn(pending::<()>());
        straggler::spawn(pending::<()>());
    });
    assert_eq!(report.unwrap_err().count(), 1);
}

#[test]
#[cfg(not(tokio_unstable))]
fn allow_at_cannot_match_unseen_task() {
    let check = LeakCheck::new().grace(SHORT).allow_at(file!());
    let report = check.run(async { drop(tokio::spawn(pending::<()>())) });
    let text = report.unwrap_err().to_string();
    assert!(
        text.contains("matches only tracked tasks and closures"),
        "{text}"
    );
}
