//! How many instructions an explored run takes, with growing numbers of operations and of ready children.
//!
//! What the first run alone does is left out: a row is the difference of two numbers of runs.
//!
//! The last two rows are tests that are not explored. In a build with scheduling points they have the cost of its hooks.

use std::sync::Arc;

use straggler::explore::Explored;
use straggler::{Explore, settle_all};
use tokio::runtime::Builder;
use tokio::sync::Mutex;
use tokio::task::yield_now;

use crate::count;

/// The name of a body, the numbers of children and of operations of each, and of runs.
const ROWS: &[(&str, u32, u32, [usize; 2])] = &[
    ("runtime", 0, 0, [20, 120]),
    ("nothing", 0, 0, [20, 120]),
    ("one lock", 2, 2, [100, 300]),
    ("one lock", 2, 5, [100, 300]),
    ("one lock", 2, 50, [20, 70]),
    ("one lock", 2, 500, [5, 15]),
    ("one lock", 2, 2_000, [4, 10]),
    ("own locks", 2, 5, [40, 140]),
    ("own locks", 10, 5, [40, 140]),
    ("own locks", 100, 5, [20, 60]),
    ("own locks", 400, 5, [10, 30]),
    ("tasks", 10, 5, [50, 100]),
    ("tasks", 100, 5, [10, 30]),
    ("not explored", 1, 10_000, [5, 15]),
    ("not explored, after an exploration", 1, 10_000, [5, 15]),
];

pub(crate) fn print_table() {
    println!("| body | children x operations | instructions per run | per operation |");
    println!("|---|---|---|---|");
    for (body, children, operations, [few, many]) in ROWS {
        let count = |runs: &usize| {
            let arguments = [
                "runs".to_owned(),
                (*body).to_owned(),
                children.to_string(),
                operations.to_string(),
                runs.to_string(),
            ];
            count(&[], &arguments).instructions
        };
        let per_run = (count(many) - count(few)) / (many - few) as u64;
        let all = u64::from(children * operations);
        let per_operation = per_run.checked_div(all).unwrap_or_default();
        println!("| {body} | {children} x {operations} | {per_run} | {per_operation} |");
    }
}

/// Makes runs: the name of a body, the numbers of children and of operations of each, and of runs.
pub(crate) fn make(arguments: &[String]) {
    let (body, numbers) = arguments.split_first().expect("the name of a body");
    let numbers: Vec<u32> = numbers
        .iter()
        .map(|text| text.parse().expect("a number"))
        .collect();
    let [children, operations, runs] = numbers[..] else {
        panic!("expected the numbers of children, operations and runs");
    };
    make_runs(body, children, operations, runs as usize);
}

/// Makes that many runs of a body.
fn make_runs(body: &str, children: u32, operations: u32, runs: usize) {
    let explore = || Explore::new().runs(runs);
    let explored: Result<Explored, _> = match body {
        "runtime" => return (0..runs).for_each(|_| build_runtime()),
        "not explored" => return (0..runs).for_each(|_| run_plainly(operations)),
        "not explored, after an exploration" => {
            let once = Explore::new().runs(2);
            let explored = once.find(|| async { add(&Mutex::new(0), 1).await });
            (0..runs).for_each(|_| run_plainly(operations));
            explored
        }
        "nothing" => explore().find(|| async {}),
        "one lock" => explore().find(|| async {
            let count = &Mutex::new(0);
            _ = settle_all((0..children).map(|_| add(count, operations))).await;
        }),
        "own locks" => explore().find(|| async {
            // Each child is ready again as soon as it was polled.
            let child = |_| async {
                let count = Mutex::new(0);
                for _ in 0..operations {
                    *count.lock().await += 1;
                    yield_now().await;
                }
            };
            _ = settle_all((0..children).map(child)).await;
        }),
        "tasks" => explore().find(|| async {
            let count = Arc::new(Mutex::new(0));
            let task = |_| {
                let count = Arc::clone(&count);
                straggler::spawn(async move { add(&count, operations).await })
            };
            let tasks: Vec<_> = (0..children).map(task).collect();
            for task in tasks {
                task.await.expect("it does not panic");
            }
        }),
        other => panic!("no body is called `{other}`"),
    };
    explored.expect("the body has no race");
}

/// Takes a lock that many times.
async fn add(count: &Mutex<u32>, operations: u32) {
    for _ in 0..operations {
        *count.lock().await += 1;
    }
}

/// What each run has to do in any case.
fn build_runtime() {
    run_plainly(0);
}

/// Takes a lock that many times in a runtime of its own, as a test that is not explored.
fn run_plainly(operations: u32) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    let body = async { add(&Mutex::new(0), operations).await };
    runtime.expect("it is built").block_on(body);
}
