//! Deadlocks are reproduced, minimized and replayed like any other failure.

use tokio::sync::Semaphore;

use super::*;

/// Takes two locks, one after the other.
async fn both(one: &Mutex<()>, other: &Mutex<()>) {
    let _one = one.lock().await;
    let _other = other.lock().await;
}

async fn opposite_order_in_children() {
    let (ada, bob) = (Mutex::new(()), Mutex::new(()));
    settle!(both(&ada, &bob), both(&bob, &ada));
}

async fn opposite_order_in_join() {
    let (ada, bob) = (Mutex::new(()), Mutex::new(()));
    tokio::join!(both(&ada, &bob), both(&bob, &ada));
}

pub(crate) async fn opposite_order_in_tasks() {
    let locks = Arc::new([Mutex::new(()), Mutex::new(())]);
    let tasks = [(0, 1), (1, 0)].map(|(one, other)| {
        let locks = Arc::clone(&locks);
        straggler::spawn(async move { both(&locks[one], &locks[other]).await })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

async fn philosophers_as_children() {
    let forks = [(); 3].map(|()| Mutex::new(()));
    let dine = |at: usize| both(&forks[at], &forks[(at + 1) % 3]);
    settle!(dine(0), dine(1), dine(2));
}

async fn philosophers_as_tasks() {
    let forks = Arc::new([(); 3].map(|()| Mutex::new(())));
    let tasks = [0, 1, 2].map(|at| {
        let forks = Arc::clone(&forks);
        straggler::spawn(async move { both(&forks[at], &forks[(at + 1) % 3]).await })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

async fn opposite_order_of_lock() {
    let (ada, bob) = (Lock::new(), Lock::new());
    let both = async |one: &Lock, other: &Lock| {
        let _one = one.acquire().await;
        let _other = other.acquire().await;
    };
    settle!(both(&ada, &bob), both(&bob, &ada));
}

/// Nobody holds a lock there.
#[test]
fn advice_on_semaphore_speaks_of_permits() {
    let failure = Explore::new().find(|| async {
        let permits = Semaphore::new(1);
        permits.acquire().await.unwrap().forget();
        drop(permits.acquire().await);
    });
    let text = failure.unwrap_err().to_string();
    assert!(
        text.contains("if a future that holds the permit was polled"),
        "{text}"
    );
    assert!(!text.contains(" lock"), "{text}");
}

fn expect_minimal<R: Future<Output = ()>>(most: usize, mut body: impl FnMut() -> R) {
    let found = Explore::new().seed(1).find(&mut body).unwrap_err();
    let text = found.to_string();
    let is_deadlock = |failure| matches!(verdict(failure), Verdict::Deadlocked { .. });
    assert!(is_deadlock(&found), "{text}");
    assert!(!text.contains("more than its schedule"), "{text}");
    assert!((1..=most).contains(&shrink::reorderings(&found)), "{text}");

    let replayed = Explore::new().replay(found.seed().clone());
    let again = replayed.find(&mut body).unwrap_err();
    assert!(is_deadlock(&again), "{again}");
    assert!(!again.to_string().contains("diverged"), "{again}");
    assert_eq!(again.schedule(), found.schedule());
}

#[test]
fn deadlock_of_children_minimized() {
    expect_minimal(2, opposite_order_in_children);
    expect_minimal(2, opposite_order_in_join);
    expect_minimal(2, opposite_order_of_lock);
}

#[test]
fn deadlock_of_tasks_minimized() {
    expect_minimal(2, opposite_order_in_tasks);
}

#[test]
fn deadlock_of_philosophers_minimized() {
    expect_minimal(2, philosophers_as_children);
    expect_minimal(2, philosophers_as_tasks);
}
