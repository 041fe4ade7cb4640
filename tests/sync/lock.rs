//! `Lock` has one holder at a time, serves waiters in order, and is always released.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::{Gate, Log, in_each_flavor, until};
use futures::FutureExt;
use proptest::prelude::*;
use straggler::leak::Acquisition;
use straggler::{Lock, LockGuard, settle_all};
use tokio::task::yield_now;
use tokio_test::{assert_pending, assert_ready, task};

type Acquire<'a> = Pin<Box<dyn Future<Output = LockGuard<'a>> + 'a>>;

fn acquire(lock: &Lock) -> task::Spawn<Acquire<'_>> {
    task::spawn(Box::pin(lock.acquire()))
}

#[test]
fn one_holder_until_drop_or_release() {
    let lock = Lock::new();
    assert!(!lock.is_locked());
    let guard = assert_ready!(acquire(&lock).poll());
    assert!(lock.is_locked());
    assert!(lock.try_acquire().is_none());
    drop(guard);
    assert!(!lock.is_locked());
    lock.try_acquire().expect("nobody holds it").release();
    assert!(!lock.is_locked());
    let _guard = lock.try_acquire().expect("nobody holds it");
}

#[test]
fn waiters_served_in_first_poll_order() {
    let lock = Lock::default();
    let guard = lock.try_acquire();
    let mut waiting: Vec<_> = (0..5).map(|_| acquire(&lock)).collect();
    // Differs from the order in which the futures were made.
    let order = [3, 0, 4, 1, 2];
    for index in order {
        assert_pending!(waiting[index].poll());
    }
    drop(guard);
    let mut rest = order.to_vec();
    while !rest.is_empty() {
        let index = rest.remove(0);
        assert!(waiting[index].is_woken());
        assert!(rest.iter().all(|&later| !waiting[later].is_woken()));
        assert!(
            lock.try_acquire().is_none(),
            "`try_acquire` does not overtake waiters"
        );
        drop(assert_ready!(waiting[index].poll()));
    }
    assert!(!lock.is_locked());
}

#[test]
fn dropped_waiter_leaves_queue() {
    let lock = Lock::new();
    let guard = lock.try_acquire();
    let [mut first, mut second, mut third] = [(); 3].map(|()| acquire(&lock));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    drop(second);
    assert_eq!(lock.waiters().len(), 2);
    drop(guard);
    drop(assert_ready!(first.poll()));
    assert!(third.is_woken());
    drop(assert_ready!(third.poll()));
}

#[test]
fn dropped_next_holder_hands_lock_on() {
    let lock = Lock::new();
    let guard = lock.try_acquire();
    let [mut first, mut second] = [(); 2].map(|()| acquire(&lock));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(guard);
    assert!(first.is_woken() && !second.is_woken());
    assert!(lock.is_locked() && lock.holder().is_none());
    drop(first);
    assert!(second.is_woken());
    drop(assert_ready!(second.poll()));
    assert!(!lock.is_locked());
}

#[test]
fn unpolled_acquire_is_not_queued() {
    let lock = Lock::new();
    let made_first = lock.acquire();
    let guard = lock.try_acquire().expect("nobody holds it");
    assert!(lock.waiters().is_empty());
    drop(made_first);
    assert!(lock.is_locked());
    drop(guard);
}

#[test]
fn panic_releases_without_poison() {
    let lock = Lock::new();
    let panics = async {
        let _guard = lock.acquire().await;
        panic!("in the middle");
    };
    let caught = AssertUnwindSafe(panics).catch_unwind().now_or_never();
    assert!(caught.expect("it does not wait").is_err());
    assert!(!lock.is_locked() && lock.holder().is_none());

    let guard = lock.try_acquire();
    let mut waiting = acquire(&lock);
    assert_pending!(waiting.poll());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = guard;
        panic!("outside of a future");
    }));
    caught.unwrap_err();
    assert_ready!(waiting.poll()).release();
}

/// Without a guard, an error between acquire and release would leave the lock held.
#[test]
fn early_return_releases() {
    async fn look_up(fails: bool) -> Result<(), &'static str> {
        yield_now().await;
        if fails { Err("no such table") } else { Ok(()) }
    }
    async fn register(lock: &Lock, fails: bool) -> Result<(), &'static str> {
        let guard = lock.acquire().await;
        look_up(fails).await?;
        guard.release();
        Ok(())
    }

    in_each_flavor(|| async {
        let lock = Lock::new();
        let all = [true, false, true, false].map(|fails| register(&lock, fails));
        let settled = settle_all(all).await;
        assert_eq!((settled.ok_count(), settled.err_count()), (2, 2));
        assert!(!lock.is_locked());
    });
}

#[test]
fn dropped_future_releases() {
    let lock = Lock::new();
    let gate = Gate::default();
    let mut handler = task::spawn(Box::pin(async {
        let _guard = lock.acquire().await;
        gate.clone().await;
    }));
    assert_pending!(handler.poll());
    let mut next = acquire(&lock);
    assert_pending!(next.poll());
    // A handler is dropped when its client hangs up.
    drop(handler);
    assert!(next.is_woken());
    drop(assert_ready!(next.poll()));
    assert!(!lock.is_locked());
}

#[test]
fn aborted_or_panicked_task_releases() {
    in_each_flavor(|| async {
        let lock = Arc::new(Lock::new());
        for panics in [false, true] {
            let (holds, held) = tokio::sync::oneshot::channel();
            let of_task = Arc::clone(&lock);
            let holder = tokio::spawn(async move {
                let _guard = of_task.acquire().await;
                holds.send(()).unwrap();
                assert!(!panics, "in the middle");
                std::future::pending::<()>().await;
            });
            held.await.unwrap();
            holder.abort();
            let error = holder.await.unwrap_err();
            assert_eq!((error.is_panic(), error.is_cancelled()), (panics, !panics));
            lock.acquire().await.release();
        }
    });
}

#[test]
fn holder_and_waiters_have_places() {
    let lock = Lock::new();
    assert!(lock.holder().is_none() && lock.waiters().is_empty());
    let (guard, line) = (lock.try_acquire(), line!());
    let holder = lock.holder().unwrap();
    assert_eq!(
        (holder.place().file(), holder.place().line()),
        (file!(), line)
    );
    assert_eq!(
        holder.time(),
        None,
        "outside of a leak check the lock does not read the clock"
    );

    let (waits, line) = (lock.acquire(), line!());
    let mut waits = task::spawn(Box::pin(waits));
    assert!(
        lock.waiters().is_empty(),
        "an unpolled future does not wait"
    );
    assert_pending!(waits.poll());
    assert_pending!(waits.poll());
    let waiters = lock.waiters();
    assert_eq!(waiters.len(), 1);
    assert_eq!(waiters[0].place().line(), line);

    drop(guard);
    assert!(lock.holder().is_none(), "the waiter has not taken it yet");
    let guard = assert_ready!(waits.poll());
    assert_eq!(lock.holder().unwrap().place().line(), line);
    assert!(lock.waiters().is_empty());
    assert!(format!("{lock:?} {guard:?}").contains(&format!("lock.rs:{line}:")));
    drop(guard);
    assert!(lock.holder().is_none());
}

#[test]
fn times_are_recorded_only_in_check() {
    let lock = Lock::new();
    straggler::LeakCheck::new()
        .run(async {
            let guard = lock.acquire().await;
            assert!(lock.holder().unwrap().time().is_some());
            assert_eq!(lock.holder(), lock.holder(), "it is the same acquisition");
            let mut waiting = acquire(&lock);
            assert_pending!(waiting.poll());
            let waited = lock.waiters()[0].time().unwrap();
            assert!(waited <= lock.holder().unwrap().time().unwrap());
            drop(guard);
            let guard = assert_ready!(waiting.poll());
            assert!(lock.holder().unwrap().time().is_some());
            drop(guard);
        })
        .unwrap();
    let _guard = lock.try_acquire();
    assert_eq!(lock.holder().unwrap().time(), None);
}

#[test]
fn waiters_match_queue_when_budget_is_spent() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let mut turned_away = 0;
        for spent in 0..=128 {
            let lock = Lock::new();
            let guard = lock.try_acquire();
            let first = lock.acquire();
            let mut first = task::spawn(Box::pin(first));
            let mut second = acquire(&lock);
            // Yielding restores the budget.
            yield_now().await;
            for _ in 0..spent {
                tokio::task::coop::consume_budget().await;
            }
            assert_pending!(first.poll());
            yield_now().await;
            assert_pending!(second.poll());
            assert_pending!(first.poll());
            let waiters = lock.waiters();
            let places: Vec<_> = waiters.iter().map(Acquisition::place).collect();
            assert_eq!(places.len(), 2);
            drop(guard);
            assert_ne!(first.is_woken(), second.is_woken());
            let next = if first.is_woken() {
                drop(assert_ready!(first.poll()));
                "first"
            } else {
                turned_away += 1;
                drop(assert_ready!(second.poll()));
                "second"
            };
            let left = lock.waiters();
            assert_eq!(left.len(), 1);
            assert_eq!(
                left[0].place(),
                places[1],
                "{next} was handed it, after {spent}"
            );
        }
        assert!(turned_away > 0);
    });
}

#[test]
fn one_holder_at_a_time_across_threads() {
    const TASKS: usize = 8;
    const TIMES: usize = 200;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    runtime.block_on(async {
        static LOCK: Lock = Lock::new();
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let worker = |number: usize| async move {
            for time in 0..TIMES {
                let guard = LOCK.acquire().await;
                assert_eq!(
                    INSIDE.fetch_add(1, SeqCst),
                    0,
                    "another task holds the lock"
                );
                // Even if the previous holder is still releasing it.
                for _ in 0..20 {
                    assert!(LOCK.holder().is_some());
                }
                if (number + time).is_multiple_of(3) {
                    yield_now().await;
                }
                INSIDE.fetch_sub(1, SeqCst);
                drop(guard);
                // Some give up waiting, perhaps just after the lock was handed to them.
                if time.is_multiple_of(2) {
                    let mut waiting = Box::pin(LOCK.acquire());
                    let polled = futures::poll!(&mut waiting);
                    yield_now().await;
                    drop((polled, waiting));
                }
            }
        };
        let settled = settle_all((0..TASKS).map(worker))
            .start_together()
            .spawned()
            .await;
        assert_eq!(settled.len(), TASKS);
        assert!(!LOCK.is_locked() && LOCK.holder().is_none() && LOCK.waiters().is_empty());
    });
}

/// An operation on the lock by one of `MANY` users.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Polls the user's `acquire`, and starts one if there is none.
    Poll(usize),
    /// Drops the user's future or guard.
    Drop(usize),
    TryAcquire(usize),
}

const MANY: usize = 4;

/// A user of the lock.
enum One<'a> {
    Idle,
    Wants(task::Spawn<Acquire<'a>>),
    Holds { _guard: LockGuard<'a> },
}

/// A plain queue: the behavior the lock promises.
#[derive(Default)]
struct Model {
    holder: Option<usize>,
    /// Whether the holder has its guard already.
    is_taken: bool,
    queue: VecDeque<usize>,
}

impl Model {
    fn release(&mut self) {
        self.holder = self.queue.pop_front();
        self.is_taken = false;
    }
}

/// Applies the steps to a lock and to the model, and compares the two after each.
fn compare(steps: &[Step]) {
    let lock = Lock::new();
    let mut all: Vec<One<'_>> = (0..MANY).map(|_| One::Idle).collect();
    let mut model = Model::default();
    for &step in steps {
        match step {
            Step::Poll(who) => {
                if let One::Idle = all[who] {
                    all[who] = One::Wants(acquire(&lock));
                    match model.holder {
                        None => model.holder = Some(who),
                        Some(_) => model.queue.push_back(who),
                    }
                }
                if let One::Wants(wants) = &mut all[who] {
                    let polled = wants.poll();
                    assert_eq!(polled.is_ready(), model.holder == Some(who), "{steps:?}");
                    if let std::task::Poll::Ready(guard) = polled {
                        all[who] = One::Holds { _guard: guard };
                        model.is_taken = true;
                    }
                }
            }
            Step::Drop(who) => {
                all[who] = One::Idle;
                model.queue.retain(|waits| *waits != who);
                if model.holder == Some(who) {
                    model.release();
                }
            }
            Step::TryAcquire(who) => {
                if let One::Idle = all[who] {
                    let guard = lock.try_acquire();
                    assert_eq!(guard.is_some(), model.holder.is_none(), "{steps:?}");
                    if let Some(guard) = guard {
                        all[who] = One::Holds { _guard: guard };
                        (model.holder, model.is_taken) = (Some(who), true);
                    }
                }
            }
        }
        assert_eq!(lock.is_locked(), model.holder.is_some(), "{steps:?}");
        assert_eq!(
            lock.holder().is_some(),
            model.is_taken && model.holder.is_some()
        );
        let handed = usize::from(model.holder.is_some() && !model.is_taken);
        assert_eq!(
            lock.waiters().len(),
            model.queue.len() + handed,
            "{steps:?}"
        );
        // Only the next holder is woken.
        for (who, one) in all.iter().enumerate() {
            if let One::Wants(wants) = one {
                assert_eq!(wants.is_woken(), model.holder == Some(who), "{steps:?}");
            }
        }
    }
}

#[test]
fn short_programs_match_queue() {
    const DEPTH: usize = 7;
    // Three users are enough: a holder, the next holder, and one more in the queue.
    let steps: Vec<Step> = (0..3)
        .flat_map(|who| [Step::Poll(who), Step::Drop(who)])
        .chain([Step::TryAcquire(2)])
        .collect();
    let count = steps.len().pow(u32::try_from(DEPTH).unwrap());
    // The first step is fixed, which keeps the number of programs small.
    for mut number in 0..count / steps.len() {
        let mut program = vec![steps[0]];
        for _ in 1..DEPTH {
            program.push(steps[number % steps.len()]);
            number /= steps.len();
        }
        compare(&program);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..MANY).prop_map(Step::Poll),
        3 => (0..MANY).prop_map(Step::Drop),
        1 => (0..MANY).prop_map(Step::TryAcquire),
    ]
}

proptest! {
    #[test]
    fn random_programs_match_queue(steps in prop::collection::vec(step(), 0..60)) {
        compare(&steps);
    }
}

#[test]
fn handed_on_in_order_across_tasks() {
    in_each_flavor(|| async {
        let (lock, log) = (Arc::new(Lock::new()), Log::new());
        let guard = lock.acquire().await;
        let mut tasks = Vec::new();
        for number in 0..5 {
            let (of_task, log) = (Arc::clone(&lock), log.clone());
            tasks.push(tokio::spawn(async move {
                let _guard = of_task.acquire().await;
                log.push(number);
                yield_now().await;
            }));
            // Spawn the next task only once this one is in the queue.
            until(|| lock.waiters().len() > number).await;
        }
        drop(guard);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
        assert!(!lock.is_locked());
    });
}
