//! What the leak check costs a test, beside what `#[tokio::test]` expands to.
//!
//! `cargo bench -p straggler-benches --bench leak` measures in release mode, as benches are; with
//! `--profile dev` as tests are built. It prints, last, a table of ratios. With
//! `RUSTFLAGS="--cfg tokio_unstable"` the hooks of the runtime are in it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, SystemTime};

use criterion::Criterion;
use straggler::LeakCheck;
use straggler_benches::medians;
use tokio::runtime::Builder;

fn current_thread() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    builder
}

fn multi_thread() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    builder
}

async fn spawn_and_await(count: usize) {
    for _ in 0..count {
        black_box(tokio::spawn(async {}).await).unwrap();
    }
}

async fn spawn_tracked_and_await(count: usize) {
    for _ in 0..count {
        black_box(straggler::spawn(async {}).await).unwrap();
    }
}

/// What `#[tokio::test]` expands to.
fn plain<F: Future>(mut builder: Builder, body: F) -> F::Output {
    builder.build().unwrap().block_on(body)
}

/// What `#[leak_check]` comes to, but for printing.
fn checked<F: Future>(builder: Builder, body: F) -> F::Output {
    LeakCheck::new().runtime(builder).run(body).unwrap()
}

/// One of the ways to run a test.
type Run = (&'static str, fn(fn() -> Builder, usize));

const PLAIN: Run = ("tokio::test", |builder, spawns| {
    plain(builder(), spawn_and_await(spawns));
});
const CHECKED: Run = ("leak_check", |builder, spawns| {
    checked(builder(), spawn_and_await(spawns));
});
const TRACKED: Run = ("leak_check, tracked spawns", |builder, spawns| {
    checked(builder(), spawn_tracked_and_await(spawns));
});

/// A test by name, its runtime, how many tasks it spawns, and how it is run.
type Workload = (&'static str, fn() -> Builder, usize, &'static [Run]);

const WORKLOADS: [Workload; 5] = [
    (
        "trivial, current thread",
        current_thread,
        0,
        &[PLAIN, CHECKED],
    ),
    (
        "10 spawns, current thread",
        current_thread,
        10,
        &[PLAIN, CHECKED, TRACKED],
    ),
    (
        "10 000 spawns, current thread",
        current_thread,
        10_000,
        &[PLAIN, CHECKED, TRACKED],
    ),
    ("trivial, multi thread", multi_thread, 0, &[PLAIN, CHECKED]),
    (
        "10 spawns, multi thread",
        multi_thread,
        10,
        &[PLAIN, CHECKED, TRACKED],
    ),
];

fn main() {
    let started = SystemTime::now();
    // As a test has one beside it, which waits for it: in a process of one thread system calls and
    // the allocator take less, until the check starts its watchdog.
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (workload, builder, spawns, runs) in WORKLOADS {
        let mut group = criterion.benchmark_group(workload);
        for (name, run) in runs {
            group.bench_function(*name, |bencher| bencher.iter(|| run(builder, spawns)));
        }
        group.finish();
    }
    criterion.final_summary();
    print_table(&medians(started));
}

/// Prints each way to run a test over the plain one.
fn print_table(medians: &BTreeMap<String, f64>) {
    let median = |workload: &str, (run, _): Run| medians.get(&format!("{workload}/{run}")).copied();
    println!(
        "\n| microseconds a test | `#[tokio::test]` | `#[leak_check]` | with tracked spawns |"
    );
    println!("|---|---|---|---|");
    for (workload, ..) in WORKLOADS {
        let Some(plain) = median(workload, PLAIN) else {
            continue;
        };
        let cell = |run| match median(workload, run) {
            Some(other) => format!("{:.1} (x{:.2})", other / 1000.0, other / plain),
            None => String::new(),
        };
        println!(
            "| {workload} | {:.1} | {} | {} |",
            plain / 1000.0,
            cell(CHECKED),
            cell(TRACKED)
        );
    }
}
