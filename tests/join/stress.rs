//! Threads wake, clone and drop wakers at random while a join is polled, moves between parents, and
//! is dropped. `.ci/soundness` runs these tests under sanitizers, which see what no assertion can.
//! `STRAGGLER_STRESS_ROUNDS` sets the number of rounds.
//!
//! The thread sanitizer does not instrument std. The tests use the locks of `parking_lot` and join
//! each thread by its handle, so that it sees every happens-before edge.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread::{self, Scope, ScopedJoinHandle};

use crate::common::{Wakes, poll_with};
use fastrand::Rng;
use futures::executor::block_on;
use parking_lot::Mutex;
use straggler::settle_all;

const THREADS: u64 = 3;
const CHILDREN: usize = 8;

/// The wakers of a child, for the threads to use.
#[derive(Default)]
struct Shared {
    /// Wakers to wake, clone or drop at random.
    wakers: Mutex<Vec<Waker>>,
    /// The waker of the last poll, for the thread that lets the child complete.
    last: Mutex<Option<Waker>>,
    may_end: AtomicBool,
}

/// Stores a clone of its waker at each poll, and is ready once `may_end` is set.
fn child(shared: Arc<Shared>, index: usize) -> impl Future<Output = usize> {
    poll_fn(move |context| {
        shared.wakers.lock().push(context.waker().clone());
        *shared.last.lock() = Some(context.waker().clone());
        // Checked after storing the waker; `let_end` sets the flag before it takes the waker.
        if shared.may_end.load(Ordering::SeqCst) {
            return Poll::Ready(index);
        }
        Poll::Pending
    })
}

/// Uses the wakers of a child at random.
fn disturb_child(random: &mut Rng, shared: &Shared) {
    let mut wakers = shared.wakers.lock();
    let Some(waker) = (!wakers.is_empty()).then(|| random.usize(..wakers.len())) else {
        return;
    };
    match random.u8(..6) {
        0 => {
            let waker = wakers.swap_remove(waker);
            drop(wakers);
            waker.wake();
        }
        1 => drop(wakers.swap_remove(waker)),
        2 => {
            let clone = wakers[waker].clone();
            wakers.push(clone);
        }
        3 => wakers[waker].wake_by_ref(),
        4 => {
            let clone = wakers[waker].clone();
            drop(wakers);
            clone.wake_by_ref();
            drop(clone);
        }
        _ => {
            let all = std::mem::take(&mut *wakers);
            drop(wakers);
            all.into_iter().for_each(Waker::wake);
        }
    }
}

/// Starts the threads that use wakers at random.
fn disturb<'scope>(
    scope: &'scope Scope<'scope, '_>,
    round: u64,
    shared: &'scope [Arc<Shared>],
) -> Vec<ScopedJoinHandle<'scope, ()>> {
    let threads = (0..THREADS).map(|thread| {
        scope.spawn(move || {
            let mut random = Rng::with_seed(round * THREADS + thread);
            for _ in 0..50 {
                let child = random.usize(..CHILDREN);
                disturb_child(&mut random, &shared[child]);
            }
        })
    });
    threads.collect()
}

fn let_end(shared: &Shared) {
    shared.may_end.store(true, Ordering::SeqCst);
    let waker = shared.last.lock().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn rounds() -> u64 {
    let rounds = std::env::var("STRAGGLER_STRESS_ROUNDS");
    rounds.map_or(100, |rounds| rounds.parse().expect("a number of rounds"))
}

#[test]
fn no_wake_lost_beside_random_waker_use() {
    for round in 0..rounds() {
        let shared: Vec<Arc<Shared>> = (0..CHILDREN).map(|_| Arc::default()).collect();
        let children = shared.iter().cloned().enumerate();
        let settling = settle_all(children.map(|(index, shared)| child(shared, index)));
        let settled = thread::scope(|scope| {
            let disturbing = disturb(scope, round, &shared);
            let ending = scope.spawn(|| shared.iter().for_each(|shared| let_end(shared)));
            let settled = block_on(settling);
            for thread in disturbing.into_iter().chain([ending]) {
                thread.join().unwrap();
            }
            settled
        });
        assert_eq!(settled.into_vec(), (0..CHILDREN).collect::<Vec<_>>());
    }
}

#[test]
fn drop_is_sound_beside_random_waker_use() {
    for round in 0..rounds() {
        let shared: Vec<Arc<Shared>> = (0..CHILDREN).map(|_| Arc::default()).collect();
        let children = shared.iter().cloned().enumerate();
        let mut settling = settle_all(children.map(|(index, shared)| child(shared, index)));
        let parents = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
        thread::scope(|scope| {
            let disturbing = disturb(scope, round, &shared);
            let mut random = Rng::with_seed(u64::MAX - round);
            for _ in 0..random.usize(1..10) {
                let parent = Arc::clone(&parents[random.usize(..2)]);
                assert!(poll_with(&mut settling, &parent.into()).is_pending());
            }
            drop(settling);
            for thread in disturbing {
                thread.join().unwrap();
            }
        });
        drop(shared);
        let owners = parents.map(|parent| Arc::strong_count(&parent));
        assert_eq!(owners, [1, 1], "no parent is left behind");
    }
}
