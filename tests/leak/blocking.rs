//! Leaked `spawn_blocking` closures.

use std::sync::Condvar;
use std::thread;

use super::*;

/// Blocks closures, all at the same line, until the test drops the [`Opener`].
#[derive(Clone)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

/// Opens a gate when dropped.
struct Opener(Gate);

impl Drop for Opener {
    fn drop(&mut self) {
        let (is_open, opened) = &*self.0.0;
        *is_open.lock().unwrap() = true;
        opened.notify_all();
    }
}

impl Gate {
    fn new() -> (Opener, Self) {
        let gate = Self(Arc::default());
        (Opener(gate.clone()), gate)
    }

    fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }

    fn work(&self) -> impl FnOnce() + Send + use<> {
        let Self(gate) = self.clone();
        move || {
            let (is_open, opened) = &*gate;
            let closed = is_open.lock().unwrap();
            drop(opened.wait_while(closed, |is_open| !*is_open).unwrap());
        }
    }

    /// Spawns a closure; the receiver resolves when it has started.
    fn start(&self, spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> oneshot::Receiver<()> {
        let (begins, begun) = oneshot::channel();
        let work = self.work();
        spawn(Box::new(move || {
            begins.send(()).unwrap();
            work();
        }));
        begun
    }
}

/// Runs the body in all flavors at once: each would otherwise wait for its own grace.
fn each<F: Future>(
    set: impl Fn(LeakCheck) -> LeakCheck,
    body: impl Fn(Gate) -> F + Sync,
) -> [Result<F::Output, Report>; 3]
where
    F::Output: Send,
{
    let run = |check: LeakCheck| {
        let (open, gate) = Gate::new();
        let result = check.run(body(gate));
        drop(open);
        result
    };
    thread::scope(|scope| {
        let run = &run;
        let checks = every_flavor().map(set);
        let running = checks.map(|check| scope.spawn(move || run(check)));
        running.map(|running| running.join().unwrap())
    })
}

/// Expects leaked closures in every flavor, at the same places; returns the current-thread report.
#[track_caller]
fn expect_blocking<F: Future<Output = ()>>(body: impl Fn(Gate) -> F + Sync) -> Report {
    let [current, multi, local] =
        each(|check| check.grace(SHORT), body).map(|result| result.expect_err("nothing was left"));
    let summary = |report: &Report| {
        let works = report.blocking().iter();
        let places: Vec<_> = works.map(|work| work.place().clone()).collect();
        let counts = (report.count(), report.unseen_blocking());
        (report.verdict().clone(), counts, places)
    };
    assert_eq!(summary(&current), summary(&multi));
    assert_eq!(summary(&current), summary(&local));
    current
}

#[test]
fn tracked_closure_reported_with_details() {
    let line = line!() + 2;
    let report = expect_blocking(|gate| async move {
        let begun = gate.start(|work| drop(straggler::spawn_blocking(work)));
        begun.await.unwrap();
    });
    assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
    let [work] = report.blocking() else {
        panic!("{report}");
    };
    assert_eq!((work.number(), work.is_queued()), (1, false));
    assert_eq!((work.place().file(), work.place().line()), (file!(), line));
    assert_eq!(work.spawned_by(), [SpawnedBy::Test]);
    assert!(work.age() >= SHORT);
    let counts = (report.count(), report.unseen_blocking());
    assert_eq!(counts, (0, 0), "{report}");
    let text = report.to_string();
    let first = "leak_check: 1 `spawn_blocking` closure outlived the check at ";
    assert!(text.starts_with(first), "{text}");
}

#[test]
fn untracked_closures_counted() {
    let report = expect_blocking(|gate| async move {
        tokio::task::spawn_blocking(gate.work());
        Handle::current().spawn_blocking(gate.work());
    });
    assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (0, 2), "{report}");
    let text = report.to_string();
    let note = "To see where `spawn_blocking` was called";
    assert!(text.contains(note), "{text}");
}

#[test]
fn untracked_closure_that_computes_counted() {
    let report = expect_blocking(|gate| async move {
        tokio::task::spawn_blocking(move || {
            while !gate.is_open() {
                std::hint::spin_loop();
            }
        });
    });
    assert_eq!(report.unseen_blocking(), 1, "{report}");
}

#[test]
fn tracked_and_untracked_closures_listed_apart() {
    let report = expect_blocking(|gate| async move {
        straggler::spawn_blocking(gate.work());
        tokio::task::spawn_blocking(gate.work());
    });
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (1, 1), "{report}");
    let text = report.to_string();
    let other = "\n  and 1 untracked closure";
    assert!(text.contains(other), "{text}");
}

#[test]
fn equal_closures_grouped() {
    let report = expect_blocking(|gate| async move {
        for _ in 0..3 {
            straggler::spawn_blocking(gate.work());
        }
    });
    let text = report.to_string();
    let entry = "\n  3 closures: #1, #2, #3 spawned at ";
    assert!(text.contains(entry), "{text}");
}

#[test]
fn closure_traced_to_spawning_task() {
    let report = expect_blocking(|gate| async move {
        let task = async move { drop(straggler::spawn_blocking(gate.work())) };
        straggler::spawn(task).await.unwrap();
    });
    let [SpawnedBy::Task { number: 1, .. }, SpawnedBy::Test] = report.blocking()[0].spawned_by()
    else {
        panic!("{report}");
    };
}

#[test]
fn closure_of_dropped_join_set_reported() {
    let report = expect_blocking(|gate| async move {
        let mut set = straggler::tokio::task::JoinSet::new();
        let begun = gate.start(|work| drop(set.spawn_blocking(work)));
        begun.await.unwrap();
    });
    assert_eq!(report.blocking().len(), 1, "{report}");
}

#[test]
fn closure_ending_after_body_is_clean() {
    for check in every_flavor() {
        let (open, gate) = Gate::new();
        let body = async move {
            straggler::spawn_blocking(gate.work());
            tokio::task::spawn_blocking(gate.work());
            // Dropped at the end of the body.
            let _open = open;
            yield_now().await;
        };
        // The check must not wait for this grace.
        check.grace(Duration::from_secs(3600)).run(body).unwrap();
    }
}

#[test]
fn idle_pool_threads_ignored_without_grace() {
    for check in every_flavor() {
        let body = async { tokio::task::spawn_blocking(|| ()).await.unwrap() };
        check.grace(Duration::ZERO).run(body).unwrap();
    }
}

#[test]
fn tracked_closure_keeps_runtime_during_grace() {
    for check in every_flavor() {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let body = async {
            straggler::spawn_blocking(move || {
                Handle::current().block_on(tokio::time::sleep(Duration::from_millis(5)));
                done.store(true, SeqCst);
            });
        };
        check.grace(Duration::from_secs(60)).run(body).unwrap();
        assert!(is_done.load(SeqCst));
    }
}

#[test]
fn tracked_closure_reported_without_grace() {
    let leave = |gate: Gate| async move { drop(straggler::spawn_blocking(gate.work())) };
    for result in each(|check| check.grace(Duration::ZERO), leave) {
        assert_eq!(result.unwrap_err().blocking().len(), 1);
    }
}

#[test]
fn queued_closure_reported() {
    for is_tracked in [true, false] {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().max_blocking_threads(1);
        let (open, gate) = Gate::new();
        let has_run = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&has_run);
        let body = async move {
            let next = move || runs.store(true, SeqCst);
            if is_tracked {
                let begun = gate.start(|work| drop(straggler::spawn_blocking(work)));
                begun.await.unwrap();
                straggler::spawn_blocking(next);
            } else {
                let begun = gate.start(|work| drop(tokio::task::spawn_blocking(work)));
                begun.await.unwrap();
                tokio::task::spawn_blocking(next);
                // A leftover task makes the check queue a closure of its own, which must not count.
                tokio::spawn(pending::<()>());
            }
        };
        let check = LeakCheck::new().runtime(builder).grace(SHORT);
        let report = check.run(body).unwrap_err();
        assert!(!has_run.load(SeqCst));
        drop(open);
        let works = report.blocking().iter();
        let queued: Vec<_> = works.map(BlockingWork::is_queued).collect();
        let expected = match (is_tracked, cfg!(tokio_unstable)) {
            (true, _) => (&[false, true][..], 0),
            (false, true) => (&[][..], 2),
            // Such a build cannot see closures that have not started.
            (false, false) => (&[][..], 1),
        };
        assert_eq!(
            (&queued[..], report.unseen_blocking()),
            expected,
            "{report}"
        );
        let text = report.to_string();
        assert_eq!(
            text.contains("no blocking thread is free"),
            is_tracked,
            "{text}"
        );
    }
}

/// Runs one check for each `[tasks, tracked closures, untracked closures]` to leak, all at once.
fn left<const N: usize>(tests: [(LeakCheck, [usize; 3]); N]) -> [Result<(), Report>; N] {
    let (open, gate) = Gate::new();
    let results = thread::scope(|scope| {
        let running = tests.map(|(check, [tasks, tracked, others])| {
            let gate = gate.clone();
            let body = async move {
                (0..tasks).for_each(|_| drop(tokio::spawn(pending::<()>())));
                (0..tracked).for_each(|_| drop(straggler::spawn_blocking(gate.work())));
                (0..others).for_each(|_| drop(tokio::task::spawn_blocking(gate.work())));
            };
            scope.spawn(|| check.grace(SHORT).run(body))
        });
        running.map(|running| running.join().unwrap())
    });
    drop(open);
    results
}

#[test]
fn allow_covers_blocking_work() {
    let allow = |count| LeakCheck::new().allow(count);
    let fine = left([
        (allow(1), [0, 1, 0]),
        (allow(1), [0, 0, 1]),
        (allow(3), [1, 1, 1]),
    ]);
    for result in fine {
        result.unwrap();
    }
    for result in left([(allow(1), [0, 2, 0]), (allow(1), [0, 0, 2])]) {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(", exceeding `allow(1)`\n"), "{text}");
    }
    for result in left([(allow(1), [1, 1, 0]), (allow(1), [1, 0, 1])]) {
        let report = result.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
        assert_eq!((report.count(), report.allowed()), (0, 1));
        let text = report.to_string();
        assert!(text.contains(", exceeding `allow(1)`\n"), "{text}");
        assert!(
            text.contains("together: 1 allowed leftover is not listed"),
            "{text}"
        );
        assert!(text.contains("`LeakCheck::new().allow(2)`"), "{text}");
    }
}

#[test]
fn allow_at_covers_blocking_work() {
    let at = |place| LeakCheck::new().allow_at(place);
    let [here, too_many, elsewhere] = left([
        (at(file!()), [0, 2, 0]),
        (at(file!()), [0, 1, 1]),
        (at("src"), [0, 1, 0]),
    ]);
    here.unwrap();
    let report = too_many.unwrap_err();
    assert_eq!((report.blocking().len(), report.unseen_blocking()), (0, 1));
    let text = report.to_string();
    let note = "note: a rule with a place allows untracked leftovers up to its count";
    assert!(text.contains(note), "{text}");
    assert_eq!(elsewhere.unwrap_err().unused_rules(), [r#"allow("src")"#]);
}

#[test]
fn blocking_work_ranks_below_tasks() {
    let report = expect_blocking(|gate| async move {
        tokio::spawn(pending::<()>());
        straggler::spawn_blocking(gate.work());
        tokio::task::spawn_blocking(gate.work());
    });
    assert_eq!((report.verdict(), report.count()), (&Verdict::Leaked, 1));
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (1, 1), "{report}");
    let text = report.to_string();
    let also = "also still running: 2 `spawn_blocking` closures";
    assert!(text.contains(also), "{text}");
    assert!(
        text.contains("await the `spawn_blocking` closures too"),
        "{text}"
    );
}

#[test]
fn blocking_work_ranks_below_helper_panics() {
    let report = expect_blocking(|gate| async move {
        let helper = straggler::background(async { panic!("no such table") });
        assert!(helper.await.unwrap_err().is_panic());
        straggler::spawn_blocking(gate.work());
        tokio::task::spawn_blocking(gate.work());
    });
    assert_eq!(*report.verdict(), Verdict::Panicked);
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (1, 1), "{report}");
}

#[test]
fn body_panic_propagates_despite_blocking_work() {
    for check in every_flavor() {
        let (open, gate) = Gate::new();
        let panicking = || {
            check.grace(SHORT).run(async move {
                straggler::spawn_blocking(gate.work());
                tokio::task::spawn_blocking(gate.work());
                std::panic::panic_any(7);
            })
        };
        let payload = catch_unwind(AssertUnwindSafe(panicking)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&7));
        drop(open);
    }
}

#[test]
fn hang_report_lists_blocking_work() {
    let hang = |gate: Gate| async move {
        tokio::task::spawn_blocking(gate.work());
        straggler::spawn_blocking(gate.work()).await.unwrap();
    };
    for result in each(|check| check.timeout(SHORT), hang) {
        let report = result.unwrap_err();
        assert!(matches!(report.verdict(), Verdict::Hung { .. }), "{report}");
        let counts = (report.blocking().len(), report.unseen_blocking());
        assert_eq!(counts, (1, 1), "{report}");
        let text = report.to_string();
        let also = "also still running: 2 `spawn_blocking` closures";
        assert!(text.contains(also), "{text}");
    }
}

#[test]
fn late_report_lists_blocking_work() {
    let (open, gate) = Gate::new();
    let (end, ended) = std_mpsc::channel::<()>();
    let report = thread::scope(|scope| {
        let begun = std::time::Instant::now();
        // Ends the body once the timeout has passed, on a machine of any speed.
        scope.spawn(move || {
            while begun.elapsed() < 2 * SHORT {
                thread::yield_now();
            }
            drop(end);
        });
        LeakCheck::new().timeout(SHORT).run(async move {
            straggler::spawn_blocking(gate.work());
            tokio::task::spawn_blocking(gate.work());
            _ = ended.recv();
        })
    });
    drop(open);
    let report = report.unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Late { .. }), "{report}");
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (1, 1), "{report}");
    let text = report.to_string();
    let also = "also still running: 2 `spawn_blocking` closures";
    assert!(text.contains(also), "{text}");
}

/// A task that blocks its worker is known either by its record or by tokio's count of tasks.
#[test]
fn blocking_task_not_taken_for_closure() {
    for is_tracked in [true, false] {
        let leave = |check: LeakCheck| {
            let (open, gate) = Gate::new();
            let result = check.grace(SHORT).run(async move {
                let (begins, begun) = oneshot::channel();
                let task = async move {
                    begins.send(()).unwrap();
                    gate.work()();
                };
                if is_tracked {
                    straggler::spawn(task);
                } else {
                    tokio::spawn(task);
                }
                begun.await.unwrap();
            });
            drop(open);
            result
        };
        leave(multi_thread().allow(1)).unwrap();
        let report = leave(multi_thread()).unwrap_err();
        assert_eq!((report.verdict(), report.count()), (&Verdict::Leaked, 1));
        // A build that cannot tell the two apart says so.
        let is_seen = is_tracked || cfg!(tokio_unstable);
        assert_eq!(report.unseen_blocking(), usize::from(!is_seen), "{report}");
        let text = report.to_string();
        let hedge = "a task may block it instead";
        assert_eq!(text.contains(hedge), !is_seen, "{text}");
    }
}

#[test]
fn closure_reported_on_paused_clock() {
    let (open, gate) = Gate::new();
    let body = async { drop(tokio::task::spawn_blocking(gate.work())) };
    let report = paused().grace(SHORT).run(body).unwrap_err();
    assert_eq!(report.unseen_blocking(), 1);
    drop(open);
}
