//! Tests of single turns and steps, with a schedule of a given number of polls.

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use super::slots::Note;
use super::{Children, List, Schedule, Slot, Slots, Turn, Visit};

/// Slots that count how often they are visited.
struct Counted<F: Future> {
    list: List<F>,
    visits: Cell<usize>,
}

impl<F: Future> Counted<F> {
    fn visited(self: Pin<&mut Self>) -> Pin<&mut List<F>> {
        self.visits.set(self.visits.get() + 1);
        Pin::new(&mut self.get_mut().list)
    }
}

impl<F: Future> Slots for Counted<F> {
    type Slot<'a>
        = Slot<F>
    where
        F: 'a;

    fn count(&self) -> usize {
        self.list.count()
    }

    fn slot_mut(self: Pin<&mut Self>, index: usize) -> Pin<&mut Slot<F>> {
        self.visited().slot_mut(index)
    }

    fn visit<V: Visit>(self: Pin<&mut Self>, index: usize, visit: V) -> V::Output {
        self.visited().visit(index, visit)
    }

    fn note(&self, index: usize) -> &Note {
        self.visits.set(self.visits.get() + 1);
        self.list.note(index)
    }

    fn note_mut(self: Pin<&mut Self>, index: usize) -> &mut Note {
        self.visited().note_mut(index)
    }
}

/// A schedule of this many polls.
struct AtMost(u32);

impl Schedule for AtMost {
    fn should_continue(&mut self, _: bool) -> bool {
        self.0 -= 1;
        self.0 > 0
    }
}

/// How often 100 steps of this many children, all ready, visit a slot.
fn visits_of_steps(children: usize) -> usize {
    let ready = || {
        poll_fn(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    };
    let slots = Counted {
        list: List::collect((0..children).map(|_| ready())),
        visits: Cell::new(0),
    };
    let mut children = pin!(Children::new(slots));
    let context = &mut Context::from_waker(Waker::noop());
    let visits = [1, 100].map(|steps| {
        for _ in 0..steps {
            let middle = |ready: &[u32]| ready.len() / 2;
            let turn = children.as_mut().step(context, middle, &mut AtMost(1));
            assert_eq!(turn, Turn::Paused);
        }
        children.as_mut().slots_mut().visits.take()
    });
    // The first one starts all of them.
    visits[1]
}

#[test]
fn step_visits_no_child_that_keeps_waiting() {
    assert_eq!(visits_of_steps(1_000), visits_of_steps(10));
}

#[test]
fn turn_polls_children_that_no_step_chose() {
    let polled = RefCell::new(Vec::new());
    let child = |index: usize| {
        let polled = &polled;
        poll_fn(move |context| {
            polled.borrow_mut().push(index);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    };
    let mut children = pin!(Children::new(List::collect((0..4).map(child))));
    let context = &mut Context::from_waker(Waker::noop());
    for chosen in [2, 0] {
        _ = children.as_mut().step(context, |_| chosen, &mut AtMost(1));
    }
    assert_eq!(
        children.as_mut().turn(context, &mut AtMost(9)),
        Turn::Waiting
    );
    assert_eq!(polled.take(), [2, 0, 1, 3, 2]);
}

#[test]
fn panic_ends_turn_as_schedule_decides() {
    let polls = Cell::new(0);
    let child = |_| async {
        polls.set(polls.get() + 1);
        panic!("on purpose");
    };
    let mut children = pin!(Children::<List<_>>::new(List::collect((0..3).map(child))));
    children.as_mut().get_mut().catch_panics();
    let context = &mut Context::from_waker(Waker::noop());
    for turns in 1..=2 {
        let turn = children.as_mut().turn(context, &mut AtMost(1));
        assert_eq!((turn, polls.get()), (Turn::Paused, turns));
    }
    let turn = children.as_mut().turn(context, &mut AtMost(9));
    assert_eq!((turn, polls.get()), (Turn::Settled, 3));
}

/// Counts how often it was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn paused_turn_wakes_parent_for_next_child() {
    let mut children = Children::new(List::collect((0..3).map(ready)));
    children.limit(1);
    let mut children = pin!(children);
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&count));
    let context = &mut Context::from_waker(&waker);
    // The child has finished, so the next one may start.
    let turn = children.as_mut().turn(context, &mut AtMost(1));
    assert_eq!((turn, count.0.load(Relaxed)), (Turn::Paused, 1));
    let turn = children.as_mut().turn(context, &mut AtMost(9));
    assert_eq!(turn, Turn::Settled);
}

#[test]
fn waiting_child_not_polled_for_wake_of_another() {
    let polls = [const { Cell::new(0) }; 3];
    let child = |index: usize| {
        let polls = &polls;
        poll_fn(move |context| {
            polls[index].set(polls[index].get() + 1);
            if index == 0 {
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        })
    };
    let mut children = pin!(Children::new(List::collect((0..3).map(child))));
    let context = &mut Context::from_waker(Waker::noop());
    for _ in 0..2 {
        let turn = children.as_mut().turn(context, &mut AtMost(9));
        assert_eq!(turn, Turn::Waiting);
    }
    assert_eq!(polls.each_ref().map(Cell::get), [2, 1, 1]);
}
