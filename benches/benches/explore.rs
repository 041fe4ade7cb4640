//! The time of one run of `Explore`, with two children and a growing number of operations, and of an operation
//! that is cancelled at each place.
//!
//! `cargo bench -p straggler-benches --bench explore` measures it with criterion.

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use straggler::explore::Explored;
use straggler::{Explore, cancellable, settle_all};
use tokio::sync::Mutex;

/// Explores `runs` runs of two children that each take a lock `operations` times.
fn explore(runs: u64, operations: u32) {
    let explored = Explore::new()
        .runs(usize::try_from(runs).expect("criterion asks for few enough runs"))
        .find(|| async {
            let count = Mutex::new(0);
            let add = || async {
                for _ in 0..operations {
                    *count.lock().await += 1;
                }
            };
            let _ = settle_all([add(), add()]).await;
            assert_eq!(count.into_inner(), 2 * operations);
        });
    explored.expect("the body has no race");
}

fn measure_runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a run of two children, each with operations");
    for operations in [2, 20, 200, 2000] {
        group.throughput(Throughput::Elements(2 * u64::from(operations)));
        let id = BenchmarkId::from_parameter(operations);
        group.bench_with_input(id, &operations, |bencher, &operations| {
            bencher.iter_custom(|runs| {
                let started = Instant::now();
                explore(runs, operations);
                started.elapsed()
            });
        });
    }
    group.finish();
}

/// Cancels an operation that takes a lock `locks` times at each place.
fn cancel(locks: u32) -> Explored {
    let explored = Explore::new().cancel().find(|| async {
        let count = Mutex::new(0);
        let add = async {
            for _ in 0..locks {
                *count.lock().await += 1;
            }
        };
        cancellable(add).await;
        assert!(count.into_inner() <= locks);
    });
    explored.expect("each addition is one step")
}

/// A lock has two places: in it, and behind it. One run more is that without a cancellation.
fn measure_cancellations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an operation, cancelled at each place");
    for locks in [10, 20] {
        let runs = cancel(locks).runs();
        group.throughput(Throughput::Elements(runs as u64));
        let id = BenchmarkId::new(format!("{locks} locks"), format!("{runs} runs"));
        group.bench_function(id, |bencher| bencher.iter(|| cancel(locks)));
    }
    group.finish();
}

criterion_group!(benches, measure_runs, measure_cancellations);
criterion_main!(benches);
