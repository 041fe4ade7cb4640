//! When a join wakes its parent, how often, and that it survives wakers that misbehave.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::common::{Gate, Log, Tracked, Wakes, message, poll_with};
use straggler::future::SettleAll;
use straggler::{settle, settle_all};

fn counting() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (Arc::clone(&wakes), wakes.into())
}

#[test]
fn batch_of_wakes_wakes_parent_once() {
    let (parent, waker) = counting();
    let gates = Gate::many(100);
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &waker).is_pending());
    assert_eq!(parent.count(), 0);

    gates[..50].iter().for_each(Gate::open);
    assert_eq!(parent.count(), 1);
    assert!(poll_with(&mut settling, &waker).is_pending());
    gates[50..].iter().for_each(Gate::open);
    assert_eq!(parent.count(), 2);
    assert!(poll_with(&mut settling, &waker).is_ready());
    assert_eq!(parent.count(), 2);
}

/// Keeps its waker, panics in its second poll, and wakes itself in its drop.
struct WokenInDrop(Arc<Mutex<Option<Waker>>>);

impl Future for WokenInDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let before = self.0.lock().unwrap().replace(context.waker().clone());
        assert!(before.is_none(), "polled again");
        Poll::Pending
    }
}

impl Drop for WokenInDrop {
    fn drop(&mut self) {
        let waker = self.0.lock().map(|waker| waker.clone());
        waker.unwrap().unwrap().wake();
    }
}

/// The random programs of `join_model.rs` found this bug.
#[test]
fn wake_in_drop_after_panic_wakes_no_parent() {
    let (parent, waker) = counting();
    let kept = Arc::default();
    let futures: [Pin<Box<dyn Future<Output = ()>>>; 2] = [
        Box::pin(WokenInDrop(Arc::clone(&kept))),
        Box::pin(std::future::pending()),
    ];
    let mut settling = settle_all(futures);
    assert!(poll_with(&mut settling, &waker).is_pending());
    let woken = kept.lock().unwrap().clone();
    woken.unwrap().wake();
    assert_eq!(parent.count(), 1);
    assert!(poll_with(&mut settling, &waker).is_pending());
    assert_eq!(parent.count(), 1, "woken for a future that had panicked");
    drop(catch_unwind(AssertUnwindSafe(|| drop(settling))));
}

#[test]
fn only_last_waker_is_woken() {
    let parents = [(); 3].map(|()| counting());
    let gates = Gate::many(2);
    let mut settling = settle_all(gates.clone());
    for (_, waker) in &parents {
        assert!(poll_with(&mut settling, waker).is_pending());
    }
    gates[0].open();
    assert_eq!(
        parents.each_ref().map(|(parent, _)| parent.count()),
        [0, 0, 1]
    );

    // Also if an earlier parent polls again while nothing is woken.
    assert!(poll_with(&mut settling, &parents[0].1).is_pending());
    assert!(poll_with(&mut settling, &parents[1].1).is_pending());
    gates[1].open();
    assert_eq!(
        parents.each_ref().map(|(parent, _)| parent.count()),
        [0, 1, 1]
    );
    assert!(poll_with(&mut settling, &parents[1].1).is_ready());
}

#[test]
fn replaced_waker_is_dropped() {
    let (first, second) = (counting(), counting());
    let mut settling = settle_all(Gate::many(1));
    assert!(poll_with(&mut settling, &first.1).is_pending());
    assert!(poll_with(&mut settling, &second.1).is_pending());
    assert_eq!(
        Arc::strong_count(&first.0),
        2,
        "the test's own handle and waker"
    );
}

#[test]
fn unchanged_waker_is_cloned_once() {
    /// Logs its number of owners on every wake-up.
    struct Owners(Log<usize>);

    impl Wake for Owners {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            self.0.push(Arc::strong_count(self));
        }
    }

    let owners = Arc::new(Owners(Log::new()));
    let waker = Waker::from(Arc::clone(&owners));
    let gates = Gate::many(10);
    let mut settling = settle_all(gates.clone().into_iter().map(|gate| async {
        gate.await;
        // There must be no further clone during a poll either.
        Arc::strong_count(&owners)
    }));
    assert!(poll_with(&mut settling, &waker).is_pending());
    for gate in &gates[..9] {
        gate.open();
        assert!(poll_with(&mut settling, &waker).is_pending());
    }
    gates[9].open();
    let Poll::Ready(inside) = poll_with(&mut settling, &waker) else {
        panic!("all are open");
    };
    // The test's `Arc`, the test's waker, and the join's one clone, by which it wakes the parent.
    assert_eq!(inside.into_vec(), [3; 10]);
    assert_eq!(owners.0.take(), [3; 10]);
}

#[test]
fn thousands_of_ready_futures_polled_128_per_turn() {
    let (parent, waker) = counting();
    let gates = Gate::many(1000);
    gates.iter().for_each(Gate::open);
    let mut settling = settle_all(gates.clone());
    for turn in 1..=7 {
        assert!(poll_with(&mut settling, &waker).is_pending());
        assert_eq!(parent.count(), turn, "the join asks for the next turn");
        let polled = gates.iter().filter(|gate| gate.polls() == 1).count();
        assert_eq!(polled, turn * 128);
    }
    assert!(poll_with(&mut settling, &waker).is_ready());
    assert_eq!(parent.count(), 7);
}

#[test]
fn wakes_of_ended_futures_cost_no_turn() {
    let (parent, waker) = counting();
    // Each wakes itself in its first poll and again, to no effect, in its second and last.
    let mut settling = settle_all((0..1000).map(|_| {
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }));
    let turns = (1..100).find(|_| poll_with(&mut settling, &waker).is_ready());
    assert_eq!(turns, Some(16), "two polls of 1000 futures, 128 a turn");
    assert!(parent.count() >= 15);
}

#[test]
fn exactly_128_ready_futures_take_one_turn() {
    let (parent, waker) = counting();
    let mut settling = settle_all((0..128).map(std::future::ready));
    assert!(poll_with(&mut settling, &waker).is_ready());
    assert_eq!(parent.count(), 0);
}

/// A waker that calls a closure on every wake-up.
struct OnWake<F>(F);

impl<F: Fn() + Send + Sync + 'static> OnWake<F> {
    fn waker(reaction: F) -> Waker {
        Waker::from(Arc::new(Self(reaction)))
    }
}

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn panicking_wake_leaves_join_usable() {
    let broken = OnWake::waker(|| panic!("broken executor"));
    let gates = Gate::many(3);
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &broken).is_pending());
    let panicked = catch_unwind(AssertUnwindSafe(|| gates[1].open()));
    assert_eq!(message(panicked), "broken executor");

    let (parent, waker) = counting();
    assert!(poll_with(&mut settling, &waker).is_pending());
    assert_eq!(gates[1].polls(), 2, "the wake-up was not lost");
    gates[0].open();
    gates[2].open();
    assert_eq!(parent.count(), 1);
    let Poll::Ready(settled) = poll_with(&mut settling, &waker) else {
        panic!("all are open");
    };
    assert_eq!(settled.completion_order(), [1, 0, 2]);
}

#[test]
fn woken_parent_may_wake_siblings() {
    let gates = Gate::many(3);
    let all = gates.clone();
    let waker = OnWake::waker(move || all.iter().for_each(Gate::open));
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &waker).is_pending());
    gates[2].open();
    let Poll::Ready(settled) = poll_with(&mut settling, &waker) else {
        panic!("all are open");
    };
    assert_eq!(settled.completion_order(), [2, 0, 1]);
}

#[test]
fn woken_parent_may_drop_join() {
    let drops = Log::new();
    let gates = Gate::many(2);
    let futures = gates.iter().cloned().enumerate();
    let owners = futures.map(|(index, gate)| Tracked::new(index, &drops).owned_by(gate));
    let shared = Arc::new(Mutex::new(Some(settle_all(owners))));

    let to_drop = Arc::clone(&shared);
    let waker = OnWake::waker(move || {
        let settling = to_drop.lock().unwrap().take();
        drop(settling);
    });
    let polled = poll_with(shared.lock().unwrap().as_mut().unwrap(), &waker);
    assert!(polled.is_pending());
    gates[1].open();
    assert_eq!(drops.take(), [0, 1]);
    gates[0].open();
}

#[test]
fn woken_parent_may_poll_with_other_waker() {
    let gates = Gate::many(2);
    let shared = Arc::new(Mutex::new(settle_all(gates.clone())));
    let polls = Arc::new(AtomicUsize::new(0));

    let (to_poll, counted) = (Arc::clone(&shared), Arc::clone(&polls));
    let inline = OnWake::waker(move || {
        // Like an executor that polls a woken task inline for as long as it wakes itself.
        let (woken, waker) = counting();
        for before in 0..100 {
            counted.fetch_add(1, Ordering::SeqCst);
            let polled = poll_with(&mut *to_poll.lock().unwrap(), &waker);
            if polled.is_ready() || woken.count() == before {
                break;
            }
        }
    });
    assert!(poll_with(&mut *shared.lock().unwrap(), &inline).is_pending());
    drop(inline);
    gates[1].open();
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    assert_eq!(gates[1].polls(), 2);
    assert_eq!(
        Arc::strong_count(&shared),
        1,
        "the join drops the waker after waking it"
    );
}

#[test]
fn dropped_parent_waker_may_wake_siblings() {
    struct WakesOnDrop(Gate);

    impl Wake for WakesOnDrop {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for WakesOnDrop {
        fn drop(&mut self) {
            self.0.open();
        }
    }

    let gates = Gate::many(2);
    let mut settling = settle_all(gates.clone());
    let first = Waker::from(Arc::new(WakesOnDrop(gates[1].clone())));
    assert!(poll_with(&mut settling, &first).is_pending());
    drop(first);

    // This poll replaces the first parent's waker, and so drops it.
    let second = Waker::from(Arc::new(WakesOnDrop(gates[0].clone())));
    assert!(poll_with(&mut settling, &second).is_pending());
    assert!(poll_with(&mut settling, &second).is_pending());
    assert_eq!(gates[1].polls(), 2);
    drop(second);
    // Dropping the join drops the second one.
    drop(settling);
    assert_eq!(gates[0].polls(), 1);
}

#[test]
fn join_may_move_between_polls() {
    let (_, waker) = counting();
    let gates = Gate::many(2);
    let mut settling = settle_all(gates.clone().into_iter().map(|gate| async move {
        let on_this_stack = [1, 2, 3];
        let borrowed = &on_this_stack;
        gate.await;
        borrowed.len()
    }));
    assert!(poll_with(&mut settling, &waker).is_pending());
    let mut moved: Pin<Box<SettleAll<_>>> = Box::pin(settling);
    gates.iter().for_each(Gate::open);
    let Poll::Ready(settled) = poll_with(&mut moved, &waker) else {
        panic!("all are open");
    };
    assert_eq!(settled.into_vec(), [3, 3]);
}

#[test]
fn parent_waker_released_after_dropping_join() {
    let gates = Gate::many(2);
    let shared = Arc::new(Mutex::new(Some(settle_all(gates.clone()))));
    let to_drop = Arc::clone(&shared);
    let parent = Arc::new(OnWake(move || drop(to_drop.lock().unwrap().take())));
    let waker = Waker::from(Arc::clone(&parent));
    assert!(poll_with(shared.lock().unwrap().as_mut().unwrap(), &waker).is_pending());
    drop(waker);
    gates[1].open();
    assert_eq!(
        Arc::strong_count(&parent),
        1,
        "released although wakers of the children remain"
    );
}

#[test]
fn third_parent_is_not_woken_spuriously() {
    let gates = Gate::many(3);
    let shared = Arc::new(Mutex::new(settle_all(gates.clone())));
    let (last, last_waker) = counting();
    let to_poll = Arc::clone(&shared);
    let inner = OnWake::waker(move || {
        assert!(poll_with(&mut *to_poll.lock().unwrap(), &last_waker).is_pending());
    });
    let (to_poll, second) = (Arc::clone(&shared), gates[1].clone());
    let outer = OnWake::waker(move || {
        assert!(poll_with(&mut *to_poll.lock().unwrap(), &inner).is_pending());
        second.open();
    });
    assert!(poll_with(&mut *shared.lock().unwrap(), &outer).is_pending());
    gates[0].open();
    assert_eq!(last.count(), 0, "woken although nothing is ready");
    gates[2].open();
    assert_eq!(last.count(), 1);
}

#[test]
fn panicking_wake_releases_waker() {
    let broken = Arc::new(OnWake(|| panic!("broken executor")));
    let gates = Gate::many(2);
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &Arc::clone(&broken).into()).is_pending());
    let panicked = catch_unwind(AssertUnwindSafe(|| gates[0].open()));
    assert_eq!(message(panicked), "broken executor");

    assert!(poll_with(&mut settling, &counting().1).is_pending());
    assert_eq!(Arc::strong_count(&broken), 1);
}

#[test]
fn dropped_join_wakes_nobody() {
    /// Wakes another future on drop.
    struct Opens(Gate);

    impl Drop for Opens {
        fn drop(&mut self) {
            self.0.open();
        }
    }

    // Each future opens the next one's gate.
    let futures = |gates: &[Gate]| {
        let next = gates.iter().cycle().skip(1).cloned().map(Opens);
        let futures = gates.iter().cloned().zip(next);
        futures
            .map(|(gate, next)| async move {
                gate.await;
                drop(next);
            })
            .collect::<Vec<_>>()
    };

    let (parent, waker) = counting();
    let gates = Gate::many(3);
    let mut settling = settle_all(futures(&gates));
    assert!(poll_with(&mut settling, &waker).is_pending());
    drop(settling);
    assert_eq!(parent.count(), 0, "dropped half-way");

    let gates = Gate::many(3);
    let give_up = Gate::default();
    let mut settling = Box::pin(settle_all(futures(&gates)).deadline(give_up.clone()));
    assert!(poll_with(&mut settling, &waker).is_pending());
    give_up.open();
    assert_eq!(parent.count(), 1);
    assert!(poll_with(&mut settling, &waker).is_ready());
    assert_eq!(parent.count(), 1, "given up");

    let gates = Gate::many(2);
    let [first, second] =
        [0, 1].map(|index| (gates[index].clone(), Opens(gates[1 - index].clone())));
    let child = |(gate, next): (Gate, Opens)| async move {
        gate.await;
        drop(next);
    };
    let mut settling = Box::pin(async { settle!(child(first), child(second)) });
    assert!(poll_with(&mut settling, &waker).is_pending());
    drop(settling);
    assert_eq!(parent.count(), 1, "a macro, dropped half-way");
}

#[test]
fn panicking_waker_drop_keeps_child_wakers_usable() {
    struct PanicsOnDrop;

    impl Wake for PanicsOnDrop {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    let gates = Gate::many(2);
    let parent = Waker::from(Arc::new(PanicsOnDrop));
    let mut settling = settle_all(gates.clone());
    assert!(poll_with(&mut settling, &parent).is_pending());
    drop(parent);
    // Dropping the join drops the last clone of the parent's waker.
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(settling)));
    assert_eq!(message(panicked), "dropped");
    // For the address sanitizer: the wakers still point to live memory.
    gates.iter().for_each(Gate::open);
    drop(gates[0].waker());
}
