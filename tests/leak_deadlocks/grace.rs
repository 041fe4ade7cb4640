//! A grace is not waited for where nothing that is left can end within it.

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::*;

/// A test that waits for all of it takes longer than any test run.
const HOURS: Duration = Duration::from_secs(5 * 3600);

#[track_caller]
fn expect_leaks<F: Future>(count: usize, body: F) -> Report {
    let Err(report) = LeakCheck::new().grace(HOURS).run(body) else {
        panic!("no leak was reported");
    };
    assert!(matches!(report.verdict(), Verdict::Leaked), "{report}");
    assert_eq!(report.count(), count, "{report}");
    report
}

/// Ends a task after the body, once Straggler may have looked at what is left. The test passes whenever that
/// is; the pause lets it fail if nobody waits for this.
fn end_late(task: &JoinHandle<()>) {
    thread::sleep(Duration::from_millis(100));
    task.abort();
}

#[test]
fn task_that_nothing_can_wake_is_not_waited_for() {
    let report = expect_leaks(2, async {
        straggler::spawn(std::future::pending::<()>());
        straggler::spawn(async {
            yield_now().await;
            std::future::pending::<()>().await;
        });
    });
    assert!(
        matches!(report.tasks()[0].wait(), Wait::Unwakeable),
        "{report}"
    );
}

#[test]
fn many_aborted_tasks_get_their_turn() {
    let aborted = LeakCheck::new().grace(HOURS).run(async {
        // More than the runtime drops in its first turns.
        let spawn = |_| straggler::spawn(std::future::pending::<()>());
        let tasks: Vec<_> = (0..20_000).map(spawn).collect();
        for _ in 0..tasks.len() / 50 {
            yield_now().await;
        }
        tasks.iter().for_each(JoinHandle::abort);
    });
    aborted.unwrap();
}

#[test]
fn task_that_another_ends_is_waited_for() {
    let ended = LeakCheck::new().grace(HOURS).run(async {
        let held = straggler::spawn(std::future::pending::<()>());
        straggler::spawn(async move {
            sleep(Duration::from_millis(20)).await;
            held.abort();
        });
    });
    ended.unwrap();
}

#[test]
fn task_that_thread_aborts_is_waited_for() {
    let ended = LeakCheck::new().grace(HOURS).run(async {
        let (body, ended) = std_mpsc::channel::<()>();
        let task = straggler::spawn(std::future::pending::<()>());
        thread::spawn(move || {
            _ = ended.recv();
            end_late(&task);
        });
        yield_now().await;
        drop(body);
    });
    ended.unwrap();
}

#[test]
fn task_that_closure_aborts_is_waited_for() {
    let ended = LeakCheck::new().grace(HOURS).run(async {
        let (body, ended) = std_mpsc::channel::<()>();
        let task = straggler::spawn(std::future::pending::<()>());
        straggler::spawn_blocking(move || {
            _ = ended.recv();
            end_late(&task);
        });
        drop(body);
    });
    ended.unwrap();
}

#[test]
fn untracked_task_may_end_tracked_one() {
    let ended = LeakCheck::new().grace(HOURS).run(async {
        let mut set = JoinSet::new();
        set.spawn(async {});
        let task = straggler::spawn(std::future::pending::<()>());
        tokio::spawn(async move {
            while set.join_next().await.is_some() {}
            sleep(Duration::from_millis(20)).await;
            task.abort();
        });
    });
    ended.unwrap();
}

#[test]
fn clean_up_of_hung_test_is_not_waited_for() {
    struct SpawnsOnDrop;
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            straggler::spawn(std::future::pending::<()>());
        }
    }
    let check = LeakCheck::new()
        .grace(HOURS)
        .timeout(Duration::from_millis(50));
    let report = check.run(async {
        let _spawns = SpawnsOnDrop;
        std::future::pending::<()>().await;
    });
    assert!(matches!(
        report.unwrap_err().verdict(),
        Verdict::Hung { .. }
    ));
}

#[test]
fn task_that_sleeps_less_is_waited_for() {
    let ended = LeakCheck::new().grace(HOURS).run(async {
        straggler::spawn(sleep(Duration::from_millis(20)));
    });
    ended.unwrap();
}

/// The long timer is gone, and the task waits for the short one by a waker of `settle_all`.
#[test]
fn task_whose_long_timer_was_dropped_is_waited_for() {
    let ended = LeakCheck::new().grace(HOURS).run(async {
        straggler::spawn(async {
            let short = straggler::settle_all([sleep(Duration::from_millis(20))]);
            let never = async {
                tokio::select! {
                    biased;
                    () = sleep(2 * HOURS) => {}
                    () = async {} => {}
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                _ = short => {}
                () = never => {}
            }
        });
    });
    ended.unwrap();
}

/// Only an instrumented tokio tells when a timer fires.
#[cfg(straggler_instrumented)]
#[test]
fn task_that_sleeps_longer_is_not_waited_for() {
    let report = expect_leaks(2, async {
        straggler::spawn(sleep(2 * HOURS));
        straggler::spawn(async {
            let mut ticks = tokio::time::interval(2 * HOURS);
            loop {
                ticks.tick().await;
            }
        });
    });
    assert_eq!(report.tasks().len(), 2, "{report}");
}
