//! How often the joins allocate, and how many bytes in all.
//!
//! `cargo bench -p straggler-benches --bench allocations` prints a table. The numbers are those of
//! the join alone: the futures do not allocate, and are made before counting begins.

use allocation_counter::AllocationInfo;
use straggler_benches::joining::driver::Driver;
use straggler_benches::joining::joins::{
    Buffered, Concurrency, Join, JoinAll, Ours, Tasks, Unordered,
};
use straggler_benches::joining::workloads::{
    AllReady, Burst, ChatterInside, ChatterOutside, EachYields, Random, Threads, Timers, Workload,
};

/// The numbers of futures.
const COUNTS: [usize; 4] = [1, 10, 100, 1_000];

/// The columns.
const JOINS: [&str; 6] = [
    Ours::NAME,
    JoinAll::NAME,
    Unordered::NAME,
    Concurrency::NAME,
    Buffered::NAME,
    Tasks::NAME,
];

fn main() {
    println!("\nallocations / bytes allocated in all (a block that grows counts again)\n");
    println!("| | n | {} |", JOINS.join(" | "));
    println!("|---|---|{}", "---|".repeat(JOINS.len()));
    print::<AllReady>();
    print::<EachYields>();
    print::<Random>();
    print::<Burst>();
    print::<ChatterInside>();
    print::<ChatterOutside>();
    print::<Threads>();
    print::<Timers>();
}

/// Prints the rows of one workload.
fn print<W: Workload>() {
    for count in COUNTS {
        let cells = [
            counted::<W, Ours>,
            counted::<W, JoinAll>,
            counted::<W, Unordered>,
            counted::<W, Concurrency>,
            counted::<W, Buffered>,
            counted::<W, Tasks>,
        ]
        .map(|counted| {
            let info = counted(count);
            format!(" {} / {} |", info.count_total, info.bytes_total)
        });
        println!("| {} | {count} |{}", W::NAME, cells.concat());
    }
}

/// Counts what one run allocates on the thread that joins.
fn counted<W: Workload, J: Join>(count: usize) -> AllocationInfo {
    let runtime = W::runtime();
    let driver = Driver::of::<W, J>();
    let run = || {
        let (mut workload, futures) = runtime.block_on(async { W::prepare(count) });
        allocation_counter::measure(|| {
            runtime.block_on(workload.drive(&driver, J::join(futures)));
        })
    };
    // The first run fills the runtime's queues and the thread's variables.
    run();
    run()
}
