//! Models of the wake protocol. Loom runs them in every order that its memory model allows.
//!
//! `RUSTFLAGS="--cfg straggler_loom" cargo test -p straggler --lib --release wake_loom`

use std::future::poll_fn;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::wake::WakeQueue;

/// Checks every order with up to three preemptions: with three threads, more takes over a minute.
/// `LOOM_MAX_PREEMPTIONS` sets another bound.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(3));
    model.check(run);
}

/// A waker of child `index`, as its first poll would clone it.
fn waker(queue: &mut WakeQueue, index: u32) -> Waker {
    queue.lend(index, |context| context.waker().clone()).0
}

/// Takes the woken children and polls each of them.
fn poll_woken(queue: &mut WakeQueue) -> Vec<u32> {
    let mut woken = Vec::new();
    queue.take(|index| woken.push(index));
    for index in &woken {
        let ((), woke_itself) = queue.lend(*index, |_| ());
        assert!(!woke_itself);
    }
    woken
}

/// Puts the parent to sleep, as the end of a turn does.
fn go_to_sleep(queue: &mut WakeQueue, context: &mut Context<'_>) {
    if !queue.sleep(context.waker()) {
        context.waker().wake_by_ref();
        // A turn may have to wait until another thread has woken an earlier parent. Loom's wakers
        // count as such, because no two of them are the same.
        thread::yield_now();
    }
}

/// Runs turns until `count` woken children were polled, and returns them. If a wake-up is lost it never
/// ends, and loom reports that.
fn poll_all(queue: &mut WakeQueue, count: usize) -> Vec<u32> {
    let mut polled = Vec::new();
    block_on(poll_fn(|context| {
        polled.extend(poll_woken(queue));
        if polled.len() == count {
            return Poll::Ready(());
        }
        go_to_sleep(queue, context);
        Poll::Pending
    }));
    polled
}

/// A parent that counts its wake-ups outside the model. Its strong count shows a leaked waker.
#[derive(Default)]
struct Parent(StdAtomicUsize);

impl Wake for Parent {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        self.0.fetch_add(1, StdOrdering::SeqCst);
    }
}

#[test]
fn wake_publishes_writes_to_poll() {
    model(|| {
        let mut queue = WakeQueue::new(1);
        let waker = waker(&mut queue, 0);
        let done = Arc::new(AtomicBool::new(false));
        let other = thread::spawn({
            let done = Arc::clone(&done);
            move || {
                done.store(true, Ordering::Relaxed);
                waker.wake();
            }
        });
        assert_eq!(poll_all(&mut queue, 1), [0]);
        assert!(done.load(Ordering::Relaxed));
        other.join().unwrap();
    });
}

#[test]
fn wakes_of_two_threads_both_arrive() {
    model(|| {
        let mut queue = WakeQueue::new(2);
        let others = [0, 1].map(|index| {
            let waker = waker(&mut queue, index);
            thread::spawn(move || waker.wake())
        });
        let mut polled = poll_all(&mut queue, 2);
        polled.sort_unstable();
        assert_eq!(polled, [0, 1]);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn wakes_of_one_child_are_not_lost() {
    model(|| {
        let mut queue = WakeQueue::new(1);
        let done = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let first = waker(&mut queue, 0);
        let others = [(0, first.clone()), (1, first)].map(|(which, waker)| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                done[which].store(true, Ordering::Relaxed);
                waker.wake();
            })
        });
        // Like a child that looks at each poll whether both wakers have done their work.
        block_on(poll_fn(|context| {
            let was_woken = !poll_woken(&mut queue).is_empty();
            if was_woken && done.iter().all(|done| done.load(Ordering::Relaxed)) {
                return Poll::Ready(());
            }
            go_to_sleep(&mut queue, context);
            Poll::Pending
        }));
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn wake_while_child_finishes_is_harmless() {
    model(|| {
        let mut queue = WakeQueue::new(2);
        let wakers = [waker(&mut queue, 0), waker(&mut queue, 1)];
        let other = thread::spawn(move || wakers.map(Waker::wake));
        queue.end(0);
        block_on(poll_fn(|context| {
            let mut woken = Vec::new();
            queue.take(|index| woken.push(index));
            if woken.contains(&1) {
                return Poll::Ready(());
            }
            go_to_sleep(&mut queue, context);
            Poll::Pending
        }));
        queue.end(1);
        assert_eq!(queue.take_order().indices(), [0, 1]);
        other.join().unwrap();
    });
}

#[test]
fn queue_dropped_during_wake_frees_parent() {
    model(|| {
        let parent = StdArc::new(Parent::default());
        let mut queue = WakeQueue::new(2);
        let wakers = [waker(&mut queue, 0), waker(&mut queue, 1)];
        assert!(queue.sleep(&Waker::from(StdArc::clone(&parent))));
        let others = wakers.map(|waker| thread::spawn(move || waker.wake()));
        drop(queue);
        for other in others {
            other.join().unwrap();
        }
        assert!(parent.0.load(StdOrdering::SeqCst) <= 1);
        assert_eq!(StdArc::strong_count(&parent), 1);
    });
}

#[test]
fn parent_changes_while_woken() {
    model(|| {
        let parents = [
            StdArc::new(Parent::default()),
            StdArc::new(Parent::default()),
        ];
        let mut queue = WakeQueue::new(2);
        let [first, second] = [waker(&mut queue, 0), waker(&mut queue, 1)];
        assert!(queue.sleep(&Waker::from(StdArc::clone(&parents[0]))));
        let others = [first, second].map(|waker| thread::spawn(move || waker.wake()));
        let mut woken = poll_woken(&mut queue).len();
        let sleeps = queue.sleep(&Waker::from(StdArc::clone(&parents[1])));
        for other in others {
            other.join().unwrap();
        }
        woken += poll_woken(&mut queue).len();
        assert_eq!(woken, 2);
        // If a parent slept while wake-ups were still to come, one was woken.
        let parents_woken = parents
            .each_ref()
            .map(|parent| parent.0.load(StdOrdering::SeqCst));
        assert!(!sleeps || parents_woken[0] + parents_woken[1] > 0);
        drop(queue);
        assert!(
            parents
                .iter()
                .all(|parent| StdArc::strong_count(parent) == 1)
        );
    });
}

#[test]
fn last_waker_dropped_on_other_thread() {
    model(|| {
        let mut queue = WakeQueue::new(1);
        let first = waker(&mut queue, 0);
        let second = first.clone();
        let other = thread::spawn(move || drop(first));
        let another = thread::spawn(move || drop(second));
        // Cloned from the lent one, while the count may be on its way to zero.
        let third = waker(&mut queue, 0);
        drop(queue);
        drop(third);
        other.join().unwrap();
        another.join().unwrap();
    });
}

#[test]
fn grants_overlap_and_outlive_queue() {
    model(|| {
        let parent = StdArc::new(Parent::default());
        let same = Waker::from(StdArc::clone(&parent));
        let mut queue = WakeQueue::new(2);
        let wakers = [waker(&mut queue, 0), waker(&mut queue, 1)];
        assert!(queue.sleep(&same));
        let others = wakers.map(|waker| thread::spawn(move || waker.wake()));
        poll_woken(&mut queue);
        _ = queue.sleep(&same);
        drop(queue);
        for other in others {
            other.join().unwrap();
        }
        drop(same);
        assert!(parent.0.load(StdOrdering::SeqCst) <= 2);
        assert_eq!(StdArc::strong_count(&parent), 1);
    });
}

#[test]
fn child_wakes_itself_while_woken() {
    model(|| {
        let mut queue = WakeQueue::new(1);
        let done = Arc::new(AtomicBool::new(false));
        let (other, woke_itself) = queue.lend(0, |context| {
            context.waker().wake_by_ref();
            let waker = context.waker().clone();
            let done = Arc::clone(&done);
            thread::spawn(move || {
                done.store(true, Ordering::Relaxed);
                waker.wake();
            })
        });
        assert!(woke_itself);
        // Like the poll that answers this wake-up, and the other one too if it is on the stack by now.
        let mut is_taken = false;
        if queue.is_to_be_taken(0) {
            queue.take(|_| is_taken = true);
        }
        let (done_by_then, woke_itself) = queue.lend(0, |_| done.load(Ordering::Relaxed));
        assert!(!woke_itself);
        assert!(done_by_then || !is_taken);
        if !is_taken {
            assert_eq!(poll_all(&mut queue, 1), [0]);
            assert!(done.load(Ordering::Relaxed));
        }
        other.join().unwrap();
    });
}

#[test]
fn child_waking_itself_twice_is_woken_once() {
    model(|| {
        let mut queue = WakeQueue::new(2);
        let sibling = waker(&mut queue, 1);
        let other = thread::spawn(move || sibling.wake());
        let ((), woke_itself) = queue.lend(0, |context| {
            context.waker().wake_by_ref();
            context.waker().clone().wake();
        });
        // No flag if the sibling was woken first: then the child is on the stack too.
        other.join().unwrap();
        let woken = poll_woken(&mut queue).len() + usize::from(woke_itself);
        assert_eq!(woken, 2);
    });
}

#[test]
fn parent_freed_while_child_waker_stays() {
    model(|| {
        let parent = StdArc::new(Parent::default());
        let mut queue = WakeQueue::new(2);
        let (first, kept) = (waker(&mut queue, 0), waker(&mut queue, 1));
        assert!(queue.sleep(&Waker::from(StdArc::clone(&parent))));
        let other = thread::spawn(move || first.wake());
        drop(queue);
        other.join().unwrap();
        assert_eq!(StdArc::strong_count(&parent), 1);
        drop(kept);
    });
}

#[test]
fn replaced_parent_freed_while_woken() {
    model(|| {
        let parents = [
            StdArc::new(Parent::default()),
            StdArc::new(Parent::default()),
        ];
        let mut queue = WakeQueue::new(2);
        let (first, kept) = (waker(&mut queue, 0), waker(&mut queue, 1));
        assert!(queue.sleep(&Waker::from(StdArc::clone(&parents[0]))));
        let other = thread::spawn(move || first.wake());
        let woken = poll_woken(&mut queue).len();
        let sleeps = queue.sleep(&Waker::from(StdArc::clone(&parents[1])));
        other.join().unwrap();
        if woken == 1 && sleeps {
            assert_eq!(StdArc::strong_count(&parents[0]), 1);
        }
        drop(queue);
        drop(kept);
    });
}

#[test]
fn third_parent_loses_no_wake() {
    model(|| {
        let parents = [(); 3].map(|()| StdArc::new(Parent::default()));
        let waker_of = |nth: usize| Waker::from(StdArc::clone(&parents[nth]));
        let mut queue = WakeQueue::new(2);
        let wakers = [waker(&mut queue, 0), waker(&mut queue, 1)];
        let mut woken = 0;
        let mut others = Vec::new();
        for (nth, waker) in wakers.into_iter().enumerate() {
            // Answers the wake-ups so far. Then it sleeps, because one place is free.
            woken += poll_woken(&mut queue).len();
            if !queue.sleep(&waker_of(nth)) {
                woken += poll_woken(&mut queue).len();
                assert!(queue.sleep(&waker_of(nth)));
            }
            others.push(thread::spawn(move || waker.wake()));
            // Saves a preemption, so that loom reaches the state amid both wake-ups.
            thread::yield_now();
        }
        woken += poll_woken(&mut queue).len();
        let sleeps = queue.sleep(&waker_of(2));
        for other in others {
            other.join().unwrap();
        }
        let late = poll_woken(&mut queue).len();
        assert_eq!(woken + late, 2);
        let woken_last = parents[2].0.load(StdOrdering::SeqCst);
        assert_eq!(woken_last, usize::from(sleeps && late > 0));
        drop(queue);
        assert!(
            parents
                .iter()
                .all(|parent| StdArc::strong_count(parent) == 1)
        );
    });
}

#[test]
fn used_up_waker_frees_block() {
    // Loom reports a block that is not freed.
    model(|| {
        let mut queue = WakeQueue::new(1);
        let (first, second) = (waker(&mut queue, 0), waker(&mut queue, 0));
        let other = thread::spawn(move || first.wake());
        drop(queue);
        second.wake();
        other.join().unwrap();
    });
}

#[test]
fn wake_reaches_parent_asleep_since_turn_began() {
    model(|| {
        let mut queue = WakeQueue::new(2);
        let others = [0, 1].map(|index| {
            let waker = waker(&mut queue, index);
            thread::spawn(move || waker.wake())
        });
        let mut polled = Vec::new();
        block_on(poll_fn(|context| {
            let mut woken = Vec::new();
            queue.take_and_sleep(context.waker(), |index| woken.push(index));
            for index in woken {
                let ((), woke_itself) = queue.lend(index, |_| ());
                assert!(!woke_itself);
                polled.push(index);
            }
            if polled.len() == 2 {
                return Poll::Ready(());
            }
            go_to_sleep(&mut queue, context);
            Poll::Pending
        }));
        polled.sort_unstable();
        assert_eq!(polled, [0, 1]);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn queue_dropped_after_taking_used_up_wakers() {
    model(|| {
        let mut queue = WakeQueue::new(2);
        let (first, second) = (waker(&mut queue, 0), waker(&mut queue, 1));
        // No parent sleeps, so both wakers are handed over.
        let others = [first, second].map(|waker| thread::spawn(move || waker.wake()));
        poll_woken(&mut queue);
        drop(queue);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn handed_over_waker_not_held_after_take() {
    model(|| {
        let mut queue = WakeQueue::new(1);
        let (first, second) = (waker(&mut queue, 0), waker(&mut queue, 0));
        let other = thread::spawn(move || second.wake());
        first.wake();
        other.join().unwrap();
        assert_eq!(poll_woken(&mut queue), [0]);
        assert!(!queue.is_held(0));
    });
}

#[test]
fn clones_of_a_poll_are_counted_beside_drops() {
    model(|| {
        let mut queue = WakeQueue::new(1);
        let first = waker(&mut queue, 0);
        let (others, _) = queue.lend(0, |context| {
            let [second, third] = [(); 2].map(|()| context.waker().clone());
            [
                thread::spawn(move || drop((first, second))),
                thread::spawn(move || drop(third.clone())),
            ]
        });
        let kept = waker(&mut queue, 0);
        assert!(queue.is_held(0));
        drop(kept);
        for other in others {
            other.join().unwrap();
        }
        assert!(!queue.is_held(0));
    });
}

#[test]
fn clones_of_a_poll_outlive_queue() {
    // Loom reports a block that is not freed, or freed too early.
    model(|| {
        let mut queue = WakeQueue::new(1);
        let first = waker(&mut queue, 0);
        let (second, _) = queue.lend(0, |context| context.waker().clone());
        let others = [first, second].map(|waker| thread::spawn(move || drop(waker.clone())));
        drop(queue);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn queue_dropped_while_wakers_of_a_child_end() {
    // Loom reports a block that is not freed, or freed too early.
    model(|| {
        let parent = StdArc::new(Parent::default());
        let mut queue = WakeQueue::new(2);
        let (first, kept) = (waker(&mut queue, 0), waker(&mut queue, 1));
        let also_kept = first.clone();
        assert!(queue.sleep(&Waker::from(StdArc::clone(&parent))));
        let others = [
            thread::spawn(move || first.wake()),
            thread::spawn(move || drop((kept, also_kept))),
        ];
        poll_woken(&mut queue);
        drop(queue);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(StdArc::strong_count(&parent), 1);
    });
}
