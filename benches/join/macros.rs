//! What it costs to join a few futures by a macro.

use std::collections::BTreeMap;
use std::future::ready;

use criterion::{BatchSize, BenchmarkId, Criterion};
use straggler_benches::joining::driver::{Driver, runtime};
use straggler_benches::joining::workloads::YieldsOnce;

use crate::table::Table;

const COUNTS: [usize; 4] = [2, 3, 4, 5];

/// The workloads, and the names of their groups.
const GROUPS: [(&str, &str); 2] = [
    ("all ready", "macros, all ready"),
    ("each yields once", "macros, each yields once"),
];

/// Ours, and tokio's that it is beside.
const PAIRS: [(&str, &str); 2] = [
    ("straggler::settle!", "tokio::join!"),
    ("straggler::barrier!", "tokio::try_join!"),
];

/// How many joins are made at a time: enough that reading the clock does not count.
const AT_A_TIME: BatchSize = BatchSize::NumIterations(200);

/// Measures one macro, joining as many futures as there are names.
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
                    driver.drive(join, || panic!("every future has been woken"))
                },
                AT_A_TIME,
            );
        });
    };
}

/// Measures every macro, side by side.
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

/// Measures the macros.
pub(crate) fn measure(criterion: &mut Criterion) {
    let [(_, all_ready), (_, each_yields)] = GROUPS;
    let mut group = criterion.benchmark_group(all_ready);
    measure_every_count!(group, ready(1), ready(Ok::<_, ()>(1)));
    group.finish();
    let mut group = criterion.benchmark_group(each_yields);
    measure_every_count!(group, YieldsOnce::new(1), YieldsOnce::new(Ok::<_, ()>(1)));
    group.finish();
}

/// Prints what was measured.
pub(crate) fn print_table(medians: &BTreeMap<String, f64>) {
    let mut table = Table::new("nanoseconds a join by macro: ours / tokio's", &COUNTS);
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
