//! Measures one cell of the table: one workload, one join, one number of futures.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use straggler_benches::driver::Driver;
use straggler_benches::joins::{
    Buffered, Concurrency, Join, JoinAll, Ours, SequentialAwaits, Tasks, Unordered,
};
use straggler_benches::workloads::{AllReady, WAKES, Workload};
use tokio::runtime::Runtime;

use crate::table::{Table, fastest};

/// The numbers of futures: the columns of the table.
const COUNTS: [usize; 6] = [1, 10, 30, 100, 1_000, 100_000];

/// The longest that a single run may take.
///
/// A join that is quadratic in the number of futures exceeds it for large numbers. Those cells are
/// not measured.
const RUN_LIMIT: Duration = Duration::from_secs(1);

/// The number of futures that a batch of runs holds at least.
///
/// Large enough that reading the clock costs nothing in comparison, small enough that the futures
/// stay in the processor's cache.
const FUTURES_PER_BATCH: usize = 1_000;

/// The joins to compare with. The loop of plain awaits is not one of them.
const PEERS: [&str; 5] = [
    JoinAll::NAME,
    Unordered::NAME,
    Concurrency::NAME,
    Buffered::NAME,
    Tasks::NAME,
];

/// A workload that was measured: a row of the table.
pub(crate) struct Row {
    workload: &'static str,
    /// How many futures or wake-ups a run handles, by the number of futures. The table shows the
    /// time for each.
    units: fn(usize) -> usize,
}

/// Measures one workload with every join and every number of futures.
pub(crate) fn measure<W: Workload>(criterion: &mut Criterion) -> Row {
    let mut group = criterion.benchmark_group(W::NAME);
    for count in COUNTS {
        for cell in [
            cell::<W, Ours>,
            cell::<W, JoinAll>,
            cell::<W, Unordered>,
            cell::<W, Concurrency>,
            cell::<W, Buffered>,
            cell::<W, Tasks>,
        ] {
            cell(&mut group, count);
        }
    }
    Row {
        workload: W::NAME,
        units: units::<W>,
    }
}

/// Measures the loop of plain awaits with the one workload that it can handle.
pub(crate) fn measure_loop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(AllReady::NAME);
    for count in COUNTS {
        cell::<AllReady, SequentialAwaits>(&mut group, count);
    }
}

/// Prints the table of `settle_all` against the fastest other join.
pub(crate) fn print_table(rows: &[Row], medians: &BTreeMap<String, f64>) {
    let title =
        "nanoseconds per future, or per wake-up of chatter: settle_all / fastest other join";
    let mut table = Table::new(title, &COUNTS);
    for row in rows {
        let nanoseconds = |join, count| {
            let median = medians.get(&format!("{}/{join}/{count}", row.workload))?;
            Some(median / f64::from(u32::try_from((row.units)(count)).ok()?))
        };
        let cells = COUNTS.map(|count| {
            let peers = PEERS
                .iter()
                .filter_map(|&peer| Some((peer, nanoseconds(peer, count)?)));
            (nanoseconds(Ours::NAME, count), fastest(peers))
        });
        table.row(row.workload, &cells);
        let bounds = COUNTS.map(|count| (nanoseconds(SequentialAwaits::NAME, count), None));
        table.row(
            &format!("{}, plain awaits in a loop", row.workload),
            &bounds,
        );
    }
    table.print();
}

fn units<W: Workload>(count: usize) -> usize {
    W::CHATTER.map_or(count, |_| WAKES)
}

fn cell<W: Workload, J: Join>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    let runtime = W::runtime();
    let driver = &W::driver::<J>();
    if !is_fast_enough::<W, J>(&runtime, driver, count) {
        return;
    }
    group.throughput(Throughput::Elements(units::<W>(count) as u64));
    group.bench_function(BenchmarkId::new(J::NAME, count), |bencher| {
        let mut bencher = bencher.to_async(&runtime);
        match W::CHATTER {
            None => bencher.iter_batched(
                || W::prepare(count),
                |(mut workload, futures)| async move {
                    let output = workload.drive(driver, J::join(futures)).await;
                    // Criterion drops what is returned after it has stopped the clock.
                    (output, workload)
                },
                batches::<W>(count),
            ),
            Some(turns) => bencher.iter_custom(|runs| async move {
                let mut elapsed = Duration::ZERO;
                for _ in 0..runs {
                    elapsed += chatter::<W, J>(driver, count, turns).await;
                }
                elapsed
            }),
        }
    });
}

fn batches<W: Workload>(count: usize) -> BatchSize {
    if W::TIMED {
        return BatchSize::PerIteration;
    }
    BatchSize::NumIterations(FUTURES_PER_BATCH.div_ceil(count) as u64)
}

/// Measures the turns of chatter: all futures wait, and one of them is woken in each turn.
async fn chatter<W: Workload, J: Join>(driver: &Driver, count: usize, turns: usize) -> Duration {
    let (mut workload, futures) = W::prepare(count);
    let mut join = pin!(J::join(futures));
    let mut is_pending = driver.start(join.as_mut()).await.is_pending();
    let started = Instant::now();
    for _ in 0..turns {
        let polled = driver.turn(join.as_mut(), || workload.turn()).await;
        is_pending &= polled.is_pending();
    }
    let elapsed = started.elapsed();
    assert!(is_pending, "no future has completed yet");
    let polled = driver.turn(join, || workload.turn()).await;
    assert!(polled.is_ready(), "all futures have completed");
    elapsed
}

/// Runs the cell once and returns whether it stays within [`RUN_LIMIT`].
fn is_fast_enough<W: Workload, J: Join>(runtime: &Runtime, driver: &Driver, count: usize) -> bool {
    let run = async {
        let (mut workload, futures) = W::prepare(count);
        let started = Instant::now();
        let mut join = pin!(J::join(futures));
        let limited = poll_fn(|context| {
            if started.elapsed() > RUN_LIMIT {
                return Poll::Ready(false);
            }
            join.as_mut().poll(context).map(|_| true)
        });
        workload.drive(driver, limited).await
    };
    runtime.block_on(run)
}
