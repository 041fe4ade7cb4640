//! The same bugs found by `Explore`, by shuttle, and by repeating the test.
//!
//! `cargo bench -p straggler-benches --bench beside` prints the table. shuttle replaces every
//! primitive, so this file repeats the bugs with shuttle's. Both tools draw random schedules. shuttle
//! can switch at each operation, also between releasing one lock and taking another.

#[path = "../../tests/explore/bugs/mod.rs"]
mod bugs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use shuttle::scheduler::RandomScheduler;
use shuttle::sync::{Mutex, RwLock};
use shuttle::{Config, FailurePersistence, Runner, future, thread};
use straggler::Explore;

/// The number of runs in a campaign.
const RUNS: usize = 500;
/// The number of campaigns for each bug. Each has its own seed.
const CAMPAIGNS: u64 = 100;

fn main() {
    // Every bug panics in hundreds of runs: the messages would bury the table.
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "| bug | `Explore`: found, runs, time | shuttle: found, runs, time | repeated {RUNS} times: failures |"
    );
    println!("|---|---|---|---|");
    for (name, body) in [
        ("check, then insert", check_then_insert as fn()),
        ("lost update", lost_update),
        ("deadlock of two locks", two_locks),
        ("cache stampede", stampede),
        ("double release", double_release),
        ("order violation", order_violation),
    ] {
        let ours = median((0..CAMPAIGNS).map(|seed| explore(name, seed)));
        let theirs = median((0..CAMPAIGNS).map(|seed| shuttle(body, seed)));
        println!("| {name} | {ours} | {theirs} | {} |", repeated(name));
    }
}

/// The runs and the time that it took to find a bug, or `None` if the campaign did not find it.
type Found = Option<(usize, Duration)>;

/// Summarizes campaigns: how many found the bug, and the median of their runs and times.
fn median(campaigns: impl Iterator<Item = Found>) -> String {
    let mut found: Vec<_> = campaigns.flatten().collect();
    let count = found.len();
    if count == 0 {
        return "0".to_owned();
    }
    found.sort_unstable_by_key(|(runs, _)| *runs);
    let (runs, _) = found[count / 2];
    found.sort_unstable_by_key(|(_, time)| *time);
    let (_, time) = found[count / 2];
    format!("{count}, {runs}, {} µs", time.as_micros())
}

/// Makes the body that contains the bug `name`.
fn body(name: &str) -> bugs::Body {
    (bugs::named(name).body)(false)
}

/// Explores one campaign.
///
/// The time is that of the passing runs before the failure. It excludes shrinking the schedule.
fn explore(name: &str, seed: u64) -> Found {
    let exploring = || Explore::new().runs(RUNS).seed(seed);
    let failure = exploring().find(|| body(name)).err()?;
    let started = Instant::now();
    let before = exploring().runs(failure.run() - 1).find(|| body(name));
    before.ok()?;
    Some((failure.run(), started.elapsed()))
}

/// Runs one campaign in shuttle.
fn shuttle(body: fn(), seed: u64) -> Found {
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

/// Runs two shuttle tasks concurrently.
fn both<F: Future<Output = ()> + 'static>(one: F, other: F) {
    future::block_on(async {
        let tasks = [future::spawn_local(one), future::spawn_local(other)];
        for task in tasks {
            task.await.expect("no one aborts the task");
        }
    });
}

fn check_then_insert() {
    let users = Arc::new(RwLock::new(Vec::new()));
    let insert = |users: Arc<RwLock<Vec<&'static str>>>| async move {
        let is_new = !users.read().expect("no panic").contains(&"eve");
        if is_new {
            users.write().expect("no panic").push("eve");
        }
    };
    both(insert(Arc::clone(&users)), insert(Arc::clone(&users)));
    assert_eq!(*users.read().expect("no panic"), ["eve"]);
}

fn lost_update() {
    let count = Arc::new(Mutex::new(0));
    let add = |count: Arc<Mutex<u32>>| async move {
        let before = *count.lock().expect("no panic");
        *count.lock().expect("no panic") = before + 1;
    };
    both(add(Arc::clone(&count)), add(Arc::clone(&count)));
    assert_eq!(*count.lock().expect("no panic"), 2);
}

fn two_locks() {
    let (ada, bob) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
    let take = |one: Arc<Mutex<()>>, other: Arc<Mutex<()>>| async move {
        let _one = one.lock().expect("no panic");
        let _other = other.lock().expect("no panic");
    };
    both(
        take(Arc::clone(&ada), Arc::clone(&bob)),
        take(Arc::clone(&bob), Arc::clone(&ada)),
    );
}

fn stampede() {
    let cache = Arc::new((RwLock::new(None), AtomicUsize::new(0)));
    let get = |cache: Arc<(RwLock<Option<u32>>, AtomicUsize)>| async move {
        let (value, loads) = &*cache;
        if value.read().expect("no panic").is_none() {
            loads.fetch_add(1, Relaxed);
            *value.write().expect("no panic") = Some(42);
        }
    };
    both(get(Arc::clone(&cache)), get(Arc::clone(&cache)));
    assert_eq!(cache.1.load(Relaxed), 1);
}

fn double_release() {
    let resource = Arc::new((RwLock::new(true), AtomicUsize::new(0)));
    let close = |resource: Arc<(RwLock<bool>, AtomicUsize)>| async move {
        let (is_open, releases) = &*resource;
        let must_close = *is_open.read().expect("no panic");
        if must_close {
            *is_open.write().expect("no panic") = false;
            releases.fetch_add(1, Relaxed);
        }
    };
    both(close(Arc::clone(&resource)), close(Arc::clone(&resource)));
    assert_eq!(resource.1.load(Relaxed), 1);
}

fn order_violation() {
    let settings = Arc::new(RwLock::new(None));
    let loading = Arc::clone(&settings);
    let load = thread::spawn(move || *loading.write().expect("no panic") = Some("settings"));
    let is_loaded = settings.read().expect("no panic").is_some();
    load.join().expect("no panic");
    assert!(is_loaded, "served before the settings were loaded");
}
