//! Blocking work that a test leaves behind.

use std::thread;

use super::*;

/// What holds blocking work back, until its test drops the sender.
#[derive(Clone)]
struct Gate(Arc<Mutex<std_mpsc::Receiver<()>>>);

impl Gate {
    fn new() -> (std_mpsc::Sender<()>, Self) {
        let (open, opened) = std_mpsc::channel();
        (open, Self(Arc::new(Mutex::new(opened))))
    }

    fn work(&self) -> impl FnOnce() + Send + use<> {
        let Self(opened) = self.clone();
        move || _ = opened.lock().unwrap().recv()
    }

    /// Has work spawned, and tells when it has begun.
    fn begun(&self, spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> oneshot::Receiver<()> {
        let (begins, begun) = oneshot::channel();
        let work = self.work();
        spawn(Box::new(move || {
            begins.send(()).unwrap();
            work();
        }));
        begun
    }
}

/// What becomes of a body in each flavor, all at the same time: each waits for what does not end.
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

/// The report of a body that leaves blocking work behind, the same in each flavor but for ages.
#[track_caller]
fn blocks<F: Future<Output = ()>>(body: impl Fn(Gate) -> F + Sync) -> Report {
    let [current, multi, local] =
        each(|check| check.grace(SHORT), body).map(|result| result.expect_err("nothing was left"));
    let told = |report: &Report| {
        let works = report.blocking().iter();
        let places: Vec<_> = works.map(|work| work.place().clone()).collect();
        let counts = (report.count(), report.unseen_blocking());
        (report.verdict().clone(), counts, places)
    };
    assert_eq!(told(&current), told(&multi));
    assert_eq!(told(&current), told(&local));
    current
}

#[test]
fn that_is_tracked_is_named_with_all_there_is_to_know() {
    let line = line!() + 2;
    let report = blocks(|gate| async move {
        let begun = gate.begun(|work| drop(straggler::spawn_blocking(work)));
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
fn that_is_not_tracked_is_counted() {
    let report = blocks(|gate| async move {
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
fn of_both_kinds_is_told_apart() {
    let report = blocks(|gate| async move {
        straggler::spawn_blocking(gate.work());
        tokio::task::spawn_blocking(gate.work());
    });
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (1, 1), "{report}");
    let text = report.to_string();
    let other = "\n  and 1 that was not spawned through straggler";
    assert!(text.contains(other), "{text}");
}

#[test]
fn that_is_equal_is_one_entry() {
    let report = blocks(|gate| async move {
        for _ in 0..3 {
            straggler::spawn_blocking(gate.work());
        }
    });
    let text = report.to_string();
    let entry = "\n  3 closures: #1, #2, #3 spawned at ";
    assert!(text.contains(entry), "{text}");
}

#[test]
fn that_a_task_spawned_is_traced_back_to_it() {
    let report = blocks(|gate| async move {
        let task = async move { drop(straggler::spawn_blocking(gate.work())) };
        straggler::spawn(task).await.unwrap();
    });
    let [SpawnedBy::Task { number: 1, .. }, SpawnedBy::Test] = report.blocking()[0].spawned_by()
    else {
        panic!("{report}");
    };
}

#[test]
fn of_a_join_set_that_was_dropped_goes_on() {
    let report = blocks(|gate| async move {
        let mut set = straggler::tokio::task::JoinSet::new();
        let begun = gate.begun(|work| drop(set.spawn_blocking(work)));
        begun.await.unwrap();
    });
    assert_eq!(report.blocking().len(), 1, "{report}");
}

#[test]
fn that_ends_soon_after_the_body_is_clean() {
    for check in every_flavor() {
        let (open, gate) = Gate::new();
        let body = async move {
            straggler::spawn_blocking(gate.work());
            tokio::task::spawn_blocking(gate.work());
            // Dropped when the body has ended, and not before.
            let _open = open;
            yield_now().await;
        };
        // None of it is waited for.
        check.grace(Duration::from_secs(3600)).run(body).unwrap();
    }
}

#[test]
fn that_has_ended_leaves_threads_that_have_time_to_stop_without_a_grace() {
    for check in every_flavor() {
        let body = async { tokio::task::spawn_blocking(|| ()).await.unwrap() };
        check.grace(Duration::ZERO).run(body).unwrap();
    }
}

#[test]
fn that_is_tracked_has_its_runtime_while_it_is_waited_for() {
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
fn that_is_tracked_is_left_if_there_is_no_grace() {
    let leave = |gate: Gate| async move { drop(straggler::spawn_blocking(gate.work())) };
    for result in each(|check| check.grace(Duration::ZERO), leave) {
        assert_eq!(result.unwrap_err().blocking().len(), 1);
    }
}

#[test]
fn that_waits_for_a_thread_counts() {
    for is_tracked in [true, false] {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().max_blocking_threads(1);
        let (open, gate) = Gate::new();
        let has_run = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&has_run);
        let body = async move {
            let next = move || runs.store(true, SeqCst);
            if is_tracked {
                let begun = gate.begun(|work| drop(straggler::spawn_blocking(work)));
                begun.await.unwrap();
                straggler::spawn_blocking(next);
            } else {
                let begun = gate.begun(|work| drop(tokio::task::spawn_blocking(work)));
                begun.await.unwrap();
                tokio::task::spawn_blocking(next);
                // The grace has a closure of its own, which waits too, and does not count.
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
            // Of one that has not begun such a build sees nothing.
            (false, false) => (&[][..], 1),
        };
        assert_eq!(
            (&queued[..], report.unseen_blocking()),
            expected,
            "{report}"
        );
        let text = report.to_string();
        assert_eq!(
            text.contains("has waited for a thread for"),
            is_tracked,
            "{text}"
        );
    }
}

/// What becomes of tests that leave so many tasks, tracked closures and other closures behind, each
/// with a check of its own, all at the same time.
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
fn may_remain_if_so_much_is_allowed() {
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
        assert!(text.contains(", which allows 1\n"), "{text}");
    }
    for result in left([(allow(1), [1, 1, 0]), (allow(1), [1, 0, 1])]) {
        let report = result.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
        assert_eq!((report.count(), report.allowed()), (0, 1));
        let text = report.to_string();
        assert!(text.contains(", which allows 1\n"), "{text}");
        assert!(text.contains("together: 1 is left besides"), "{text}");
        assert!(text.contains("`LeakCheck::new().allow(2)`"), "{text}");
    }
}

#[test]
fn may_remain_if_its_place_is_allowed() {
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
    let note = "rules for places can only match blocking work of which it is seen";
    assert!(text.contains(note), "{text}");
    assert_eq!(elsewhere.unwrap_err().unused_rules(), [r#"allow("src")"#]);
}

#[test]
fn ranks_below_tasks_and_is_told_with_them() {
    let report = blocks(|gate| async move {
        tokio::spawn(pending::<()>());
        straggler::spawn_blocking(gate.work());
        tokio::task::spawn_blocking(gate.work());
    });
    assert_eq!((report.verdict(), report.count()), (&Verdict::Leaked, 1));
    let counts = (report.blocking().len(), report.unseen_blocking());
    assert_eq!(counts, (1, 1), "{report}");
    let text = report.to_string();
    let besides = "besides 2 `spawn_blocking` closures have not ended:";
    assert!(text.contains(besides), "{text}");
    assert!(text.contains("await blocking work, too"), "{text}");
}

#[test]
fn ranks_below_panics_of_helpers_and_is_told_with_them() {
    let report = blocks(|gate| async move {
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
fn does_not_hide_the_panic_of_the_body_nor_hold_it_up() {
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
fn is_told_of_a_test_that_hangs() {
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
        let besides = "besides 2 `spawn_blocking` closures have not ended:";
        assert!(text.contains(besides), "{text}");
    }
}

#[test]
fn is_told_of_a_test_that_ends_too_late() {
    let (open, gate) = Gate::new();
    let (end, ended) = std_mpsc::channel::<()>();
    let report = thread::scope(|scope| {
        let begun = std::time::Instant::now();
        // It ends when its time is over, however long that takes to see.
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
    let besides = "besides 2 `spawn_blocking` closures have not ended:";
    assert!(text.contains(besides), "{text}");
}

/// It is on record, or among the tasks that are counted.
#[test]
fn is_no_task_that_blocks_its_worker() {
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
        // A build that does not see that it is the task says so.
        let is_seen = is_tracked || cfg!(tokio_unstable);
        assert_eq!(report.unseen_blocking(), usize::from(!is_seen), "{report}");
        let text = report.to_string();
        let hedge = "it may also be a task that blocks its thread";
        assert_eq!(text.contains(hedge), !is_seen, "{text}");
    }
}

#[test]
fn stops_a_paused_clock_and_is_told_all_the_same() {
    let (open, gate) = Gate::new();
    let body = async { drop(tokio::task::spawn_blocking(gate.work())) };
    let report = paused().grace(SHORT).run(body).unwrap_err();
    assert_eq!(report.unseen_blocking(), 1);
    drop(open);
}
