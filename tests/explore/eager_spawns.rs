//! `eager_spawns`: tasks that begin before their spawner continues.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use straggler::tokio::task::JoinSet;
use straggler::{Explore, cancellable, settle_all};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

type Running = Arc<Mutex<HashSet<&'static str>>>;

/// Whether a job is in the set of the running ones before it is spawned.
#[derive(Clone, Copy)]
enum Insert {
    Before,
    After,
}

/// Runs a job that removes itself from the set of the running ones at its end.
async fn run_job(insert: Insert, spawn: impl AsyncFn(Running, &dyn Fn())) {
    let running = Running::default();
    let add = || _ = running.lock().unwrap().insert("job");
    match insert {
        Insert::Before => {
            add();
            spawn(Arc::clone(&running), &|| ()).await;
        }
        Insert::After => spawn(Arc::clone(&running), &add).await,
    }
    assert!(running.lock().unwrap().is_empty(), "the job still runs");
}

async fn by_spawn(running: Running, then: &dyn Fn()) {
    let task = straggler::spawn(async move { running.lock().unwrap().remove("job") });
    then();
    task.await.unwrap();
}

async fn by_name(running: Running, then: &dyn Fn()) {
    let remove = async move { running.lock().unwrap().remove("job") };
    let task = straggler::spawn_named("job", remove);
    then();
    task.await.unwrap();
}

async fn by_set(running: Running, then: &dyn Fn()) {
    let mut set = JoinSet::new();
    set.spawn(async move { running.lock().unwrap().remove("job") });
    then();
    set.join_next().await.unwrap().unwrap();
}

async fn by_large_task(running: Running, then: &dyn Fn()) {
    let large = [0_u8; 10_000];
    let task = straggler::spawn(async move {
        yield_now().await;
        running.lock().unwrap().remove("job");
        yield_now().await;
        large.len()
    });
    yield_now().await;
    then();
    assert_eq!(task.await.unwrap(), 10_000);
}

fn explore() -> Explore {
    Explore::new().eager_spawns()
}

#[test]
fn task_ends_before_spawner_continues() {
    let missed = Explore::new().find(|| run_job(Insert::After, by_spawn));
    assert_eq!(missed.unwrap().note(), None);

    let failure = explore().find(|| run_job(Insert::After, by_spawn));
    let failure = failure.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("the job still runs"), "{text}");
    let begins = "task #1 begins inside its spawn, before its spawner continues";
    assert!(text.contains(begins), "{text}");
    assert!(text.contains("1 forced reordering"), "{text}");

    let replayed = explore().replay(failure.seed().clone());
    let again = replayed.find(|| run_job(Insert::After, by_spawn));
    assert_eq!(again.unwrap_err().schedule(), failure.schedule());

    let repaired = explore().find(|| run_job(Insert::Before, by_spawn));
    assert_eq!(repaired.unwrap().note(), None);
}

#[test]
fn each_way_to_spawn_is_eager() {
    let failure = explore().find(|| run_job(Insert::After, by_name));
    assert!(failure.unwrap_err().to_string().contains("#1 `job` begins"));
    let failure = explore().find(|| run_job(Insert::After, by_set));
    assert!(failure.unwrap_err().to_string().contains("#1 begins"));
    let failure = explore().find(|| run_job(Insert::After, by_large_task));
    assert!(failure.unwrap_err().to_string().contains("the job still"));
    for repaired in [
        explore().find(|| run_job(Insert::Before, by_name)),
        explore().find(|| run_job(Insert::Before, by_set)),
        explore().find(|| run_job(Insert::Before, by_large_task)),
    ] {
        assert_eq!(repaired.unwrap().note(), None);
    }
}

#[test]
fn children_spawned_by_combinator_are_eager() {
    let failure = explore().find(|| async {
        // Inside a spawn of the body, tokio knows of no task.
        let has_task = || async { tokio::task::try_id().is_some() };
        let have_tasks = settle_all([has_task(), has_task()]).spawned().await;
        assert_eq!(have_tasks.into_vec(), [true, true]);
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("begins inside its spawn"), "{text}");
}

#[straggler::test(explore = 50, eager_spawns)]
async fn wake_up_right_after_spawn_is_not_lost() {
    let (sender, receiver) = oneshot::channel();
    let task = straggler::spawn(receiver);
    sender.send(5).unwrap();
    assert_eq!(task.await.unwrap(), Ok(5));
}

#[straggler::test(explore = 50, eager_spawns)]
async fn later_wake_up_is_not_lost() {
    let notify = Arc::new(Notify::new());
    let task = straggler::spawn({
        let notify = Arc::clone(&notify);
        async move {
            notify.notified().await;
            notify.notified().await;
        }
    });
    while !task.is_finished() {
        notify.notify_one();
        yield_now().await;
    }
    task.await.unwrap();
}

#[straggler::test(explore = 50, eager_spawns)]
async fn locks_of_tokio_may_be_held() {
    let lock = Arc::new(tokio::sync::Mutex::new(0));
    let mut held = lock.lock().await;
    let task = straggler::spawn({
        let lock = Arc::clone(&lock);
        async move { *lock.lock().await += 1 }
    });
    *held += 1;
    drop(held);
    task.await.unwrap();
    assert_eq!(*lock.lock().await, 2);
}

#[straggler::test(explore = 50, eager_spawns)]
async fn future_is_not_polled_without_wake_up() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let mut waker = None;
    let (registered, wait) = oneshot::channel();
    let mut registered = Some(registered);
    let task = straggler::spawn(std::future::poll_fn(move |context| {
        let count = counted.fetch_add(1, Relaxed);
        if let Some(registered) = registered.take() {
            registered.send(context.waker().clone()).unwrap();
        }
        match count {
            0 => std::task::Poll::Pending,
            _ => std::task::Poll::Ready(()),
        }
    }));
    waker.replace(wait.await.unwrap());
    for _ in 0..5 {
        yield_now().await;
    }
    assert_eq!(polls.load(Relaxed), 1);
    waker.take().unwrap().wake();
    task.await.unwrap();
}

#[test]
fn panic_is_that_of_the_task() {
    let failure = explore().find(|| async {
        let has_continued = Arc::new(AtomicBool::new(false));
        let task = straggler::spawn({
            let has_continued = Arc::clone(&has_continued);
            async move { assert!(has_continued.load(Relaxed), "too early") }
        });
        has_continued.store(true, Relaxed);
        _ = task.await;
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("1 task panicked"), "{text}");
    assert_eq!(text.matches("too early").count(), 1, "{text}");
    let place = format!("{}:{}", file!(), line!() - 8);
    assert!(text.contains(&place), "no {place} in {text}");
}

#[test]
fn spawner_of_spawned_task_is_known() {
    let failure = explore().find(|| async {
        let has_continued = Arc::new(AtomicBool::new(false));
        let task = straggler::spawn({
            let has_continued = Arc::clone(&has_continued);
            async move {
                if !has_continued.load(Relaxed) {
                    straggler::spawn(std::future::pending::<()>());
                }
            }
        });
        has_continued.store(true, Relaxed);
        task.await.unwrap();
    });
    let text = failure.unwrap_err().to_string();
    let (_, spawner) = text.split_once("#2 spawned at").expect("a second task");
    let spawner = spawner.lines().nth(1).map(str::trim);
    assert!(
        spawner.is_some_and(|line| line.starts_with("by #1,")),
        "{text}"
    );
}

#[straggler::test(explore = 500, eager_spawns)]
async fn aborted_task_has_either_run_or_not() {
    let has_run = Arc::new(AtomicBool::new(false));
    let task = straggler::spawn({
        let has_run = Arc::clone(&has_run);
        async move { has_run.store(true, Relaxed) }
    });
    task.abort();
    assert_eq!(task.await.is_ok(), has_run.load(Relaxed));
}

/// Nobody has a handle yet by which to abort it there.
#[test]
fn abortable_tasks_are_not_eager() {
    let explored = explore().find(|| async {
        let task = straggler::spawn_abortable(async { tokio::task::try_id() });
        // Inside a spawn of the body, tokio knows of no task.
        assert!(task.await.unwrap().is_some());
    });
    explored.unwrap();
}

/// A task that an operation spawns is no part of the operation, also while it is polled inside it.
#[test]
fn operation_in_eager_task_is_cancelled_by_itself() {
    let failure = explore().cancel_in_schedules().find(|| async {
        let mut set = JoinSet::new();
        let spawns = async {
            set.spawn(async {
                // Inside a spawn of the body, tokio knows of no task.
                let is_in_spawn = tokio::task::try_id().is_none();
                let mut is_polled = false;
                let inner = async {
                    is_polled = true;
                    yield_now().await;
                };
                let is_cancelled = cancellable(inner).await.is_none();
                is_in_spawn && is_cancelled && !is_polled
            });
        };
        cancellable(spawns).await;
        while let Some(never_polled) = set.join_next().await {
            assert!(!never_polled.unwrap(), "never polled");
        }
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("never polled"), "{text}");
}

#[test]
fn eager_spawns_are_not_enumerated() {
    let failure = explore().exhaustive(10).find(async || ()).unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("`eager_spawns` earlier: remove one"),
        "{text}"
    );
}
