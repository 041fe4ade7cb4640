//! Measures the macros that join a few futures.

use std::collections::BTreeMap;
use std::future::ready;

use criterion::{BatchSize, BenchmarkId, Criterion};
use straggler_benches::driver::{Driver, runtime};
use straggler_benches::workloads::YieldsOnce;

use crate::table::Table;

const COUNTS: [usize; 4] = [2, 3, 4, 5];

/// The workloads with the names of their criterion groups.
const GROUPS: [(&str, &str); 2] = [
    ("all ready", "macros, all ready"),
    ("each yields once", "macros, each yields once"),
];

/// Each macro of straggler with its counterpart in tokio.
const PAIRS: [(&str, &str); 2] = [
    ("straggler::settle!", "tokio::join!"),
    ("straggler::barrier!", "tokio::try_join!"),
];

/// Batches are large enough that reading the clock costs nothing in comparison.
const BATCH: BatchSize = BatchSize::NumIterations(200);

/// Measures one macro with one future per name.
macro_rules! measure {
    ($group:ident, $package:ident::$join:ident, $future:expr; $($name:ident)+) => {
        let runtime = runtime();
        let driver = &Driver::default();
        let name = concat!(stringify!($package), "::", stringify!($join), "!");
        let count = [$(stringify!($name)),+].len();
        $group.bench_function(BenchmarkId::new(name, count), |bencher| {
            bencher.to_async(&runtime).iter_batched(
                || ($({ let $name = $future; $name },)+),
                |($($name,)+)| {
                    let join = async move { $package::$join!($($name),+) };
                    driver.drive(join, || panic!("all futures were woken"))
                },
                BATCH,
            );
        });
    };
}

/// Measures every macro with one future per name.
macro_rules! measure_all {
    ($group:ident, $future:expr, $fallible:expr; $($name:ident)+) => {
        measure!($group, straggler::settle, $future; $($name)+);
        measure!($group, tokio::join, $future; $($name)+);
        measure!($group, straggler::barrier, $fallible; $($name)+);
        measure!($group, tokio::try_join, $fallible; $($name)+);
    };
}

/// Measures every macro with every number of futures.
macro_rules! measure_every_count {
    ($group:ident, $future:expr, $fallible:expr) => {
        measure_all!($group, $future, $fallible; first second);
        measure_all!($group, $future, $fallible; first second third);
        measure_all!($group, $future, $fallible; first second third fourth);
        measure_all!($group, $future, $fallible; first second third fourth fifth);
    };
}

/// Measures every macro with every workload.
pub(crate) fn measure(criterion: &mut Criterion) {
    let [(_, all_ready), (_, each_yields)] = GROUPS;
    let mut group = criterion.benchmark_group(all_ready);
    measure_every_count!(group, ready(1), ready(Ok::<_, ()>(1)));
    group.finish();
    let mut group = criterion.benchmark_group(each_yields);
    measure_every_count!(group, YieldsOnce::new(1), YieldsOnce::new(Ok::<_, ()>(1)));
    group.finish();
}

/// Prints the table of straggler's macros against tokio's.
pub(crate) fn print_table(medians: &BTreeMap<String, f64>) {
    let mut table = Table::new("nanoseconds per join by macro: straggler / tokio", &COUNTS);
    for (ours, theirs) in PAIRS {
        for (workload, group) in GROUPS {
            let cells = COUNTS.map(|count| {
                let median = |name| medians.get(&format!("{group}/{name}/{count}")).copied();
                (median(ours), median(theirs).map(|median| (theirs, median)))
            });
            table.row(&format!("`{ours}`, {workload}"), &cells);
        }
    }
    table.print();
}
