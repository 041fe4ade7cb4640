//! Runs that tokio could not make count as nothing.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use straggler::Explore;
use tokio::task::yield_now;

/// Runs of a body, as the body itself counts them.
#[derive(Default)]
struct Counts {
    all: Cell<usize>,
    /// In which a task had ended when it was aborted, and lost its output: tokio keeps it.
    impossible: Cell<usize>,
}

impl Counts {
    /// Aborts a task, which may have ended inside its spawn.
    async fn abort_task(&self) {
        self.all.set(self.all.get() + 1);
        let (task, has_ended) = spawn_and_end();
        task.abort();
        if task.await.is_err() && has_ended.load(Relaxed) {
            self.impossible.set(self.impossible.get() + 1);
        }
    }
}

fn spawn_and_end() -> (tokio::task::JoinHandle<()>, Arc<AtomicBool>) {
    let has_ended = Arc::new(AtomicBool::new(false));
    let task = straggler::spawn({
        let has_ended = Arc::clone(&has_ended);
        async move { has_ended.store(true, Relaxed) }
    });
    (task, has_ended)
}

#[test]
fn impossible_run_is_no_run() {
    let counts = Counts::default();
    let explored = Explore::new().eager_spawns().runs(100);
    let explored = explored.find(|| counts.abort_task()).unwrap();
    let impossible = counts.impossible.get();
    assert!((10..100).contains(&impossible), "{impossible}");
    assert_eq!(counts.all.get() - impossible, 100);
    assert_eq!(explored.runs(), 100);
    assert_eq!(explored.discarded(), impossible);
    assert_eq!(explored.note(), None);
    let text = format!("100 runs without a failure, {impossible} discarded");
    assert_eq!(explored.to_string(), text);
}

#[test]
fn impossible_run_is_no_overlap() {
    let explore = Explore::new().eager_spawns().runs(50).require_overlap();
    let failure = explore.find(async || {
        let (task, has_ended) = spawn_and_end();
        task.abort();
        if has_ended.load(Relaxed) {
            let both = [(); 2].map(|()| straggler::spawn(yield_now()));
            for one in both {
                one.await.unwrap();
            }
        }
        _ = task.await;
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("in flight at once in 50 runs"), "{text}");
}

#[test]
fn failing_run_is_numbered_among_those_that_count() {
    let counts = Counts::default();
    let numbers = (Cell::new(0), Cell::new(0));
    let explore = Explore::new().eager_spawns().runs(100);
    let failure = explore.find(async || {
        counts.abort_task().await;
        numbers.0.set(numbers.0.get() + 1);
        let counted = counts.all.get() - counts.impossible.get();
        if counted == 20 && numbers.1.get() == 0 {
            numbers.1.set(numbers.0.get());
            panic!("the 20th run that counts");
        }
    });
    assert!(numbers.1.get() > 20, "no run was discarded");
    assert_eq!(failure.unwrap_err().run(), 20);
}

/// How many runs the next two tests ask for. The first forced ones yield often, and none of those counts.
const RUNS: usize = 40;

/// Aborts 100 tasks. In nearly every run at least one of them has ended in its spawn.
async fn abort_many() {
    for _ in 0..100 {
        let (task, _) = spawn_and_end();
        task.abort();
        _ = task.await;
    }
}

#[test]
fn exploration_of_impossible_runs_ends() {
    let runs = Cell::new(0);
    let explored = Explore::new().eager_spawns().runs(RUNS).find(async || {
        runs.set(runs.get() + 1);
        abort_many().await;
    });
    let explored = explored.unwrap();
    let counted = explored.runs();
    assert!(counted < RUNS, "{explored}");
    assert_eq!(explored.discarded(), RUNS);
    assert_eq!(runs.get(), counted + RUNS);
    let note = explored.note().expect("less was explored");
    let text =
        format!("only {counted} of {RUNS} runs count. {RUNS} more were discarded, because a task");
    assert!(note.starts_with(&text), "{note}");
    assert!(!note.contains('\n'), "{note}");
}

#[test]
fn missing_overlap_of_impossible_runs_says_why() {
    let explore = Explore::new().eager_spawns().runs(RUNS).require_overlap();
    let text = explore.find(abort_many).unwrap_err().to_string();
    assert!(!text.contains(&format!("at once in {RUNS} runs")), "{text}");
    assert!(text.contains("note: only "), "{text}");
}

#[test]
fn replay_of_impossible_run_says_so() {
    let seed = "2:1".parse().unwrap();
    let explored = Explore::new().eager_spawns().replay(seed);
    let explored = explored.find(async || {
        let (task, has_ended) = spawn_and_end();
        task.abort();
        _ = task.await;
        assert!(!has_ended.load(Relaxed), "only an impossible run fails");
    });
    let explored = explored.unwrap();
    let note = explored.note().expect("the run shows nothing");
    assert!(note.contains("ended inside its spawn"), "{note}");
}
