//! What a run of `Explore` costs: of two children and a handful of operations, and how that grows with
//! the number of steps.

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use straggler::{Explore, settle_all};
use tokio::sync::Mutex;

/// Makes so many runs of two children that each take a lock so many times.
fn explore(runs: u64, operations: u32) {
    let explored = Explore::new()
        .runs(usize::try_from(runs).expect("so many would never end"))
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
    explored.expect("there is no race");
}

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a run of two children, each with operations");
    for operations in [2, 20, 200, 2000] {
        group.throughput(Throughput::Elements(2 * u64::from(operations)));
        let id = BenchmarkId::from_parameter(operations);
        group.bench_with_input(id, &operations, |bencher, &operations| {
            bencher.iter_custom(|runs| {
                let begun = Instant::now();
                explore(runs, operations);
                begun.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
