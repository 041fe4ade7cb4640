//! In how many campaigns each bug of the corpus is found, and after how many runs.
//!
//! `cargo bench -p straggler-benches --bench corpus` prints the table; a number after `--` is that of the
//! campaigns, 100 by default.

#[path = "../../tests/explore/bugs.rs"]
mod bugs;

use std::time::Instant;

use bugs::{BUGS, Bug};
use straggler::Explore;

/// How many runs a campaign has.
const RUNS: u16 = 500;

fn main() {
    let number = std::env::args().find_map(|argument| argument.parse().ok());
    let campaigns: u64 = number.unwrap_or(100);
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "| bug | found, of {campaigns} | runs until it is found, median | most | µs a run | the repaired twin fails |"
    );
    println!("|---|---|---|---|---|---|");
    for Bug { name, body } in BUGS {
        let mut needed = Vec::new();
        for seed in 0..campaigns {
            let exploring = Explore::new().runs(RUNS.into()).seed(seed);
            if let Err(failure) = exploring.find(|| body(false)) {
                needed.push(failure.run());
            }
        }
        needed.sort_unstable();
        let begun = Instant::now();
        let fails = (0..campaigns).filter(|seed| {
            let exploring = Explore::new().runs(RUNS.into()).seed(*seed);
            exploring.find(|| body(true)).is_err()
        });
        let fails = fails.count();
        let runs = u32::try_from(campaigns).expect("so many would never end");
        let a_run = begun.elapsed().as_secs_f64() * 1e6 / f64::from(runs) / f64::from(RUNS);
        let median = needed.get(needed.len() / 2).copied().unwrap_or(0);
        let most = needed.last().copied().unwrap_or(0);
        println!(
            "| {name} | {} | {median} | {most} | {a_run:.1} | {fails} |",
            needed.len()
        );
    }
}
