//! The same bugs found by `Explore`, by shuttle, and by repeating the test.
//!
//! `cargo bench -p straggler-benches --bench beside` prints the table. shuttle replaces every
//! primitive, so this file repeats the bugs with shuttle's. Both tools draw random schedules. shuttle
//! can switch at each operation, also between releasing one lock and taking another.

#[path = "../../../tests/explore/bugs/mod.rs"]
mod bugs;
mod campaigns;
mod in_shuttle;

use std::fmt::{self, Display, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, FailurePersistence, Runner};
use straggler::Explore;

/// The number of runs in a campaign.
const RUNS: usize = 500;
/// The number of campaigns for each bug. Each has its own seed.
const CAMPAIGNS: u64 = 100;

fn main() {
    // Every bug panics in hundreds of runs: the messages would bury the table.
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "| bug | `Explore`: found, runs, time | shuttle: found, runs, time | runs, by shuttle's | repeated {RUNS} times: failures |"
    );
    println!("|---|---|---|---|---|");
    let mut ratios = Vec::new();
    for &(name, body) in in_shuttle::BUGS {
        let ours = Median::of(explore(name));
        let theirs = Median::of((0..CAMPAIGNS).filter_map(|seed| shuttle(body, seed)));
        let runs = [ours.runs, theirs.runs].map(|runs| u32::try_from(runs).expect("at most RUNS"));
        let ratio = f64::from(runs[0]) / f64::from(runs[1]);
        if ours.found > 0 {
            ratios.push(ratio);
        }
        let repeated = repeated(name);
        println!("| {name} | {ours} | {theirs} | {ratio:.1} | {repeated} |");
    }
    ratios.sort_unstable_by(f64::total_cmp);
    println!("\nmedian of the ratios: {:.1}", ratios[ratios.len() / 2]);
}

/// The runs and the time that it took to find a bug.
type Found = (usize, Duration);

/// How many campaigns found a bug, and the medians of their runs and times.
struct Median {
    found: usize,
    runs: usize,
    time: Duration,
}

impl Median {
    fn of(found: impl IntoIterator<Item = Found>) -> Self {
        let (mut runs, mut times): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        runs.sort_unstable();
        times.sort_unstable();
        let found = runs.len();
        Self {
            found,
            runs: runs.get(found / 2).copied().unwrap_or_default(),
            time: times.get(found / 2).copied().unwrap_or_default(),
        }
    }
}

impl Display for Median {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.found {
            0 => write!(f, "0"),
            found => write!(f, "{found}, {}, {} µs", self.runs, self.time.as_micros()),
        }
    }
}

/// Makes the body that contains the bug `name`.
fn body(name: &str) -> bugs::Body {
    (bugs::named(name).body)(false)
}

/// Explores the campaigns of a bug.
///
/// The time is that of the passing runs before the failure. It excludes shrinking the schedule, and the second or
/// two that a deadlock takes to confirm. In those nothing happens, so several campaigns run at a time; the passing
/// runs are measured afterwards, one campaign after the other.
fn explore(name: &str) -> Vec<Found> {
    let exploring = |runs, seed| {
        let explore = Explore::new().runs(runs).seed(seed);
        explore.find(|| body(name)).err()
    };
    let found = campaigns::run(CAMPAIGNS, |seed| Some((seed, exploring(RUNS, seed)?.run())));
    let measured = found.into_iter().map(|(seed, runs)| {
        let started = Instant::now();
        let failure = exploring(runs - 1, seed);
        let time = started.elapsed();
        assert!(failure.is_none(), "{failure:?}");
        (runs, time)
    });
    measured.collect()
}

/// Runs one campaign in shuttle.
///
/// It has its own thread: shuttle keeps the stacks of tasks for later runs of a thread, and after a task has
/// panicked every later campaign there would fail in its first run.
fn shuttle(body: fn(), seed: u64) -> Option<Found> {
    let campaign = thread::spawn(move || {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let mut config = Config::default();
        config.failure_persistence = FailurePersistence::None;
        let runner = Runner::new(RandomScheduler::new_from_seed(seed, RUNS), config);
        let started = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| {
            runner.run(move || {
                counted.fetch_add(1, Relaxed);
                body();
            });
        }));
        found.err()?;
        Some((runs.load(Relaxed), started.elapsed()))
    });
    campaign.join().expect("the campaign catches panics")
}

/// Counts the failures if the body is only repeated, in a current-thread runtime.
fn repeated(name: &str) -> usize {
    let repeat = || {
        let run = || block_on(body(name));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    (0..RUNS).filter(|_| repeat()).count()
}

fn block_on(body: bugs::Body) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .expect("the system can provide a runtime")
        .block_on(body);
}
