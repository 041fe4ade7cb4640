//! How reliably `Explore` finds each known bug, after how many runs, and how small it makes the schedule.
//!
//! `cargo bench -p straggler-benches --bench corpus` prints one line a bug, for the build it is in.
//! `.ci/corpus` makes the table of the guide from it. It runs 100 campaigns; a number after `--` replaces the 100.

#[path = "../../tests/explore/bugs/mod.rs"]
mod bugs;
#[path = "beside/campaigns.rs"]
mod campaigns;

use std::time::Instant;

use bugs::{Bug, CORPUS, Needs};
use straggler::explore::Failure;

/// The number of runs in a campaign.
const RUNS: u32 = 500;

fn main() {
    let argument = std::env::args().find_map(|argument| argument.parse().ok());
    let campaigns: u32 = argument.unwrap_or(100);
    // Every bug panics in hundreds of runs: the messages would bury the table.
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "| bug | kind | found, of {campaigns} | runs until found: median | maximum | forced reorderings: median | maximum | µs per run | repaired: failures |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (kind, bugs) in CORPUS {
        for bug in *bugs {
            println!("| {} | {kind} | {} |", bug.name, row(bug, campaigns));
        }
    }
}

/// The cells of a bug: what the campaigns found, and what those of its twin did.
fn row(bug: &Bug, campaigns: u32) -> String {
    if bug.needs == Needs::Hooks && !cfg!(tokio_unstable) {
        // Each campaign fails, whether the body is right or not.
        return "refused | | | | | | ".to_owned();
    }
    let explore = |seed: u64, repaired| {
        let exploring = bug.explore().runs(RUNS as usize).seed(seed);
        exploring.find(|| (bug.body)(repaired)).err()
    };
    let found = campaigns::run(campaigns.into(), |seed| {
        let failure = explore(seed, false)?;
        Some((failure.run(), reorderings_of(&failure)))
    });
    let runs = median_and_maximum(found.iter().map(|(runs, _)| *runs));
    let reorderings = median_and_maximum(found.iter().map(|(_, reorderings)| *reorderings));
    let started = Instant::now();
    let failures = (0..campaigns.into()).filter(|seed| explore(*seed, true).is_some());
    let failures = failures.count();
    let microseconds = started.elapsed().as_secs_f64() * 1e6 / f64::from(campaigns * RUNS);
    let found = found.len();
    format!("{found} | {runs} | {reorderings} | {microseconds:.1} | {failures}")
}

fn median_and_maximum(values: impl Iterator<Item = usize>) -> String {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_unstable();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(median), Some(maximum)) => format!("{median} | {maximum}"),
        _ => "- | -".to_owned(),
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
