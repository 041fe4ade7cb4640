//! `cargo straggler explore`: which tests it explores, and what it says of a schedule that fails.

use crate::fixture::Fixture;

/// A lost update, a torn read, and tests that cannot be explored.
const RACES: &str = r#"
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Mutex, RwLock};

#[tokio::test]
async fn loses_no_update() {
    let count = Arc::new(Mutex::new(0));
    let add = |count: Arc<Mutex<u32>>| async move {
        let before = *count.lock().await;
        *count.lock().await = before + 1;
    };
    let tasks = [0, 1].map(|_| tokio::spawn(add(Arc::clone(&count))));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*count.lock().await, 2);
}

#[tokio::test]
async fn reads_no_torn_total() -> Result<(), String> {
    let accounts = Arc::new((RwLock::new(100), RwLock::new(100)));
    let of_transfer = Arc::clone(&accounts);
    let transfer = tokio::spawn(async move {
        *of_transfer.0.write().await -= 40;
        *of_transfer.1.write().await += 40;
    });
    let ada = *accounts.0.read().await;
    let total = ada + *accounts.1.read().await;
    transfer.await.unwrap();
    if total == 200 { Ok(()) } else { Err(format!("the total is {total}")) }
}

#[tokio::test(start_paused = true)]
async fn passes_in_every_schedule() {
    let task = tokio::spawn(tokio::time::sleep(Duration::from_secs(5)));
    task.await.unwrap();
}

#[tokio::test]
async fn uses_blocking_work() {
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}

#[tokio::test]
async fn passes_only_once() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    assert_eq!(RUNS.fetch_add(1, Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_threads() {}

#[tokio::test]
#[should_panic]
async fn expects_a_panic() {
    panic!();
}
"#;

#[test]
fn failing_schedules_are_listed() {
    let fixture = Fixture::suite("races");
    fixture.write("tests/races.rs", RACES);
    let before = fixture.files();
    let ended = fixture.straggler(&[
        "explore",
        "--runs",
        "200",
        "--test",
        "races",
        "--no-fail-fast",
    ]);
    assert_eq!(ended.status, Some(101), "{ended:?}");
    let (_, summary) = ended
        .stdout
        .rsplit_once("straggler: 7 tests checked")
        .unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("explore", summary));
    assert_eq!(fixture.files(), before);

    let line = summary
        .lines()
        .find_map(|line| line.trim().strip_prefix("replay: STRAGGLER_SEED="));
    let (seed, arguments) = line.unwrap().split_once(" cargo straggler ").unwrap();
    let arguments: Vec<_> = arguments.split(' ').collect();
    let mut command = fixture.command(&arguments);
    let output = command.env("STRAGGLER_SEED", seed).output().unwrap();
    assert_eq!(output.status.code(), Some(101), "{output:?}");
}

#[test]
fn shard_explores_its_part() {
    let fixture = Fixture::suite("shard");
    fixture.write("tests/races.rs", RACES);
    let arguments = [
        "explore",
        "--runs=20",
        "--shard=2/2",
        "--test=races",
        "passes_in",
    ];
    let ended = fixture.straggler(&arguments);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended
            .stdout
            .ends_with("\nstraggler: 1 test explored, 0 failed\n"),
        "{}",
        ended.stdout
    );
    let ended = fixture.straggler(&["explore", "--shard", "3/2"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

/// A task that may end before its job is noted, and one that is awaited first.
const EARLY: &str = r#"
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn leaves_no_job() {
    let running = Arc::new(Mutex::new(HashSet::new()));
    let of_task = Arc::clone(&running);
    let task = tokio::spawn(async move { of_task.lock().unwrap().remove("job") });
    running.lock().unwrap().insert("job");
    task.await.unwrap();
    assert!(running.lock().unwrap().is_empty(), "the job still runs");
}
"#;

#[test]
fn task_that_ends_in_its_spawn_is_found_if_asked_for() {
    let fixture = Fixture::suite("eager");
    fixture.write("tests/early.rs", EARLY);
    let ended = fixture.straggler(&["explore", "--test=early"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("1 test explored, 0 failed"),
        "{ended:?}"
    );

    let ended = fixture.straggler(&["explore", "--test=early", "--eager-spawns"]);
    assert_eq!(ended.status, Some(101), "{ended:?}");
    assert!(ended.stdout.contains("the job still runs"), "{ended:?}");
    let lines = ended.stdout.lines();
    let replays: Vec<_> = lines
        .filter_map(|line| line.trim().strip_prefix("replay: STRAGGLER_SEED="))
        .collect();
    let (seed, arguments) = replays[0].split_once(" cargo straggler ").unwrap();
    assert_eq!(
        arguments,
        "explore --eager-spawns --test early leaves_no_job -- --exact"
    );

    let arguments: Vec<_> = arguments.split(' ').collect();
    let mut command = fixture.command(&arguments);
    let output = command.env("STRAGGLER_SEED", seed).output().unwrap();
    assert_eq!(output.status.code(), Some(101), "{output:?}");
}
