//! Which task spawned a leak, and how many leaks a report lists.

use std::future::Pending;
use std::mem;

use straggler::Lock;
use tokio::task::{JoinHandle, spawn_local};

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

/// Expects the tasks, in order, to be spawned at these lines, counted from `first`.
#[track_caller]
fn expect_lines<const N: usize>(first: u32, lines: [u32; N], report: &Report) {
    assert_eq!(report.count(), N, "{report}");
    for (task, line) in report.tasks().iter().zip(lines) {
        let place = task.place();
        assert_eq!(
            (place.file(), place.line()),
            (file!(), first + line),
            "{report}"
        );
        assert_eq!(task.caller(), None);
    }
    let text = report.to_string();
    assert!(
        !text.contains("library/") && !text.contains("src/leak"),
        "{text}"
    );
}

#[test]
fn spawn_by_function_value_located() {
    let first = line!() + 3;
    let report = expect_leak(|| async {
        let [one, other, third] = [(); 3].map(|()| Some(pending::<()>()));
        drop(one.map(straggler::spawn));
        [pending::<()>()]
            .into_iter()
            .map(straggler::spawn)
            .for_each(drop);
        drop(other.map(straggler::tokio::spawn));
        drop(third.map(straggler::tokio::task::spawn));
        collected(&mut [pending::<()>()].into_iter().collect());
        (straggler::spawn as fn(Pending<()>) -> JoinHandle<()>)(pending());
        let _: Vec<_> = [pending::<()>()]
            .into_iter()
            .map(straggler::spawn)
            .collect();
    });
    expect_lines(first, [0, 4, 5, 6, 7, 8, 12], &report);
    let text = report.to_string();
    assert!(text.contains("keep the `JoinHandle`"), "{text}");

    let report = LeakCheck::new().local().grace(SHORT).run(async {
        let local = Some(pending::<()>());
        drop(local.map(straggler::spawn_local));
    });
    expect_lines(line!() - 2, [0], &report.unwrap_err());
}

fn collected(set: &mut straggler::tokio::task::JoinSet<()>) {
    set.detach_all();
}

#[test]
fn hooked_spawn_by_function_value_located() {
    if cfg!(tokio_unstable) {
        let first = line!() + 3;
        let report = expect_leak(|| async {
            let one = Some(pending::<()>());
            drop(one.map(tokio::spawn));
            let mut set: JoinSet<_> = [pending::<()>()].into_iter().collect();
            set.detach_all();
            (tokio::spawn as fn(Pending<()>) -> JoinHandle<()>)(pending());
        });
        expect_lines(first, [0, 1, 3], &report);
    }
}

#[test]
fn panic_chain_and_closure_by_function_value_located() {
    let (stop, stopped) = std_mpsc::channel::<()>();
    let line = line!() + 5;
    let report = LeakCheck::new().grace(SHORT).run(async {
        let leaks = Some(async { drop(straggler::spawn(pending::<()>())) });
        let panics = Some(async { panic!("expected") });
        let blocks = Some(move || stopped.recv());
        drop(leaks.map(straggler::spawn));
        drop(panics.map(straggler::spawn::<_>));
        drop(blocks.map(straggler::spawn_blocking));
        yield_now().await;
    });
    drop(stop);
    let report = report.unwrap_err();
    let [SpawnedBy::Task { place, .. }, SpawnedBy::Test] = report.tasks()[0].spawned_by() else {
        panic!("{report}");
    };
    assert_eq!((place.file(), place.line()), (file!(), line));
    let place = report.panics()[0].spawned_at().unwrap();
    assert_eq!((place.file(), place.line()), (file!(), line + 1));
    let place = report.blocking()[0].place();
    assert_eq!((place.file(), place.line()), (file!(), line + 2));
}

#[test]
fn rule_matches_spawn_by_function_value() {
    let check = LeakCheck::new().grace(SHORT).allow_at(file!());
    let leak = Some(pending::<()>());
    let body = async { drop(leak.map(straggler::spawn)) };
    check.run(body).unwrap();
}
