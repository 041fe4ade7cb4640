//! How reliably `Explore` finds each known bug, after how many runs, and how small it makes the schedule.
//!
//! `cargo bench -p straggler-benches --bench corpus` prints the table. It runs 100 campaigns; a number
//! after `--` replaces the 100.

#[path = "../../tests/explore/bugs.rs"]
mod bugs;

use std::time::Instant;

use bugs::{BUGS, BUGS_BEFORE_OPERATIONS, BUGS_WHILE_HELD, Bug};
use straggler::Explore;
use straggler::explore::Failure;

/// The number of runs in a campaign.
const RUNS: u16 = 500;

fn main() {
    let argument = std::env::args().find_map(|argument| argument.parse().ok());
    let campaigns: u64 = argument.unwrap_or(100);
    // Every bug panics in hundreds of runs: the messages would bury the table.
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "| bug | found, of {campaigns} | runs until found: median | maximum | forced reorderings: median | maximum | µs per run | repaired: failures |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let bugs = BUGS.iter().chain(BUGS_WHILE_HELD);
    for Bug { name, body } in bugs.chain(BUGS_BEFORE_OPERATIONS) {
        let (mut needed, mut reorderings) = (Vec::new(), Vec::new());
        for seed in 0..campaigns {
            let exploring = Explore::new().runs(RUNS.into()).seed(seed);
            if let Err(failure) = exploring.find(|| body(false)) {
                needed.push(failure.run());
                reorderings.push(reorderings_of(&failure));
            }
        }
        needed.sort_unstable();
        reorderings.sort_unstable();
        let started = Instant::now();
        let failures = (0..campaigns).filter(|seed| {
            let exploring = Explore::new().runs(RUNS.into()).seed(*seed);
            exploring.find(|| body(true)).is_err()
        });
        let failures = failures.count();
        let runs = u32::try_from(campaigns).expect("more campaigns would take years");
        let per_run = started.elapsed().as_secs_f64() * 1e6 / f64::from(runs) / f64::from(RUNS);
        let median = needed.get(needed.len() / 2).copied().unwrap_or(0);
        let maximum = needed.last().copied().unwrap_or(0);
        let fewest = reorderings.get(reorderings.len() / 2).copied().unwrap_or(0);
        let most = reorderings.last().copied().unwrap_or(0);
        println!(
            "| {name} | {} | {median} | {maximum} | {fewest} | {most} | {per_run:.1} | {failures} |",
            needed.len()
        );
    }
}

/// The forced reorderings of the reported run, which its seed lists if it was minimized.
fn reorderings_of(failure: &Failure) -> usize {
    let seed = failure.seed().to_string();
    let (changes, _) = seed.split_once('/').expect("the run failed");
    assert!(!changes.starts_with("0x"), "not minimized: {failure}");
    changes
        .split(',')
        .filter(|change| change.contains(':'))
        .count()
}
