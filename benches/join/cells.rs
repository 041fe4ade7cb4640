//! One cell of the table: one workload, one join, one number of futures.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use straggler_benches::joining::driver::Driver;
use straggler_benches::joining::joins::{
    Buffered, Concurrency, Join, JoinAll, OneAfterTheOther, Ours, Tasks, Unordered,
};
use straggler_benches::joining::workloads::{AllReady, WAKES, Workload};
use tokio::runtime::Runtime;

use crate::table::{Table, fastest};

/// The numbers of futures.
const COUNTS: [usize; 6] = [1, 10, 30, 100, 1_000, 100_000];

/// What a single run may take. A join that is quadratic in the number of futures takes more of
/// the larger numbers, and is not measured there.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many futures are made at a time, if a run does not need more: enough that reading the clock
/// does not count, few enough that they stay in the processor's cache.
const FUTURES_AT_A_TIME: usize = 1_000;

/// What may be the fastest other join. The loop is none.
const PEERS: [&str; 5] = [
    JoinAll::NAME,
    Unordered::NAME,
    Concurrency::NAME,
    Buffered::NAME,
    Tasks::NAME,
];

/// A workload that was measured.
pub(crate) struct Row {
    workload: &'static str,
    /// What a run does that is counted in nanoseconds each, by the number of futures.
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

/// Measures the loop with the one workload that needs no join.
pub(crate) fn measure_loop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(AllReady::NAME);
    for count in COUNTS {
        cell::<AllReady, OneAfterTheOther>(&mut group, count);
    }
}

/// Prints what was measured.
pub(crate) fn print_table(rows: &[Row], medians: &BTreeMap<String, f64>) {
    let title = "nanoseconds a future, or a wake of chatter: settle_all / the fastest other join";
    let mut table = Table::new(title, &COUNTS);
    for row in rows {
        let each = |join, count| {
            let median = medians.get(&format!("{}/{join}/{count}", row.workload))?;
            Some(median / f64::from(u32::try_from((row.units)(count)).ok()?))
        };
        let cells = COUNTS.map(|count| {
            let peers = PEERS
                .iter()
                .filter_map(|&peer| Some((peer, each(peer, count)?)));
            (each(Ours::NAME, count), fastest(peers))
        });
        table.row(row.workload, &cells);
        let limits = COUNTS.map(|count| (each(OneAfterTheOther::NAME, count), None));
        table.row(
            &format!("{}, awaited one after the other", row.workload),
            &limits,
        );
    }
    table.print();
}

fn units<W: Workload>(count: usize) -> usize {
    W::CHATTER.map_or(count, |_| WAKES)
}

fn cell<W: Workload, J: Join>(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    let runtime = W::runtime();
    let driver = &Driver::of::<W, J>();
    if !ends_in_time::<W, J>(&runtime, driver, count) {
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
                    // What is returned is dropped when time is not measured any more.
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
    if W::AGES {
        return BatchSize::PerIteration;
    }
    BatchSize::NumIterations(FUTURES_AT_A_TIME.div_ceil(count) as u64)
}

/// Measures the first turns, from when all futures wait to when all but one still do.
async fn chatter<W: Workload, J: Join>(driver: &Driver, count: usize, turns: usize) -> Duration {
    let (mut workload, futures) = W::prepare(count);
    let mut join = pin!(J::join(futures));
    let mut waits = driver.start(join.as_mut()).await.is_pending();
    let started = Instant::now();
    for _ in 0..turns {
        let polled = driver.turn(join.as_mut(), || workload.turn()).await;
        waits &= polled.is_pending();
    }
    let elapsed = started.elapsed();
    assert!(waits, "no future has completed yet");
    let polled = driver.turn(join, || workload.turn()).await;
    assert!(polled.is_ready(), "all futures have completed");
    elapsed
}

/// Whether a single run ends before patience does.
fn ends_in_time<W: Workload, J: Join>(runtime: &Runtime, driver: &Driver, count: usize) -> bool {
    let run = async {
        let (mut workload, futures) = W::prepare(count);
        let started = Instant::now();
        let mut join = pin!(J::join(futures));
        let impatient = poll_fn(|context| {
            if started.elapsed() > PATIENCE {
                return Poll::Ready(false);
            }
            join.as_mut().poll(context).map(|_| true)
        });
        workload.drive(driver, impatient).await
    };
    runtime.block_on(run)
}
