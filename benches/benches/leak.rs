//! The time that the leak check adds to a test, over what `#[tokio::test]` expands to.
//!
//! `cargo bench -p straggler-benches --bench leak` measures in release mode. Add `--profile dev` to
//! measure as tests are built, and `RUSTFLAGS="--cfg tokio_unstable"` to include the runtime's
//! hooks. At the end it prints a table of times and ratios.

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

/// Runs a body as `#[tokio::test]` does.
fn plain<F: Future>(mut builder: Builder, body: F) -> F::Output {
    builder.build().unwrap().block_on(body)
}

/// Runs a body as `#[straggler::test]` does, without its report.
fn checked<F: Future>(builder: Builder, body: F) -> F::Output {
    LeakCheck::new().runtime(builder).run(body).unwrap()
}

/// A way to run a test: its name and a function of the runtime and the number of spawns.
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

/// A test: its name, its runtime, how many tasks it spawns, and the ways to run it.
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
    // A test harness has a second thread that waits for the test. Without one, system calls and the
    // allocator are faster until the check starts its watchdog thread, which would skew the ratio.
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

/// Prints the time of each test, and the ratio to `#[tokio::test]`.
fn print_table(medians: &BTreeMap<String, f64>) {
    let median = |workload: &str, (run, _): Run| medians.get(&format!("{workload}/{run}")).copied();
    println!(
        "\n| microseconds per test | `#[tokio::test]` | `#[straggler::test]` | with tracked spawns |"
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
