//! The time to join n futures, for `settle_all` and the joins of other crates.
//!
//! `cargo bench -p straggler-benches --bench join` measures each cell with criterion. At the end it
//! prints tables of straggler's joins against the fastest other join.

mod cells;
mod macros;
mod table;

use std::time::{Duration, SystemTime};

use criterion::Criterion;
use straggler_benches::medians;
use straggler_benches::workloads::{
    AllReady, Burst, ChatterInside, ChatterOutside, EachYields, Random, Threads, Timers,
};

fn main() {
    let started = SystemTime::now();
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        // The tables show medians only. Resampling does not change those.
        .nresamples(1_000)
        .configure_from_args();
    cells::measure_loop(&mut criterion);
    let rows = [
        cells::measure::<AllReady>(&mut criterion),
        cells::measure::<EachYields>(&mut criterion),
        cells::measure::<Random>(&mut criterion),
        cells::measure::<Burst>(&mut criterion),
        cells::measure::<ChatterInside>(&mut criterion),
        cells::measure::<ChatterOutside>(&mut criterion),
        cells::measure::<Threads>(&mut criterion),
        cells::measure::<Timers>(&mut criterion),
    ];
    macros::measure(&mut criterion);
    criterion.final_summary();
    let medians = medians(started);
    cells::print_table(&rows, &medians);
    macros::print_table(&medians);
}
