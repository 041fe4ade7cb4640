//! Bugs of the corpus, written with shuttle's types.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use shuttle::sync::mpsc::channel;
use shuttle::sync::{Barrier, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use shuttle::{future, thread};

/// The names of the bugs in the corpus, and their bodies.
pub(crate) const BUGS: &[(&str, fn())] = &[
    ("check, then insert", check_then_insert),
    ("lost update", lost_update),
    ("double release", double_release),
    ("read, modify, write over two locks", over_two_locks),
    ("torn read", torn_read),
    ("use after the last release", resurrection),
    ("one connection too many", pool_over_count),
    ("value read back after another write", read_back),
    ("vote taken back before the commit", two_phase_commit),
    ("dirty read", dirty_read),
    ("retries that run out", retries_run_out),
    ("head of a free list that comes back", same_head_again),
    ("cache stampede", stampede),
    ("cell set twice", double_init),
    ("deadlock of two locks", two_locks),
    ("deadlock of three philosophers", philosophers),
    ("receive under the lock of the sender", receive_under_lock),
    ("counter reset after a barrier", reset_after_barrier),
    ("order violation", order_violation),
    ("task ahead of its spawner", ahead_of_spawner),
    ("key published before its row", published_early),
    ("messages of two senders", two_senders),
    ("numbers drawn in order, sent in another", sequence_numbers),
];

/// A future that runs beside others.
type Child = Pin<Box<dyn Future<Output = ()>>>;

fn child(run: impl FnOnce() + 'static) -> Child {
    Box::pin(async move { run() })
}

/// Runs shuttle tasks concurrently.
fn together<const N: usize>(children: [Child; N]) {
    future::block_on(async {
        for task in children.map(future::spawn_local) {
            task.await.expect("no one aborts the task");
        }
    });
}

/// Runs the same in two tasks.
fn twice<T: 'static>(shared: &Arc<T>, run: fn(&T)) {
    together([beside(shared, run), beside(shared, run)]);
}

/// A child with a share of a value.
fn beside<T: 'static>(shared: &Arc<T>, run: impl FnOnce(&T) + 'static) -> Child {
    let shared = Arc::clone(shared);
    child(move || run(&shared))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic")
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().expect("no panic")
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().expect("no panic")
}

fn check_then_insert() {
    let users = Arc::new(RwLock::new(Vec::new()));
    twice(&users, |users| {
        let is_new = !read(users).contains(&"eve");
        if is_new {
            write(users).push("eve");
        }
    });
    assert_eq!(*read(&users), ["eve"]);
}

fn lost_update() {
    let count = Arc::new(Mutex::new(0));
    twice(&count, |count| {
        let before = *lock(count);
        *lock(count) = before + 1;
    });
    assert_eq!(*lock(&count), 2);
}

fn double_release() {
    let resource = Arc::new((RwLock::new(true), AtomicUsize::new(0)));
    twice(&resource, |(is_open, releases)| {
        let must_close = *read(is_open);
        if must_close {
            *write(is_open) = false;
            releases.fetch_add(1, Relaxed);
        }
    });
    assert_eq!(resource.1.load(Relaxed), 1);
}

fn over_two_locks() {
    let accounts = Arc::new((Mutex::new(10), Mutex::new(10)));
    let transfer = beside(&accounts, |(ada, bob)| {
        *lock(ada) -= 5;
        *lock(bob) += 5;
    });
    let audit = beside(&accounts, |(ada, bob)| {
        let (ada, bob) = (lock(ada), lock(bob));
        assert_eq!(*ada + *bob, 20, "money is missing");
    });
    together([transfer, audit]);
}

fn torn_read() {
    let accounts = Arc::new((RwLock::new(100), RwLock::new(100)));
    let transfer = beside(&accounts, |(ada, bob)| {
        *write(ada) -= 40;
        *write(bob) += 40;
    });
    let total = beside(&accounts, |(ada, bob)| {
        let (ada, bob) = (read(ada), read(bob));
        assert_eq!(*ada + *bob, 200);
    });
    together([transfer, total]);
}

fn resurrection() {
    let pool = Arc::new(Mutex::new(HashMap::from([("connection", 1)])));
    let release = beside(&pool, |pool| {
        let is_last = {
            let mut pool = lock(pool);
            let users = pool.get_mut("connection").expect("it is there");
            *users -= 1;
            *users == 0
        };
        if is_last {
            lock(pool).remove("connection");
        }
    });
    let acquire = beside(&pool, |pool| {
        let users = lock(pool).get_mut("connection").map(|users| *users += 1);
        if users.is_some() {
            assert!(lock(pool).contains_key("connection"), "it was destroyed");
        }
    });
    together([release, acquire]);
}

fn pool_over_count() {
    let pool = Arc::new((Mutex::new(0), RwLock::new(0)));
    twice(&pool, |(open, connected)| {
        let is_full = *lock(open) == 1;
        if !is_full {
            *write(connected) += 1;
            *lock(open) += 1;
        }
    });
    assert_eq!(*read(&pool.1), 1);
}

fn read_back() {
    let version = Arc::new(RwLock::new(0));
    twice(&version, |version| {
        let mut written = write(version);
        *written += 1;
        let mine = *written;
        drop(written);
        assert_eq!(*read(version), mine);
    });
}

fn two_phase_commit() {
    let votes = Arc::new((
        Mutex::new("ready"),
        Mutex::new("ready"),
        AtomicBool::new(false),
    ));
    let commit = beside(&votes, |(ada, bob, _)| {
        let is_ready = *lock(ada) == "ready" && *lock(bob) == "ready";
        if is_ready {
            *lock(bob) = "committed";
        }
    });
    let withdraw = beside(&votes, |(_, bob, is_withdrawn)| {
        let mut bob = lock(bob);
        if *bob == "ready" {
            *bob = "withdrawn";
            is_withdrawn.store(true, Relaxed);
        }
    });
    together([commit, withdraw]);
    assert!(!votes.2.load(Relaxed) || *lock(&votes.1) == "withdrawn");
}

fn dirty_read() {
    let shop = Arc::new((RwLock::new(10), Mutex::new(())));
    let change = beside(&shop, |(price, rules)| {
        *write(price) = -1;
        drop(lock(rules));
        *write(price) = 10;
    });
    let order = beside(&shop, |(price, _)| assert!(*read(price) > 0));
    together([change, order]);
}

fn retries_run_out() {
    let write_once = |version: &RwLock<u32>| {
        for _ in 0..2 {
            let seen = *read(version);
            let mut version = write(version);
            if *version == seen {
                *version += 1;
                return;
            }
        }
        panic!("no attempt is left");
    };
    let version = Arc::new(RwLock::new(0));
    together([(); 3].map(|()| beside(&version, write_once)));
}

fn same_head_again() {
    let pop = |(head, next): &(Mutex<usize>, RwLock<[usize; 3]>)| {
        loop {
            let seen = *lock(head);
            let after = read(next)[seen];
            let mut head = lock(head);
            if *head == seen {
                *head = after;
                return seen;
            }
        }
    };
    let list = Arc::new((Mutex::new(0), RwLock::new([1, 2, 3])));
    let in_use = Arc::new(AtomicUsize::new(0));
    let keeps = Arc::clone(&in_use);
    let reuse = beside(&list, move |list| {
        let (one, other) = (pop(list), pop(list));
        let mut head = lock(&list.0);
        write(&list.1)[one] = *head;
        *head = one;
        keeps.store(other, Relaxed);
    });
    let pops = beside(&list, move |list| _ = pop(list));
    together([pops, reuse]);
    assert_ne!(*lock(&list.0), in_use.load(Relaxed));
}

fn stampede() {
    let cache = Arc::new((RwLock::new(None), AtomicUsize::new(0)));
    let get = |(value, loads): &(RwLock<Option<u32>>, AtomicUsize)| {
        let is_empty = read(value).is_none();
        if is_empty {
            loads.fetch_add(1, Relaxed);
            *write(value) = Some(42);
        }
    };
    together([(); 3].map(|()| beside(&cache, get)));
    assert_eq!(cache.1.load(Relaxed), 1);
}

fn double_init() {
    let cell = Arc::new((RwLock::new(None), Mutex::new(42)));
    twice(&cell, |(cell, settings)| {
        let is_empty = read(cell).is_none();
        if is_empty {
            let value = *lock(settings);
            assert_eq!(write(cell).replace(value), None, "it is set once");
        }
    });
}

fn two_locks() {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let one = beside(&locks, |(ada, bob)| drop((lock(ada), lock(bob))));
    let other = beside(&locks, |(ada, bob)| drop((lock(bob), lock(ada))));
    together([one, other]);
}

fn philosophers() {
    let forks = Arc::new([(); 3].map(Mutex::new));
    let eat = |index: usize| {
        beside(&forks, move |forks| {
            drop((lock(&forks[index]), lock(&forks[(index + 1) % 3])));
        })
    };
    together([eat(0), eat(1), eat(2)]);
}

fn receive_under_lock() {
    let (send, receive) = channel();
    let total = Arc::new(Mutex::new(0));
    let producer = beside(&total, move |total| {
        *lock(total) += 1;
        send.send(1).expect("the consumer is there");
    });
    let consumer = beside(&total, move |total| {
        let mut total = lock(total);
        *total -= receive.recv().expect("the producer sends");
    });
    together([producer, consumer]);
}

fn reset_after_barrier() {
    let round = Arc::new((Barrier::new(2), Mutex::new(0)));
    twice(&round, |(barrier, count)| {
        for _ in 0..2 {
            *lock(count) += 1;
            if barrier.wait().is_leader() {
                let mut count = lock(count);
                assert_eq!(*count, 2);
                *count = 0;
            }
        }
    });
}

fn order_violation() {
    let settings = Arc::new(RwLock::new(None));
    let load = beside(&settings, |settings| *write(settings) = Some("settings"));
    let serve = beside(&settings, |settings| {
        assert!(read(settings).is_some(), "served before it was set up");
    });
    together([load, serve]);
}

fn ahead_of_spawner() {
    let running = Arc::new(Mutex::new(HashSet::new()));
    let removes = Arc::clone(&running);
    let task = thread::spawn(move || lock(&removes).remove("task"));
    lock(&running).insert("task");
    task.join().expect("no panic");
    assert!(lock(&running).is_empty());
}

fn published_early() {
    let table = Arc::new((RwLock::new(Vec::new()), RwLock::new(HashMap::new())));
    let insert = beside(&table, |(keys, rows)| {
        write(keys).push("eve");
        write(rows).insert("eve", 1);
    });
    let reads = beside(&table, |(keys, rows)| {
        for key in read(keys).iter() {
            assert!(read(rows).contains_key(key), "no such row");
        }
    });
    together([insert, reads]);
}

fn two_senders() {
    let (send, receive) = channel();
    let sends = |message: &'static str| {
        let send = send.clone();
        child(move || send.send(message).expect("the receiver is there"))
    };
    together([sends("create"), sends("rename")]);
    assert_eq!(receive.recv(), Ok("create"));
}

fn sequence_numbers() {
    let (send, receive) = channel();
    let last = Arc::new(Mutex::new(0));
    let writes = || {
        let send = send.clone();
        beside(&last, move |last| {
            let number = {
                let mut last = lock(last);
                *last += 1;
                *last
            };
            send.send(number).expect("the receiver is there");
        })
    };
    together([writes(), writes()]);
    assert_eq!(receive.recv(), Ok(1));
}
