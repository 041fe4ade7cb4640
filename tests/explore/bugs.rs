//! Known kinds of concurrency bugs, minimal and in plain tokio, each with a repaired twin. All of
//! them pass in the plain order.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use straggler::{settle, settle_all};
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::yield_now;

/// The body of a run. It panics or hangs if the bug shows.
pub(crate) type Body = Pin<Box<dyn Future<Output = ()>>>;

/// A bug and its repaired twin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bug {
    /// Its name in messages and tables.
    pub(crate) name: &'static str,
    /// Makes the body of one run: of the bug, or of its twin if `repaired`.
    pub(crate) body: fn(repaired: bool) -> Body,
}

/// Known bugs that show with any tokio.
pub(crate) const BUGS: &[Bug] = &[
    bug("check, then insert", |repaired| {
        Box::pin(check_then_insert(repaired))
    }),
    bug("check, then insert, in `tokio::join!`", |repaired| {
        Box::pin(joined(repaired))
    }),
    bug("registration: look-up, then insert", |repaired| {
        Box::pin(registration(repaired))
    }),
    bug("lost update", |repaired| Box::pin(lost_update(repaired))),
    bug("lost update, in `FuturesUnordered`", |repaired| {
        Box::pin(lost_update_in_unordered(repaired))
    }),
    bug("lost update, in tasks", |repaired| {
        Box::pin(lost_update_in_tasks(repaired))
    }),
    bug("deadlock of two locks", |repaired| {
        Box::pin(two_locks(repaired))
    }),
    bug("deadlock of three philosophers", |repaired| {
        Box::pin(philosophers(repaired))
    }),
    bug("cache stampede", |repaired| Box::pin(stampede(repaired))),
    bug("stale cache", |repaired| Box::pin(stale_cache(repaired))),
    bug("missed `Notify`", |repaired| {
        Box::pin(missed_notify(repaired))
    }),
    bug("missed change of a `watch`", |repaired| {
        Box::pin(missed_change(repaired))
    }),
    bug("double release", |repaired| {
        Box::pin(double_release(repaired))
    }),
    bug("order violation", |repaired| {
        Box::pin(order_violation(repaired))
    }),
    bug("message lost in `select!`", |repaired| {
        Box::pin(lost_in_select(repaired))
    }),
    bug("semaphore leak", |repaired| {
        Box::pin(semaphore_leak(repaired))
    }),
    bug("channel closed early", |repaired| {
        Box::pin(closed_early(repaired))
    }),
    bug("read, modify, write over two locks", |repaired| {
        Box::pin(over_two_locks(repaired))
    }),
    bug("receiver that lags", |repaired| Box::pin(lagging(repaired))),
    bug("task that is late", |repaired| {
        Box::pin(late_task(repaired))
    }),
    bug("task that is later than two that talk", |repaired| {
        Box::pin(later_than_two(repaired))
    }),
];

/// Known bugs that show only if a task can yield while it holds a lock that was free. From tokio 1.54 on it can.
#[allow(dead_code, reason = "some that use the corpus leave them out")]
pub(crate) const BUGS_WHILE_HELD: &[Bug] = &[bug("use after the last release", |repaired| {
    Box::pin(resurrection(repaired))
})];

/// Known bugs that show only if an operation can yield before it begins, so only in builds with
/// scheduling points.
#[cfg_attr(
    not(straggler_instrumented),
    allow(dead_code, reason = "they are not found")
)]
pub(crate) const BUGS_BEFORE_OPERATIONS: &[Bug] = &[
    bug("torn read", |repaired| Box::pin(torn_read(repaired))),
    bug("first operation of a branch cancelled", |repaired| {
        Box::pin(half_done_branch(repaired))
    }),
    bug("lost update around `Notify`", |repaired| {
        Box::pin(lost_update_around_notify(repaired))
    }),
];

pub(crate) const fn bug(name: &'static str, body: fn(bool) -> Body) -> Bug {
    Bug { name, body }
}

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

async fn two_locks(repaired: bool) {
    let (ada, bob) = (Mutex::new(1), Mutex::new(1));
    let transfer = async |from: &Mutex<i32>, to: &Mutex<i32>| {
        let (mut from, mut to) = (from.lock().await, to.lock().await);
        *from -= 1;
        *to += 1;
    };
    if repaired {
        settle!(transfer(&ada, &bob), transfer(&ada, &bob));
    } else {
        settle!(transfer(&ada, &bob), transfer(&bob, &ada));
    }
}

async fn philosophers(repaired: bool) {
    let forks = [const { Mutex::const_new(()) }; 3];
    let eat = |index: usize| {
        let (mut first, mut second) = (index, (index + 1) % 3);
        if repaired && first > second {
            (first, second) = (second, first);
        }
        let forks = &forks;
        async move {
            let _first = forks[first].lock().await;
            let _second = forks[second].lock().await;
        }
    };
    let _ = settle_all([eat(0), eat(1), eat(2)]).await;
}

async fn stampede(repaired: bool) {
    let cache = RwLock::new(None);
    let loads = Cell::new(0);
    let load = async || {
        loads.set(loads.get() + 1);
        42
    };
    let get = || async {
        if let Some(value) = *cache.read().await {
            return value;
        }
        if repaired {
            let mut cache = cache.write().await;
            if cache.is_none() {
                *cache = Some(load().await);
            }
            return cache.unwrap_or_default();
        }
        let value = load().await;
        *cache.write().await = Some(value);
        value
    };
    let _ = settle_all([get(), get(), get()]).await;
    assert_eq!(loads.get(), 1);
}

/// After a cache miss, a reader stores an old value that a writer has just invalidated. The database
/// is a child of its own, as behind a connection.
async fn stale_cache(repaired: bool) {
    let cache = Mutex::new(None);
    let (requests, mut requested) = mpsc::channel::<(Option<u32>, oneshot::Sender<u32>)>(2);
    let database = async {
        let mut value = 1;
        while let Some((write, reply)) = requested.recv().await {
            value = write.unwrap_or(value);
            _ = reply.send(value);
        }
    };
    let ask = async |requests: &mpsc::Sender<_>, write| {
        let (reply, replied) = oneshot::channel();
        requests.send((write, reply)).await.unwrap();
        replied.await.unwrap()
    };
    let of_writer = requests.clone();
    let read = async {
        if repaired {
            let mut cache = cache.lock().await;
            *cache = Some(ask(&requests, None).await);
        } else {
            let value = ask(&requests, None).await;
            *cache.lock().await = Some(value);
        }
        drop(requests);
    };
    let write = async {
        ask(&of_writer, Some(2)).await;
        *cache.lock().await = None;
        drop(of_writer);
    };
    settle!(database, read, write);
    let cached = cache.into_inner();
    assert!(cached.is_none_or(|cached| cached == 2), "{cached:?}");
}

/// The waiter checks, then logs, and registers with the `Notify` too late.
async fn missed_notify(repaired: bool) {
    let (is_ready, notify) = (Mutex::new(false), Notify::new());
    let (log, _logged) = mpsc::channel(1);
    let wait = async {
        let mut notified = repaired.then(|| Box::pin(notify.notified()));
        let is_ready = *is_ready.lock().await;
        if is_ready {
            return;
        }
        log.send("waiting").await.unwrap();
        match notified.take() {
            Some(notified) => notified.await,
            None => notify.notified().await,
        }
    };
    let set = async {
        *is_ready.lock().await = true;
        notify.notify_waiters();
    };
    settle!(wait, set);
}

async fn missed_change(repaired: bool) {
    let (values, _) = watch::channel(0);
    let wait = async {
        let mut changed = values.subscribe();
        if repaired {
            changed.wait_for(|value| *value > 0).await.unwrap();
        } else {
            changed.changed().await.unwrap();
        }
    };
    let change = async {
        yield_now().await;
        values.send_replace(1);
    };
    let _begun = settle!(wait, change);
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

async fn order_violation(repaired: bool) {
    let (settings, are_there) = (RwLock::new(None), Notify::new());
    let load = async {
        *settings.write().await = Some("settings");
        are_there.notify_one();
    };
    let serve = async {
        if repaired {
            are_there.notified().await;
        }
        assert!(
            settings.read().await.is_some(),
            "served before it was set up"
        );
    };
    settle!(load, serve);
}

/// `select!` drops the branch that has received a message while it waits for a lock.
async fn lost_in_select(repaired: bool) {
    let (send, mut receive) = mpsc::channel(4);
    let stop = Notify::new();
    let stored = Mutex::new(Vec::new());
    let store = async |message: u32| stored.lock().await.push(message);
    let receiver = async {
        let mut stopped = pin!(stop.notified());
        loop {
            if repaired {
                tokio::select! {
                    biased;
                    Some(message) = receive.recv() => store(message).await,
                    () = &mut stopped => break,
                }
            } else {
                tokio::select! {
                    biased;
                    () = async {
                        if let Some(message) = receive.recv().await {
                            store(message).await;
                        }
                    } => {}
                    () = &mut stopped => break,
                }
            }
        }
        receive.close();
        while let Some(message) = receive.recv().await {
            store(message).await;
        }
    };
    let sender = async {
        for message in [1, 2] {
            send.send(message).await.unwrap();
        }
        stop.notify_one();
    };
    settle!(receiver, sender);
    assert_eq!(stored.into_inner(), [1, 2]);
}

/// A forgotten permit is returned by hand, but the future that returns it is cancelled.
async fn semaphore_leak(repaired: bool) {
    let (pool, work) = (Semaphore::new(1), Mutex::new(()));
    let cancel = Notify::new();
    let worker = async {
        tokio::select! {
            biased;
            () = async {
                let permit = pool.acquire().await.unwrap();
                if repaired {
                    drop(work.lock().await);
                    drop(permit);
                } else {
                    permit.forget();
                    drop(work.lock().await);
                    pool.add_permits(1);
                }
            } => {}
            () = cancel.notified() => {}
        }
    };
    let stopper = async { cancel.notify_one() };
    settle!(worker, stopper);
    assert_eq!(pool.available_permits(), 1);
}

async fn closed_early(repaired: bool) {
    let (send, mut receive) = mpsc::channel(4);
    let (one_done, one_is_done) = oneshot::channel();
    let (other_done, other_is_done) = oneshot::channel();
    let produce = async |done: oneshot::Sender<()>| {
        send.send(1).await.expect("the channel is open");
        done.send(()).unwrap();
    };
    let close = async {
        one_is_done.await.unwrap();
        if repaired {
            other_is_done.await.unwrap();
        }
        receive.close();
    };
    settle!(produce(one_done), produce(other_done), close);
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

async fn lagging(repaired: bool) {
    let (send, mut receive) = broadcast::channel(if repaired { 4 } else { 2 });
    let sender = async {
        for number in 0..4 {
            send.send(number).unwrap();
            yield_now().await;
        }
    };
    let receiver = async {
        for number in 0..4 {
            assert_eq!(receive.recv().await, Ok(number));
        }
    };
    settle!(sender, receiver);
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

/// A worker does much work before it relies on the setup of another task.
async fn late_task(repaired: bool) {
    let (is_set_up, done) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(0)));
    let sets = Arc::clone(&is_set_up);
    let setup = straggler::spawn(async move { sets.store(true, Relaxed) });
    let worker = async move {
        for _ in 0..8 {
            *done.lock().await += 1;
            yield_now().await;
        }
        assert!(is_set_up.load(Relaxed), "it was not set up");
    };
    if repaired {
        setup.await.unwrap();
        straggler::spawn(worker).await.unwrap();
    } else {
        let worker = straggler::spawn(worker);
        setup.await.unwrap();
        worker.await.unwrap();
    }
}

/// Two tasks exchange messages before one of them relies on the setup of a third.
async fn later_than_two(repaired: bool) {
    let is_set_up = Arc::new(AtomicBool::new(false));
    let sets = Arc::clone(&is_set_up);
    let (asks, mut asked) = mpsc::channel(1);
    let (answers, mut answered) = mpsc::channel(1);
    let client = async move {
        for number in 0..4 {
            asks.send(number).await.unwrap();
            answered.recv().await.unwrap();
        }
    };
    let server = async move {
        while let Some(number) = asked.recv().await {
            answers.send(number).await.unwrap();
        }
        assert!(is_set_up.load(Relaxed), "it was not set up");
    };
    let mut setup = Some(straggler::spawn(async move { sets.store(true, Relaxed) }));
    if repaired {
        setup.take().unwrap().await.unwrap();
    }
    let tasks = [straggler::spawn(client), straggler::spawn(server)];
    for task in setup.into_iter().chain(tasks) {
        task.await.unwrap();
    }
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

/// `select!` drops a branch that has taken something and has not put it back, in its first operation.
async fn half_done_branch(repaired: bool) {
    let (taken, lock, stop) = (Cell::new(false), Mutex::new(()), Notify::new());
    let worker = async {
        tokio::select! {
            biased;
            () = async {
                if !repaired {
                    taken.set(true);
                }
                let _held = lock.lock().await;
                taken.set(false);
            } => {}
            () = stop.notified() => {}
        }
    };
    let stopping = async { stop.notify_one() };
    settle!(worker, stopping);
    assert!(!taken.get());
}

/// Two children read, wait for what has happened already, and write.
async fn lost_update_around_notify(repaired: bool) {
    let count = Cell::new(0);
    let add = async || {
        let notify = Notify::new();
        notify.notify_one();
        let mut before = count.get();
        notify.notified().await;
        if repaired {
            before = count.get();
        }
        count.set(before + 1);
    };
    settle!(add(), add());
    assert_eq!(count.get(), 2);
}

/// The children of `FuturesUnordered` have wakers of their own.
async fn lost_update_in_unordered(repaired: bool) {
    let count = Mutex::new(0);
    let adds = [0, 1].map(|_| add_one(&count, repaired));
    FuturesUnordered::from_iter(adds).collect::<()>().await;
    assert_eq!(count.into_inner(), 2);
}
