//! What it costs to join n futures, beside everything a user could pick instead.
//!
//! `cargo bench -p straggler-benches` measures each cell with criterion and prints, last, a table
//! of `settle_all` against the fastest other join of the cell.

use std::collections::BTreeMap;
use std::future::{Ready, poll_fn, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use criterion::{BenchmarkId, Criterion, Throughput};
use futures::executor::block_on;
use futures::stream::{FuturesUnordered, StreamExt};
use futures_concurrency::future::Join;
use straggler_benches::medians;

const COUNTS: [usize; 5] = [1, 10, 30, 100, 1000];

const OURS: &str = "settle_all";

/// Ready at the first poll.
fn ready_at_once(count: usize) -> Vec<Ready<usize>> {
    (0..count).map(ready).collect()
}

/// Wakes itself at the first poll, and is ready at the second.
fn yields_once(count: usize) -> Vec<impl Future<Output = usize> + Unpin> {
    let yielding = |index| {
        let mut yielded = false;
        poll_fn(move |context| {
            if yielded {
                return Poll::Ready(index);
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
    };
    (0..count).map(yielding).collect()
}

/// One that keeps its waker for whoever makes it ready.
type Kept = Arc<Mutex<(bool, Option<Waker>)>>;

fn waits(kept: Kept) -> impl Future<Output = usize> + Unpin {
    poll_fn(move |context| {
        let mut state = kept.lock().unwrap();
        if state.0 {
            return Poll::Ready(1);
        }
        match &mut state.1 {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    })
}

fn make_ready(kept: &Kept) {
    let waker = {
        let mut state = kept.lock().unwrap();
        state.0 = true;
        state.1.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Futures that are made ready in an order of their own, `at_once` before each poll.
fn completed_in_turns(count: usize, at_once: usize) -> Vec<impl Future<Output = usize> + Unpin> {
    let kept: Vec<Kept> = (0..count).map(|_| Kept::default()).collect();
    // A step that has no divisor in common with the numbers of futures, so that each has its turn.
    let order: Vec<Kept> = (0..count)
        .map(|turn| kept[turn * 7919 % count].clone())
        .collect();
    let mut turns = order.into_iter();
    // The first future also drives the others: it yields until all of them are ready.
    let mut first = waits(kept[0].clone());
    let driving: Box<dyn Future<Output = usize> + Unpin> = Box::new(poll_fn(move |context| {
        turns
            .by_ref()
            .take(at_once)
            .for_each(|kept| make_ready(&kept));
        if turns.len() == 0 {
            return Pin::new(&mut first).poll(context);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    let others = kept
        .into_iter()
        .skip(1)
        .map(|kept| Box::new(waits(kept)) as Box<dyn Future<Output = usize> + Unpin>);
    std::iter::once(driving).chain(others).collect()
}

/// Measures one workload with every join and every number of futures.
fn measure<F>(criterion: &mut Criterion, workload: &str, futures: impl Fn(usize) -> Vec<F>)
where
    F: Future<Output = usize>,
{
    for count in COUNTS {
        let mut group = criterion.benchmark_group(format!("{workload} {count}"));
        group.throughput(Throughput::Elements(count as u64));
        let mut join = |name: &str, join: &dyn Fn(Vec<F>) -> usize| {
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter_batched(
                    || futures(count),
                    |futures| black_box(join(futures)),
                    criterion::BatchSize::SmallInput,
                );
            });
        };
        join(OURS, &|futures| {
            block_on(straggler::settle_all(futures)).len()
        });
        join("join_all", &|futures| {
            block_on(futures::future::join_all(futures)).len()
        });
        join("FuturesUnordered", &|futures| {
            block_on(FuturesUnordered::from_iter(futures).collect::<Vec<_>>()).len()
        });
        join("futures_buffered", &|futures| {
            block_on(futures_buffered::join_all(futures)).len()
        });
        join("futures_concurrency", &|futures| {
            block_on(futures.join()).len()
        });
        group.finish();
    }
}

/// Prints ours / the fastest other join of each cell.
fn print_table(workloads: &[&str], medians: &BTreeMap<String, f64>) {
    println!("\nnanoseconds a future: settle_all / the fastest other join\n");
    println!(
        "| | {} |",
        COUNTS.map(|count| format!("n={count}")).join(" | ")
    );
    println!("|---|{}", "---|".repeat(COUNTS.len()));
    let (mut logarithms, mut cells) = (0.0, 0.0);
    for workload in workloads {
        let row = COUNTS.map(|count| {
            let group = format!("{workload} {count}/");
            let of_group = medians
                .iter()
                .filter_map(|(name, median)| Some((name.strip_prefix(&group)?, median)));
            let (ours, others): (Vec<_>, Vec<_>) = of_group.partition(|(join, _)| *join == OURS);
            let fastest = others.into_iter().min_by(|a, b| a.1.total_cmp(b.1));
            let (Some((_, ours)), Some((name, other))) = (ours.first(), fastest) else {
                return "not measured".to_owned();
            };
            let ratio = *ours / other;
            logarithms += ratio.ln();
            cells += 1.0;
            let each = |nanoseconds: f64| nanoseconds / f64::from(u32::try_from(count).unwrap());
            format!(
                "{:.1} / {:.1} = **{ratio:.2}** ({name})",
                each(**ours),
                each(*other)
            )
        });
        println!("| {workload} | {} |", row.join(" | "));
    }
    println!(
        "\ngeometric mean of the ratios: {:.2}",
        f64::exp(logarithms / cells)
    );
}

fn main() {
    let started = SystemTime::now();
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    measure(&mut criterion, "all ready", ready_at_once);
    measure(&mut criterion, "each yields once", yields_once);
    measure(&mut criterion, "one completes a turn", |count| {
        completed_in_turns(count, 1)
    });
    measure(&mut criterion, "all complete in one turn", |count| {
        completed_in_turns(count, count)
    });
    criterion.final_summary();
    print_table(
        &[
            "all ready",
            "each yields once",
            "one completes a turn",
            "all complete in one turn",
        ],
        &medians(started),
    );
}
