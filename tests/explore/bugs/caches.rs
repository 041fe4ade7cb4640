//! Values that are computed once, and kept.

use std::cell::Cell;

use straggler::{settle, settle_all};
use tokio::sync::{Mutex, OnceCell, RwLock, broadcast, mpsc, oneshot};

use super::Bug;

pub(crate) const BUGS: &[Bug] = &[
    bug!("cache stampede", stampede),
    bug!("stale cache", stale_cache),
    bug!("cell set twice", double_init),
    bug!("request that joins too late", coalescing),
];

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

/// Two requests find a cell empty, and the later one cannot set it.
async fn double_init(repaired: bool) {
    let (cell, settings) = (OnceCell::new(), Mutex::new(42));
    let read = async || *settings.lock().await;
    let get = async || {
        if repaired {
            cell.get_or_init(read).await;
        } else if cell.get().is_none() {
            cell.set(read().await).expect("it is set once");
        }
    };
    settle!(get(), get());
}

/// A request that joins another one subscribes when that one has its answer already.
async fn coalescing(repaired: bool) {
    let in_flight = Mutex::new(None::<broadcast::Sender<u32>>);
    let (log, _read_later) = mpsc::channel(2);
    let get = async || {
        let mut leader = in_flight.lock().await;
        let Some(answer) = leader.clone() else {
            let (answer, _) = broadcast::channel(1);
            *leader = Some(answer.clone());
            drop(leader);
            log.send("asks").await.unwrap();
            *in_flight.lock().await = None;
            _ = answer.send(42);
            return 42;
        };
        let early = repaired.then(|| answer.subscribe());
        drop(leader);
        log.send("joins").await.unwrap();
        let mut answers = early.unwrap_or_else(|| answer.subscribe());
        drop(answer);
        answers.recv().await.expect("the leader answers")
    };
    settle!(get(), get());
}
