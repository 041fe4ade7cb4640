//! How often each join allocates, and how many bytes.
//!
//! `cargo bench -p straggler-benches --bench allocations` prints a table. It counts the join alone:
//! the futures are made before, and allocate nothing themselves.

use allocation_counter::AllocationInfo;
use straggler_benches::joins::{Buffered, Concurrency, Join, JoinAll, Ours, Tasks, Unordered};
use straggler_benches::workloads::{
    AllReady, Burst, ChatterInside, ChatterOutside, EachYields, Random, Threads, Timers, Workload,
};

/// The numbers of futures.
const COUNTS: [usize; 4] = [1, 10, 100, 1_000];

/// The joins: the columns of the table.
const JOINS: [&str; 6] = [
    Ours::NAME,
    JoinAll::NAME,
    Unordered::NAME,
    Concurrency::NAME,
    Buffered::NAME,
    Tasks::NAME,
];

fn main() {
    println!("\nallocations / bytes allocated (growing a block counts as a new allocation)\n");
    println!("| | n | {} |", JOINS.join(" | "));
    println!("|---|---|{}", "---|".repeat(JOINS.len()));
    print_rows::<AllReady>();
    print_rows::<EachYields>();
    print_rows::<Random>();
    print_rows::<Burst>();
    print_rows::<ChatterInside>();
    print_rows::<ChatterOutside>();
    print_rows::<Threads>();
    print_rows::<Timers>();
}

/// Prints the rows of one workload.
fn print_rows<W: Workload>() {
    for count in COUNTS {
        let cells = [
            count_allocations::<W, Ours>,
            count_allocations::<W, JoinAll>,
            count_allocations::<W, Unordered>,
            count_allocations::<W, Concurrency>,
            count_allocations::<W, Buffered>,
            count_allocations::<W, Tasks>,
        ]
        .map(|count_allocations| {
            let info = count_allocations(count);
            format!(" {} / {} |", info.count_total, info.bytes_total)
        });
        println!("| {} | {count} |{}", W::NAME, cells.concat());
    }
}

/// Counts the allocations of one run on the thread that polls the join.
fn count_allocations<W: Workload, J: Join>(count: usize) -> AllocationInfo {
    let runtime = W::runtime();
    let driver = W::driver::<J>();
    let run = || {
        let (mut workload, futures) = runtime.block_on(async { W::prepare(count) });
        allocation_counter::measure(|| {
            runtime.block_on(workload.drive(&driver, J::join(futures)));
        })
    };
    // The first run also allocates the runtime's queues and thread-local variables.
    run();
    run()
}
