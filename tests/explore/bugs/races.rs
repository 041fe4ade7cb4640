//! Checks and writes that are not one step.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use straggler::{settle, settle_all};
use tokio::sync::{Mutex, RwLock, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::{Bug, Needs};

pub(crate) const BUGS: &[Bug] = &[
    bug!("check, then insert", check_then_insert),
    bug!("check, then insert, in `tokio::join!`", joined),
    bug!("registration: look-up, then insert", registration),
    bug!("lost update", lost_update),
    bug!(
        "lost update, in `FuturesUnordered`",
        lost_update_in_unordered
    ),
    bug!("lost update, in tasks", lost_update_in_tasks),
    bug!("lost update, in a `TaskTracker`", lost_update_in_tracker).needs(Needs::Hooks),
    bug!("double release", double_release),
    bug!("read, modify, write over two locks", over_two_locks),
    bug!("torn read", torn_read).needs(Needs::PointsBefore),
    bug!("use after the last release", resurrection).needs(Needs::YieldWhileHeld),
    bug!("one connection too many", pool_over_count),
    bug!("value read back after another write", read_back),
    bug!("vote taken back before the commit", two_phase_commit),
    bug!("dirty read", dirty_read),
    bug!("retries that run out", retries_run_out),
    bug!("head of a free list that comes back", same_head_again),
    bug!("look by a hand poll, then act", polled_by_hand),
];

async fn insert_if_new(users: &RwLock<Vec<&str>>, user: &'static str, repaired: bool) {
    if repaired {
        let mut users = users.write().await;
        if !users.contains(&user) {
            users.push(user);
        }
        return;
    }
    let is_new = !users.read().await.contains(&user);
    if is_new {
        users.write().await.push(user);
    }
}

async fn check_then_insert(repaired: bool) {
    let users = RwLock::default();
    let insert = || insert_if_new(&users, "eve", repaired);
    let _ = settle_all([insert(), insert()]).await;
    assert_eq!(users.into_inner(), ["eve"]);
}

async fn joined(repaired: bool) {
    let users = RwLock::default();
    let insert = || insert_if_new(&users, "eve", repaired);
    tokio::join!(insert(), insert());
    assert_eq!(users.into_inner(), ["eve"]);
}

/// The service of the example: a connection pool, and in the twin a lock around each registration.
async fn registration(repaired: bool) {
    let pool = Semaphore::new(2);
    let accounts: RwLock<Vec<&str>> = RwLock::default();
    let lock = Mutex::new(());
    let register = || async {
        let _lock = if repaired {
            Some(lock.lock().await)
        } else {
            None
        };
        let is_taken = {
            let _connection = pool.acquire().await.unwrap();
            accounts.read().await.contains(&"eve@example.com")
        };
        if is_taken {
            return Err("409");
        }
        let _connection = pool.acquire().await.unwrap();
        accounts.write().await.push("eve@example.com");
        Ok(())
    };
    let settled = settle_all([register(), register()]).await;
    assert_eq!((settled.ok_count(), settled.err_count()), (1, 1));
}

async fn add_one(count: &Mutex<u32>, repaired: bool) {
    if repaired {
        *count.lock().await += 1;
        return;
    }
    let before = *count.lock().await;
    *count.lock().await = before + 1;
}

async fn lost_update(repaired: bool) {
    let count = Mutex::new(0);
    let _ = settle_all([add_one(&count, repaired), add_one(&count, repaired)]).await;
    assert_eq!(count.into_inner(), 2);
}

/// The children of `FuturesUnordered` have wakers of their own.
async fn lost_update_in_unordered(repaired: bool) {
    let count = Mutex::new(0);
    let adds = [0, 1].map(|_| add_one(&count, repaired));
    FuturesUnordered::from_iter(adds).collect::<()>().await;
    assert_eq!(count.into_inner(), 2);
}

async fn lost_update_in_tasks(repaired: bool) {
    let count = Arc::new(Mutex::new(0));
    let tasks = [0, 1].map(|_| {
        let count = Arc::clone(&count);
        straggler::spawn(async move { add_one(&count, repaired).await })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*count.lock().await, 2);
}

async fn double_release(repaired: bool) {
    let (is_open, releases) = (RwLock::new(true), Cell::new(0));
    let close = || async {
        if repaired {
            let mut is_open = is_open.write().await;
            releases.set(releases.get() + u32::from(*is_open));
            *is_open = false;
            return;
        }
        let must_close = *is_open.read().await;
        if must_close {
            *is_open.write().await = false;
            releases.set(releases.get() + 1);
        }
    };
    let _ = settle_all([close(), close()]).await;
    assert_eq!(releases.get(), 1);
}

/// A transfer releases one account before it locks the other; an audit runs in between.
async fn over_two_locks(repaired: bool) {
    let (ada, bob) = (Mutex::new(10), Mutex::new(10));
    let (ledger, _read_later) = mpsc::channel(1);
    let transfer = async {
        if repaired {
            let (mut ada, mut bob) = (ada.lock().await, bob.lock().await);
            *ada -= 5;
            *bob += 5;
            return;
        }
        *ada.lock().await -= 5;
        ledger.send("ada to bob: 5").await.unwrap();
        *bob.lock().await += 5;
    };
    let audit = async {
        let (ada, bob) = (ada.lock().await, bob.lock().await);
        assert_eq!(*ada + *bob, 20, "money is missing");
    };
    settle!(transfer, audit);
}

/// Between two statements a transfer holds no lock, and both locks are free.
async fn torn_read(repaired: bool) {
    let (ada, bob) = (RwLock::new(100), RwLock::new(100));
    let transfer = async {
        if repaired {
            let (mut ada, mut bob) = (ada.write().await, bob.write().await);
            *ada -= 40;
            *bob += 40;
        } else {
            *ada.write().await -= 40;
            *bob.write().await += 40;
        }
    };
    let total = async {
        let (ada, bob) = (ada.read().await, bob.read().await);
        *ada + *bob
    };
    let ((), total) = settle!(transfer, total);
    assert_eq!(total, 200);
}

/// The last user destroys a resource after its release, when another user may have acquired it.
async fn resurrection(repaired: bool) {
    let pool: RefCell<HashMap<&str, u32>> = RefCell::new(HashMap::from([("connection", 1)]));
    let lock = Mutex::new(());
    let release = async {
        let is_last = {
            let _locked = lock.lock().await;
            let mut pool = pool.borrow_mut();
            let users = pool.get_mut("connection").unwrap();
            *users -= 1;
            let is_last = *users == 0;
            if repaired && is_last {
                pool.remove("connection");
            }
            is_last
        };
        if is_last && !repaired {
            let _locked = lock.lock().await;
            pool.borrow_mut().remove("connection");
        }
    };
    let acquire = async {
        let has_it = {
            let _locked = lock.lock().await;
            let mut pool = pool.borrow_mut();
            let users = pool.get_mut("connection");
            users.map(|users| *users += 1).is_some()
        };
        if has_it {
            let _locked = lock.lock().await;
            assert!(pool.borrow().contains_key("connection"), "it was destroyed");
        }
    };
    settle!(release, acquire);
}

/// The tasks are spawned past straggler.
async fn lost_update_in_tracker(repaired: bool) {
    let (count, tracker) = (Arc::new(Mutex::new(0)), TaskTracker::new());
    for _ in 0..2 {
        let count = Arc::clone(&count);
        tracker.spawn(async move { add_one(&count, repaired).await });
    }
    tracker.close();
    tracker.wait().await;
    assert_eq!(*count.lock().await, 2);
}

/// Two requests find the pool below its size, and both connect.
async fn pool_over_count(repaired: bool) {
    let (open, connected) = (Mutex::new(0), RwLock::new(0));
    let grow = async || {
        let mut counted = open.lock().await;
        if *counted == 1 {
            return;
        }
        *counted += i32::from(repaired);
        drop(counted);
        *connected.write().await += 1;
        if !repaired {
            *open.lock().await += 1;
        }
    };
    settle!(grow(), grow());
    assert_eq!(connected.into_inner(), 1);
}

/// A write guard is dropped and not downgraded, so another writer comes before the read.
async fn read_back(repaired: bool) {
    let version = RwLock::new(0);
    let publish = async || {
        let mut written = version.write().await;
        *written += 1;
        let mine = *written;
        let read = if repaired {
            written.downgrade()
        } else {
            drop(written);
            version.read().await
        };
        assert_eq!(*read, mine);
    };
    settle!(publish(), publish());
}

/// The coordinator commits after all votes, but one was taken back meanwhile.
async fn two_phase_commit(repaired: bool) {
    let votes = [Mutex::new("ready"), Mutex::new("ready")];
    let is_withdrawn = Cell::new(false);
    let commit = async {
        let [ada, bob] = &votes;
        if repaired {
            let (ada, mut bob) = (ada.lock().await, bob.lock().await);
            if *ada == "ready" && *bob == "ready" {
                *bob = "committed";
            }
        } else if *ada.lock().await == "ready" && *bob.lock().await == "ready" {
            *bob.lock().await = "committed";
        }
    };
    let withdraw = async {
        let mut bob = votes[1].lock().await;
        if *bob == "ready" {
            *bob = "withdrawn";
            is_withdrawn.set(true);
        }
    };
    settle!(commit, withdraw);
    assert!(!is_withdrawn.get() || *votes[1].lock().await == "withdrawn");
}

/// An order sees a price that is rolled back.
async fn dirty_read(repaired: bool) {
    let (price, rules) = (RwLock::new(10), Mutex::new(()));
    let change = async {
        let mut changed = price.write().await;
        *changed = -1;
        if !repaired {
            drop(changed);
            drop(rules.lock().await);
            changed = price.write().await;
        }
        *changed = 10;
    };
    let order = async { assert!(*price.read().await > 0) };
    settle!(change, order);
}

/// Each of three writers can meet two others, and has two attempts.
async fn retries_run_out(repaired: bool) {
    let version = RwLock::new(0);
    let write = async || {
        for _ in 0..if repaired { 3 } else { 2 } {
            let seen = *version.read().await;
            let mut version = version.write().await;
            if *version == seen {
                *version += 1;
                return;
            }
        }
        panic!("no attempt is left");
    };
    settle!(write(), write(), write());
}

/// A pop compares the head, which another child has popped and pushed again. The twin counts versions.
async fn same_head_again(repaired: bool) {
    let (head, next) = (Mutex::new((0, 0)), RwLock::new([1, 2, 3]));
    let pop = async || {
        loop {
            let seen = *head.lock().await;
            let after = next.read().await[seen.0];
            let mut head = head.lock().await;
            if *head == seen {
                *head = (after, seen.1 + i32::from(repaired));
                return seen.0;
            }
        }
    };
    let reuse = async {
        let (one, other) = (pop().await, pop().await);
        let mut head = head.lock().await;
        next.write().await[one] = head.0;
        *head = (one, head.1 + i32::from(repaired));
        other
    };
    let (_, in_use) = settle!(pop(), reuse);
    assert_ne!(head.into_inner().0, in_use);
}

/// A guard that a hand poll got is dropped, and what it showed is relied on.
async fn polled_by_hand(repaired: bool) {
    let seats = Mutex::new(1);
    let book = async || {
        let by_hand = seats.lock().now_or_never();
        let mut free = match by_hand {
            Some(free) => free,
            None => seats.lock().await,
        };
        if *free == 0 {
            return;
        }
        if !repaired {
            drop(free);
            free = seats.lock().await;
        }
        *free -= 1;
    };
    settle!(book(), book());
    assert_eq!(seats.into_inner(), 0);
}
