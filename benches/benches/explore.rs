//! The time of one run of `Explore`, with two children and a growing number of operations.
//!
//! `cargo bench -p straggler-benches --bench explore` measures it with criterion.

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use straggler::{Explore, settle_all};
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

criterion_group!(benches, measure_runs);
criterion_main!(benches);
