//! A task that panics fails its own check, and no other.

use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use futures::FutureExt;
use straggler::leak::TaskPanic;
use tokio::runtime::Runtime;
use tokio::task::JoinError;

use super::*;

/// Expects task panics in every flavor, with the same messages; returns the current-thread ones.
#[track_caller]
fn expect_panics<F: Future>(mut body: impl FnMut() -> F) -> Vec<TaskPanic> {
    let [current, multi, local] = every_flavor().map(|check| {
        let Err(report) = check.run(body()) else {
            panic!("no task panicked");
        };
        assert_eq!(*report.verdict(), Verdict::Panicked, "{report}");
        report.panics().to_vec()
    });
    let messages = |panics: &[TaskPanic]| {
        let mut messages: Vec<_> = panics
            .iter()
            .map(|panic| panic.message().map(str::to_owned))
            .collect();
        messages.sort();
        messages
    };
    assert_eq!(messages(&current), messages(&multi));
    assert_eq!(messages(&current), messages(&local));
    current
}

#[track_caller]
fn expect_panic<F: Future>(body: impl FnMut() -> F) -> TaskPanic {
    let panics = expect_panics(body);
    assert_eq!(panics.len(), 1, "{panics:?}");
    panics.into_iter().next().unwrap()
}

/// Yields until every task of the runtime has ended, awaited or not.
async fn run_tasks() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        yield_now().await;
    }
}

#[test]
fn unawaited_panic_reported_with_place() {
    let panic = expect_panic(|| async {
        tokio::spawn(async { panic!("no such table: {}", "users") });
        run_tasks().await;
    });
    assert_eq!(panic.message(), Some("no such table: users"));
    assert_eq!(panic.place().unwrap().file(), file!());
}

#[test]
fn tracked_panic_reported_with_spawn_place() {
    let panic = expect_panic(|| async {
        straggler::spawn_named("reader", async { panic!("no such table") });
        run_tasks().await;
    });
    assert_eq!(panic.name(), Some("reader"));
    assert_eq!(panic.number(), Some(1));
    assert_eq!(panic.spawned_by(), [SpawnedBy::Test]);
    let (spawned_at, panicked_at) = (panic.spawned_at().unwrap(), panic.place().unwrap());
    assert_eq!(spawned_at.file(), file!());
    assert_eq!(panicked_at.file(), file!());
    assert_eq!(spawned_at.line(), panicked_at.line());
}

#[test]
fn awaited_panic_counts() {
    let panic = expect_panic(|| async {
        let task = tokio::spawn(async { panic!("awaited") });
        assert!(task.await.unwrap_err().is_panic());
    });
    assert_eq!(panic.message(), Some("awaited"));
}

#[test]
fn blocking_work_panic_counts() {
    let panics = expect_panics(|| async {
        _ = tokio::task::spawn_blocking(|| panic!("by tokio")).await;
        _ = straggler::spawn_blocking(|| panic!("by straggler")).await;
    });
    let messages: Vec<_> = panics.iter().map(TaskPanic::message).collect();
    assert_eq!(messages, [Some("by tokio"), Some("by straggler")]);
    assert!(panics[1].is_blocking());
}

#[test]
fn nested_runtime_panic_counts() {
    fn nested(message: &'static str) {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { panic!("{message}") });
    }

    let panics = expect_panics(|| async {
        _ = tokio::task::spawn_blocking(|| nested("by tokio")).await;
        _ = straggler::spawn_blocking(|| nested("by straggler")).await;
    });
    let messages: Vec<_> = panics.iter().map(TaskPanic::message).collect();
    assert_eq!(messages, [Some("by tokio"), Some("by straggler")]);
    let is_here = |panic: &TaskPanic| panic.place().is_some_and(|place| place.file() == file!());
    assert!(panics.iter().all(is_here));
}

#[test]
fn local_set_panic_counts() {
    let panics = expect_panics(|| async {
        let local = LocalSet::new();
        local.spawn_local(async { panic!("by tokio") });
        local
            .run_until(async {
                straggler::spawn_local(async { panic!("by straggler") });
            })
            .await;
        local.await;
    });
    assert_eq!(panics.len(), 2);
}

#[test]
fn caught_panic_ignored() {
    assert_clean(|| async {
        let tasks = [
            tokio::spawn(async { _ = catch_unwind(|| panic!("caught at once")) }),
            tokio::spawn(async {
                let panics = async { panic!("caught in a future") };
                assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
            }),
            tokio::spawn(async {
                let panics = [async { panic!("caught by a combinator") }];
                let settled = straggler::settle_all(panics).catch_unwind().await;
                assert_eq!(settled.err_count(), 1);
            }),
            straggler::spawn(async { _ = catch_unwind(|| panic!("caught in a tracked task")) }),
        ];
        straggler::barrier(tasks).await.unwrap();
    });
}

#[test]
fn panic_after_caught_panic_reported() {
    let panic = expect_panic(|| async {
        tokio::spawn(async {
            _ = catch_unwind(|| panic!("caught"));
            panic!("not caught");
        });
        run_tasks().await;
    });
    assert_eq!(panic.message(), Some("not caught"));
}

#[test]
fn panic_resumed_by_combinator_counts() {
    let panics = expect_panics(|| async {
        tokio::spawn(async { straggler::settle_all([async { panic!("by tokio") }]).await });
        straggler::spawn(async { straggler::settle!(async { panic!("by straggler") }) });
        run_tasks().await;
    });
    assert_eq!(panics.len(), 2);
}

#[test]
fn drop_panic_at_shutdown_counts() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    for check in every_flavor() {
        let report = check.allow(1).grace(SHORT).run(async {
            let value = PanicsInDrop;
            tokio::spawn(async move {
                let _value = value;
                pending::<()>().await;
            });
            yield_now().await;
        });
        let report = report.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::Panicked);
        assert_eq!(report.panics()[0].message(), Some("in drop"));
    }
}

#[test]
fn resumed_panic_seen_in_tracked_task() {
    let panic = expect_panic(|| async {
        straggler::spawn(async { resume_unwind(Box::new("resumed")) });
        run_tasks().await;
    });
    assert_eq!((panic.message(), panic.place()), (Some("resumed"), None));
}

#[test]
fn non_text_payload_counts() {
    let panic = expect_panic(|| async {
        straggler::spawn(async { panic::panic_any(7) });
        run_tasks().await;
    });
    assert_eq!(panic.message(), None);
}

#[test]
fn task_panic_ranks_above_leak() {
    for check in every_flavor() {
        let report = check.run(async {
            tokio::spawn(pending::<()>());
            straggler::spawn(pending::<()>());
            _ = tokio::spawn(async { panic!("no such table") }).await;
        });
        let report = report.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::Panicked);
        assert_eq!((report.count(), report.panics().len()), (2, 1));
        let text = report.to_string();
        let first =
            "leak_check: 1 task panicked and 2 are still running at the end of the check at ";
        assert!(text.starts_with(first), "{text}");
        let parts = [
            "no such table",
            "\n\nalso still running: 2 tasks\n",
            "fix the panic at ",
            "keep the `JoinHandle`",
        ];
        let found: Vec<_> = parts.iter().map(|part| text.find(part)).collect();
        assert!(found.is_sorted() && found[0].is_some(), "{text}");
    }
}

/// Prints the first backtrace of this process, which takes seconds on a busy machine. A body whose thread waits for it
/// would be given up: it blocks for too long after its timeout.
fn print_first_backtrace() {
    let panicked = thread::spawn(|| panic!("the first backtrace"));
    assert!(panicked.join().is_err());
}

#[test]
fn task_panic_ranks_above_hang() {
    print_first_backtrace();
    for check in every_flavor() {
        let report = check.timeout(SHORT).run(async {
            panic_in_closure();
            let (_sender, receiver) = oneshot::channel::<()>();
            _ = receiver.await;
        });
        let report = report.unwrap_err();
        assert_panic_comes_first(&report, "did not end within 20ms");
        assert!(matches!(report.ending(), Some(Verdict::Hung { .. })));
    }
}

#[test]
fn task_panic_ranks_above_late_end() {
    print_first_backtrace();
    let report = LeakCheck::new().timeout(Duration::ZERO).run(async {
        panic_in_closure();
    });
    let report = report.unwrap_err();
    assert_eq!(*report.verdict(), Verdict::Panicked);
    assert!(matches!(report.ending(), Some(Verdict::Late { .. })));
    let text = report.to_string();
    assert!(text.contains(", longer than its timeout of 0s"), "{text}");
}

#[test]
fn panic_after_hang_ranks_below_it() {
    for check in every_flavor() {
        let report = check.timeout(SHORT).run(async {
            let bomb = Bomb;
            straggler::spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            pending::<()>().await;
        });
        let report = report.unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
        assert_eq!(
            report.panics()[0].message(),
            Some("the account was not closed")
        );
        let text = report.to_string();
        assert!(text.contains("also panicked: 1 task"), "{text}");
    }
}

#[test]
fn every_kind_named_in_headline() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let report = LeakCheck::new().grace(SHORT).run(async {
        std::mem::forget(straggler::Lock::new().acquire().await);
        straggler::spawn(pending::<()>());
        straggler::spawn_blocking(move || _ = ended.recv());
        _ = straggler::spawn(async { panic!("no such table") }).await;
    });
    drop(end);
    let text = report.unwrap_err().to_string();
    let first = "leak_check: 1 task panicked, 1 task and 1 `spawn_blocking` closure are still running \
                 and 1 lock is still held at the end of the check at ";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("drop the guard acquired at "), "{text}");
}

#[test]
fn body_panic_outranks_task_panic() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        LeakCheck::new().run(async {
            tokio::spawn(async { panic!("of the task") }).await.unwrap();
        })
    }));
    let payload = panicked.unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("of the task"), "{message}");
}

#[test]
fn task_panics_may_be_allowed() {
    for check in every_flavor() {
        let checked = check.allow_panics().run(async {
            tokio::spawn(async { panic!("allowed") });
            straggler::spawn(async { panic!("allowed") });
            straggler::background(async { panic!("allowed") });
            run_tasks().await;
        });
        checked.unwrap();
    }
}

#[test]
fn drop_panic_charged_to_tracked_task() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the account was not closed");
        }
    }

    for check in every_flavor() {
        let report = check.run(async {
            let bomb = Bomb;
            let task = straggler::spawn(async move {
                let _bomb = bomb;
                pending::<()>().await;
            });
            yield_now().await;
            task.abort();
            _ = task.await;
        });
        let report = report.unwrap_err();
        let [panic] = report.panics() else {
            panic!("{report}");
        };
        assert_eq!(panic.message(), Some("the account was not closed"));
        assert_eq!(panic.number(), Some(1), "{report}");
        assert_eq!(*report.verdict(), Verdict::Panicked, "{report}");
    }
}

#[test]
fn panic_resumed_by_join_ends_joining_task() {
    let report = LeakCheck::new().run(async {
        let joins = async {
            let task = tokio::spawn(async { panic!("no such table") });
            let joined = straggler::joined::<(), ()>;
            let _ = joined(tokio::spawn(async { task.await.unwrap() })).await;
        };
        _ = tokio::spawn(joins).await;
    });
    let panics = report.unwrap_err().panics().len();
    assert_eq!(
        panics, 3,
        "the task, the one that unwraps its error, and the one that joins it"
    );
}

#[test]
fn plain_thread_panic_ignored() {
    assert_clean(|| async {
        let panicked = thread::spawn(|| panic!("in a thread")).join();
        assert!(panicked.is_err());
    });
}

/// 200 runtimes on 8 threads, each with up to three panics.
#[test]
fn concurrent_tests_charged_with_own_panics() {
    let check = |thread: usize, round: usize| {
        let count = (thread + round) % 4;
        let body = async move {
            for panic in 0..count {
                let message = format!("{thread} {round} {panic}");
                match panic {
                    0 => drop(tokio::spawn(async move { panic!("{message}") })),
                    1 => drop(straggler::spawn(async move { panic!("{message}") })),
                    _ => drop(tokio::task::spawn_blocking(move || panic!("{message}")).await),
                }
            }
            run_tasks().await;
        };
        let flavor = round % 3;
        let report = every_flavor()
            .into_iter()
            .nth(flavor)
            .unwrap()
            .run(body)
            .err();
        let mut messages: Vec<_> = report
            .iter()
            .flat_map(straggler::leak::Report::panics)
            .map(|panic| panic.message().unwrap().to_owned())
            .collect();
        messages.sort();
        let expected: Vec<_> = (0..count)
            .map(|panic| format!("{thread} {round} {panic}"))
            .collect();
        assert_eq!(messages, expected);
    };
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..25).for_each(|round| check(thread, round)));
        }
    });
}

#[test]
fn equal_message_of_other_task_has_no_place() {
    let panic = expect_panic(|| async {
        let caught = straggler::spawn(async { _ = catch_unwind(|| panic!("no such table")) });
        caught.await.unwrap();
        straggler::spawn(async { resume_unwind(Box::new("no such table")) });
        run_tasks().await;
    });
    let (message, place) = (panic.message(), panic.place());
    assert_eq!((message, place), (Some("no such table"), None));
}

#[test]
fn equal_message_of_other_payload_has_no_place() {
    let caught = || catch_unwind(|| panic!("no such table: {}", "users"));
    let panics = expect_panics(|| async {
        straggler::spawn(async move {
            drop(caught());
            resume_unwind(Box::new("no such table: users".to_owned()))
        });
        let work = straggler::spawn_blocking(move || {
            drop(caught());
            resume_unwind(Box::new("no such table: users".to_owned()))
        });
        let ended: Result<(), JoinError> = work.await;
        assert!(ended.is_err());
        run_tasks().await;
    });
    assert_eq!(panics.len(), 2);
    assert!(panics.iter().all(|panic| panic.place().is_none()));
}

#[test]
fn panic_resumed_by_another_thread_has_place() {
    let panic = expect_panic(|| async {
        straggler::spawn(async {
            let caught = catch_unwind(|| panic!("no such table: {}", "users"));
            // Other threads may poll the task from now on.
            yield_now().await;
            let unrelated = catch_unwind(|| panic!("unrelated"));
            drop(unrelated);
            caught.unwrap_or_else(|payload| resume_unwind(payload));
        });
        run_tasks().await;
    });
    assert_eq!(panic.message(), Some("no such table: users"));
    assert_eq!(panic.place().unwrap().file(), file!());
}

#[test]
fn panic_resumed_by_thread_scope_counts() {
    fn closure_panics() {
        thread::scope(|_| panic!("in the scope"));
    }
    fn thread_panics() {
        thread::scope(|scope| _ = scope.spawn(|| panic!("in a thread")));
    }
    fn unwraps_panic() {
        thread::scope(|scope| scope.spawn(|| panic!("in a thread")).join().unwrap());
    }

    for panics in [closure_panics, thread_panics, unwraps_panic] {
        let panics = expect_panics(|| async move {
            _ = tokio::task::spawn_blocking(panics).await;
            _ = straggler::spawn_blocking(panics).await;
            _ = tokio::spawn(async move { panics() }).await;
            _ = straggler::spawn(async move { panics() }).await;
        });
        assert_eq!(panics.len(), 4, "{panics:?}");
    }
}

#[test]
fn panic_caught_around_thread_scope_ignored() {
    assert_clean(|| async {
        let caught = || _ = catch_unwind(|| thread::scope(|_| panic!("caught")));
        tokio::task::spawn_blocking(caught).await.unwrap();
        straggler::spawn_blocking(caught).await.unwrap();
    });
}

#[test]
fn thread_panic_resumed_in_tracked_task_counts() {
    fn resumes() {
        let panicked = thread::spawn(|| panic!("in a thread")).join();
        panicked.unwrap_or_else(|payload| resume_unwind(payload));
    }

    let panics = expect_panics(|| async {
        _ = straggler::spawn_blocking(resumes).await;
        _ = straggler::spawn(async { resumes() }).await;
    });
    let messages: Vec<_> = panics.iter().map(TaskPanic::message).collect();
    assert_eq!(messages, [Some("in a thread"); 2]);
}

/// An output that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the account was not closed");
    }
}

#[track_caller]
fn expect_bomb_of_tracked_task<F: Future>(body: impl FnMut() -> F) {
    let panic = expect_panic(body);
    assert_eq!(panic.message(), Some("the account was not closed"));
    assert_eq!(panic.spawned_at().unwrap().file(), file!());
    assert_eq!(panic.spawned_by(), [SpawnedBy::Test]);
}

#[test]
fn output_drop_panic_charged_to_tracked_task() {
    expect_bomb_of_tracked_task(|| async {
        drop(straggler::spawn(async { Bomb }));
        run_tasks().await;
    });
    expect_bomb_of_tracked_task(|| async {
        let task = straggler::spawn(async { Bomb });
        run_tasks().await;
        drop(task);
    });
    expect_bomb_of_tracked_task(|| async {
        let task = straggler::spawn(async { Bomb });
        run_tasks().await;
        // Outside the runtime.
        thread::spawn(move || drop(task)).join().unwrap();
    });
    expect_bomb_of_tracked_task(|| async {
        let work = straggler::spawn_blocking(|| Bomb);
        while !work.is_finished() {
            yield_now().await;
        }
        drop(work);
    });
    expect_bomb_of_tracked_task(|| async {
        let local = LocalSet::new();
        local
            .run_until(async { drop(straggler::spawn_local(async { Bomb })) })
            .await;
        local.await;
    });
}

#[test]
fn output_drop_panic_caught_inside_ignored() {
    struct Catches;
    impl Drop for Catches {
        fn drop(&mut self) {
            _ = catch_unwind(|| panic!("caught"));
        }
    }

    assert_clean(|| async {
        drop(straggler::spawn(async { Catches }));
        drop(tokio::spawn(async { Catches }));
        run_tasks().await;
    });
}

#[test]
fn payload_drop_panic_charged_to_tracked_task() {
    let panics = expect_panics(|| async {
        drop(straggler::spawn(async { panic::panic_any(Bomb) }));
        run_tasks().await;
    });
    let messages: Vec<_> = panics.iter().map(TaskPanic::message).collect();
    assert_eq!(messages, [None, Some("the account was not closed")]);
    assert!(panics.iter().all(|panic| panic.number() == Some(1)));
}

/// Returns a runtime that tests share, with a task of another test that panics at its first poll.
fn shared_runtime() -> Runtime {
    let shared = Builder::new_current_thread().build().unwrap();
    shared.spawn(async { panic!("of another test") });
    shared
}

#[test]
fn panic_in_driven_shared_runtime_ignored() {
    assert_clean(|| async {
        for spawn_blocking in [tokio::task::spawn_blocking, straggler::spawn_blocking] {
            let drives = || shared_runtime().block_on(run_tasks());
            spawn_blocking(drives).await.unwrap();
        }
    });
    let drives_in_place = async {
        tokio::spawn(async {
            tokio::task::block_in_place(|| shared_runtime().block_on(run_tasks()));
        })
        .await
        .unwrap();
    };
    multi_thread().run(drives_in_place).unwrap();
}
