//! Steps that are assumed to happen in the order in which they are written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use straggler::settle;
use straggler::tokio::task::JoinSet;
use tokio::sync::{Mutex, Notify, RwLock, mpsc, oneshot};
use tokio::task::yield_now;

use super::{Bug, Needs};

pub(crate) const BUGS: &[Bug] = &[
    bug!("order violation", order_violation),
    bug!("channel closed early", closed_early),
    bug!("task that is late", late_task),
    bug!("task that is later than two that talk", later_than_two),
    bug!("task ahead of its spawner", ahead_of_spawner).needs(Needs::PointsBefore),
    bug!("task ahead of a spawner that does not wait", ahead_at_once).needs(Needs::EagerSpawns),
    bug!("key published before its row", published_early).needs(Needs::PointsBefore),
    bug!("messages of two senders", two_senders),
    bug!("numbers drawn in order, sent in another", sequence_numbers),
    bug!("results of a `JoinSet`", join_set_order),
    bug!("request sent after the last look", sent_after_drain),
];

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

/// A task removes what its spawner inserts after the spawn.
async fn ahead_of_spawner(repaired: bool) {
    let running = Arc::new(Mutex::new(HashSet::new()));
    if repaired {
        running.lock().await.insert("task");
    }
    let removes = Arc::clone(&running);
    let task = straggler::spawn(async move { removes.lock().await.remove("task") });
    if !repaired {
        running.lock().await.insert("task");
    }
    task.await.unwrap();
    assert!(running.lock().await.is_empty());
}

/// The same, where nothing can come between the spawn and the insertion on one thread.
async fn ahead_at_once(repaired: bool) {
    let running = Arc::new(std::sync::Mutex::new(HashSet::new()));
    if repaired {
        running.lock().unwrap().insert("task");
    }
    let removes = Arc::clone(&running);
    let task = straggler::spawn(async move { removes.lock().unwrap().remove("task") });
    if !repaired {
        running.lock().unwrap().insert("task");
    }
    task.await.unwrap();
    assert!(running.lock().unwrap().is_empty());
}

/// A reader finds the key of a row that is not there yet.
async fn published_early(repaired: bool) {
    let (keys, rows) = (RwLock::new(Vec::new()), RwLock::new(HashMap::new()));
    let insert = async {
        if repaired {
            rows.write().await.insert("eve", 1);
        }
        keys.write().await.push("eve");
        if !repaired {
            rows.write().await.insert("eve", 1);
        }
    };
    let read = async {
        for key in keys.read().await.iter() {
            assert!(rows.read().await.contains_key(key), "no such row");
        }
    };
    settle!(insert, read);
}

/// A queue has the messages of two senders in any order.
async fn two_senders(repaired: bool) {
    let (send, mut receive) = mpsc::channel(2);
    let (created, is_created) = oneshot::channel();
    let create = async {
        send.send("create").await.unwrap();
        _ = created.send(());
    };
    let rename = async {
        if repaired {
            is_created.await.unwrap();
        }
        send.send("rename").await.unwrap();
    };
    settle!(create, rename);
    assert_eq!(receive.recv().await, Some("create"));
}

/// A number is drawn under a lock, and sent after its release.
async fn sequence_numbers(repaired: bool) {
    let (last, (send, mut receive)) = (Mutex::new(0), mpsc::channel(2));
    let write = async || {
        let mut last = last.lock().await;
        *last += 1;
        let number = *last;
        let _held = repaired.then_some(last);
        send.send(number).await.unwrap();
    };
    settle!(write(), write());
    assert_eq!(receive.recv().await, Some(1));
}

/// A `JoinSet` returns its results in the order of completion.
async fn join_set_order(repaired: bool) {
    let (lock, mut tasks) = (Arc::new(Mutex::new(())), JoinSet::new());
    for number in [1, 2] {
        let lock = Arc::clone(&lock);
        tasks.spawn(async move {
            drop(lock.lock().await);
            number
        });
    }
    let mut results = tasks.join_all().await;
    if repaired {
        results.sort_unstable();
    }
    assert_eq!(results, [1, 2]);
}

/// A request passes the check, and is sent after the server has looked at its queue for the last time.
async fn sent_after_drain(repaired: bool) {
    let (is_open, (send, mut receive)) = (RwLock::new(true), mpsc::channel(1));
    let request = async {
        let open = is_open.read().await;
        if !*open {
            return false;
        }
        let _held = repaired.then_some(open);
        send.send("request").await.is_ok()
    };
    let shut_down = async {
        *is_open.write().await = false;
        receive.try_recv().is_ok()
    };
    let (is_sent, is_handled) = settle!(request, shut_down);
    assert_eq!(is_sent, is_handled);
}
