//! `Lock`: one at a time, in the order in which they came, and released whatever happens.

#![cfg(feature = "tokio")]

mod common;

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::{Gate, Log, in_each_flavor};
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
fn one_holds_it_and_it_is_released_by_drop_and_by_release() {
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
fn those_who_wait_get_it_in_the_order_in_which_they_were_polled_first() {
    let lock = Lock::default();
    let guard = lock.try_acquire();
    let mut waiting: Vec<_> = (0..5).map(|_| acquire(&lock)).collect();
    // Not the order in which they were made.
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
        assert!(lock.try_acquire().is_none(), "nobody overtakes");
        drop(assert_ready!(waiting[index].poll()));
    }
    assert!(!lock.is_locked());
}

#[test]
fn a_waiter_that_is_dropped_gives_up_its_place() {
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
fn a_waiter_that_is_dropped_when_the_lock_was_handed_to_it_hands_it_on() {
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
fn a_future_that_was_never_polled_has_no_place() {
    let lock = Lock::new();
    let made_first = lock.acquire();
    let guard = lock.try_acquire().expect("nobody holds it");
    assert!(lock.waiters().is_empty());
    drop(made_first);
    assert!(lock.is_locked());
    drop(guard);
}

#[test]
fn a_panic_releases_it_and_poisons_nothing() {
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

/// What the code of an article did, which acquired and released by hand: it lost its lock where the
/// look-up failed in between.
#[test]
fn what_fails_between_acquire_and_release_does_not_lose_it() {
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
fn a_future_that_is_dropped_in_the_middle_releases_it() {
    let lock = Lock::new();
    let gate = Gate::default();
    let mut handler = task::spawn(Box::pin(async {
        let _guard = lock.acquire().await;
        gate.clone().await;
    }));
    assert_pending!(handler.poll());
    let mut next = acquire(&lock);
    assert_pending!(next.poll());
    // Its client hangs up.
    drop(handler);
    assert!(next.is_woken());
    drop(assert_ready!(next.poll()));
    assert!(!lock.is_locked());
}

#[test]
fn a_task_that_is_aborted_or_panics_in_the_middle_releases_it() {
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
fn it_names_where_it_is_held_and_waited_for() {
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
        "outside of a check nobody looks at the clock"
    );

    let (waits, line) = (lock.acquire(), line!());
    let mut waits = task::spawn(Box::pin(waits));
    assert!(
        lock.waiters().is_empty(),
        "it does not wait before it was polled"
    );
    assert_pending!(waits.poll());
    assert_pending!(waits.poll());
    let waiters = lock.waiters();
    assert_eq!(waiters.len(), 1);
    assert_eq!(waiters[0].place().line(), line);

    drop(guard);
    assert!(lock.holder().is_none(), "it was handed on, and not taken");
    let guard = assert_ready!(waits.poll());
    assert_eq!(lock.holder().unwrap().place().line(), line);
    assert!(lock.waiters().is_empty());
    assert!(format!("{lock:?} {guard:?}").contains(&format!("lock.rs:{line}:")));
    drop(guard);
    assert!(lock.holder().is_none());
}

#[test]
fn in_a_check_it_knows_since_when() {
    let lock = Lock::new();
    straggler::LeakCheck::new()
        .run(async {
            let guard = lock.acquire().await;
            assert!(lock.holder().unwrap().time().is_some());
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
fn one_whose_budget_is_spent_is_listed_when_it_stands_in_the_queue() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let mut turned_away = 0;
        for spent in 0..=128 {
            let lock = Lock::new();
            let guard = lock.try_acquire();
            let first = lock.acquire();
            let mut first = task::spawn(Box::pin(first));
            let mut second = acquire(&lock);
            // With a budget that is whole again.
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
fn on_many_threads_one_at_a_time_holds_it_and_all_get_it() {
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
                assert_eq!(INSIDE.fetch_add(1, SeqCst), 0, "somebody else is inside");
                // Also while the one before lets go of it.
                for _ in 0..20 {
                    assert!(LOCK.holder().is_some());
                }
                if (number + time).is_multiple_of(3) {
                    yield_now().await;
                }
                INSIDE.fetch_sub(1, SeqCst);
                drop(guard);
                // Some give up, when it may just have been handed to them.
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

/// What a test can do with a lock and a few who want it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Polls who wants it, and makes it want it if it does not.
    Poll(usize),
    /// Drops its future, or its guard.
    Drop(usize),
    TryAcquire(usize),
}

const MANY: usize = 4;

/// Somebody who wants the lock.
enum One<'a> {
    Idle,
    Wants(task::Spawn<Acquire<'a>>),
    Holds { _guard: LockGuard<'a> },
}

/// A queue, which is what the lock promises to be.
#[derive(Default)]
struct Model {
    holder: Option<usize>,
    /// Whether the holder has taken it, or was only handed it.
    is_taken: bool,
    queue: VecDeque<usize>,
}

impl Model {
    fn release(&mut self) {
        self.holder = self.queue.pop_front();
        self.is_taken = false;
    }
}

/// Takes the steps with a lock and with the model, and compares them after each.
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
        // Whoever it was handed to knows, and nobody else.
        for (who, one) in all.iter().enumerate() {
            if let One::Wants(wants) = one {
                assert_eq!(wants.is_woken(), model.holder == Some(who), "{steps:?}");
            }
        }
    }
}

#[test]
fn every_order_of_a_few_steps_is_that_of_a_queue() {
    /// Three who want it suffice for one who holds, one who is handed it, and one behind.
    const DEPTH: usize = 7;
    let steps: Vec<Step> = (0..3)
        .flat_map(|who| [Step::Poll(who), Step::Drop(who)])
        .chain([Step::TryAcquire(2)])
        .collect();
    let count = steps.len().pow(u32::try_from(DEPTH).unwrap());
    // The first may as well be the first.
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
    fn any_number_of_steps_is_that_of_a_queue(steps in prop::collection::vec(step(), 0..60)) {
        compare(&steps);
    }
}

#[test]
fn it_is_handed_on_in_order_across_tasks() {
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
            // The next one is behind it in the queue.
            common::until(|| lock.waiters().len() > number).await;
        }
        drop(guard);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
        assert!(!lock.is_locked());
    });
}
