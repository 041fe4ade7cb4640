//! How much one poll of a combinator does.

use std::panic::Location;
use std::pin::Pin;
use std::task::Context;
#[cfg(feature = "tokio")]
use std::task::Poll;

#[cfg(feature = "tokio")]
use crate::children::Slot;
use crate::children::{Children, Schedule, Slots, Turn};
use crate::join::names::Names;
#[cfg(feature = "tokio")]
use crate::join::step::step;
#[cfg(feature = "tokio")]
use crate::schedule::steering;
#[cfg(feature = "tokio")]
use crate::trace::place::Place;
#[cfg(feature = "tokio")]
use crate::trace::waker;

/// How many children one poll of a combinator polls at the most. It is as many operations as
/// tokio lets a task do before the task has to yield (`Budget::initial` in tokio's `task::coop`).
const CHILDREN_PER_POLL: u32 = 128;

/// Polls the children of a combinator as far as its executor's patience goes.
///
/// Where the run of this thread is explored that is one of them, which the run chooses.
/// Where somebody traces what the combinator waits for, every child that is pending is polled, and
/// traced by its name; `place` is that of the combinator, if it is known.
#[inline]
pub(crate) fn turn<S: Slots>(
    children: Pin<&mut Children<S>>,
    context: &mut Context<'_>,
    names: &Names,
    place: Option<&'static Location<'static>>,
) -> Turn {
    #[cfg(feature = "tokio")]
    if steering::is_on() {
        return step(children, context, names);
    }
    #[cfg(feature = "tokio")]
    if waker::is_on() {
        return Traced::turn(children, context, names, place);
    }
    let _ = (names, place);
    children.turn(context, &mut FairShare::default())
}

/// Leaves the executor its share: a turn ends after [`CHILDREN_PER_POLL`] children, or when tokio's
/// cooperative budget is spent.
///
/// Without a budget every tokio operation of the children that follow would be refused, and those
/// would be queued behind the one that spent it, turn after turn.
struct FairShare {
    polls_left: u32,
    /// Whether the last child has ended. If it spent the budget, the next one is refused, once.
    has_ended: bool,
}

impl Default for FairShare {
    fn default() -> Self {
        Self {
            polls_left: CHILDREN_PER_POLL,
            // None has spent the budget yet: without any left the first one is refused.
            has_ended: true,
        }
    }
}

impl Schedule for FairShare {
    #[inline]
    fn should_continue(&self) -> bool {
        self.polls_left > 0 && (self.has_ended || has_budget_remaining())
    }

    #[inline]
    fn polled(&mut self, has_ended: bool) {
        self.polls_left -= 1;
        self.has_ended = has_ended;
    }
}

#[cfg(feature = "tokio")]
fn has_budget_remaining() -> bool {
    tokio::task::coop::has_budget_remaining()
}

#[cfg(not(feature = "tokio"))]
fn has_budget_remaining() -> bool {
    true
}

/// Traces where each child waits: all of them in one turn, since there is only one.
#[cfg(feature = "tokio")]
struct Traced<'a> {
    names: &'a Names,
    place: Option<&'static Location<'static>>,
}

#[cfg(feature = "tokio")]
impl<'a> Traced<'a> {
    #[cold]
    fn turn<S: Slots>(
        mut children: Pin<&mut Children<S>>,
        context: &mut Context<'_>,
        names: &'a Names,
        place: Option<&'static Location<'static>>,
    ) -> Turn {
        children.as_mut().wake_pending();
        let mut traced = Self { names, place };
        // The combinator itself waits for its children, which the trace shows.
        waker::muted(|| children.turn(context, &mut traced))
    }
}

#[cfg(feature = "tokio")]
impl Schedule for Traced<'_> {
    fn should_continue(&self) -> bool {
        true
    }

    fn poll<F: Future>(
        &mut self,
        index: usize,
        slot: Pin<&mut Slot<F>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let label = || match self.place {
            Some(place) => format!(
                "{} of the join at {}",
                self.names.label(index),
                Place::from(place)
            ),
            None => self.names.label(index).to_string(),
        };
        waker::child(label, context, |context| slot.poll(context))
    }

    fn polled(&mut self, _: bool) {}
}
