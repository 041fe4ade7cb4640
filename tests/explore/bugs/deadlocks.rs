//! Children that wait for one another.

use straggler::{settle, settle_all};
use tokio::sync::{Mutex, RwLock, mpsc};

use super::Bug;

pub(crate) const BUGS: &[Bug] = &[
    bug!("deadlock of two locks", two_locks),
    bug!("deadlock of three philosophers", philosophers),
    bug!("receive under the lock of the sender", receive_under_lock),
    bug!("second read guard behind a writer", second_read),
];

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

/// A consumer waits for a message under the lock that the producer takes first.
async fn receive_under_lock(repaired: bool) {
    let (total, (send, mut receive)) = (Mutex::new(0), mpsc::channel(1));
    let producer = async {
        *total.lock().await += 1;
        send.send(1).await.unwrap();
    };
    let consumer = async {
        if repaired {
            let message = receive.recv().await.unwrap();
            *total.lock().await -= message;
        } else {
            let mut total = total.lock().await;
            *total -= receive.recv().await.unwrap();
        }
    };
    settle!(producer, consumer);
}

/// A reader reads again while a writer waits for its first guard.
async fn second_read(repaired: bool) {
    let settings = RwLock::new(1);
    let reader = async {
        let first = settings.read().await;
        let first = (!repaired).then_some(first);
        let _second = settings.read().await;
        drop(first);
    };
    let writer = async { *settings.write().await += 1 };
    settle!(reader, writer);
}
