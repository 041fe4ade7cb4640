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

/// How many children one poll of a combinator polls at most.
///
/// It equals tokio's own budget: the number of operations after which a task has to yield
/// (`Budget::initial` in tokio's `task::coop`).
const CHILDREN_PER_POLL: u32 = 128;

/// Makes one turn of a combinator: polls its woken children, within the executor's fair share.
///
/// In an explored run it polls only the child that the run chooses. While somebody traces what the
/// combinator waits for, it polls every pending child and traces it by its label; `place` is where the
/// combinator was created, if known.
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

/// Ends a turn after [`CHILDREN_PER_POLL`] children, or when tokio's cooperative budget is used up.
///
/// With the budget used up, tokio would refuse every operation of the children that follow. They would
/// line up again behind the child that used it up, turn after turn.
struct FairShare {
    polls_left: u32,
}

impl Default for FairShare {
    fn default() -> Self {
        Self {
            polls_left: CHILDREN_PER_POLL,
        }
    }
}

impl Schedule for FairShare {
    #[inline]
    fn should_continue(&mut self, has_ended: bool) -> bool {
        self.polls_left -= 1;
        // A finished child cannot use up the budget again, so the turn continues: at worst tokio refuses
        // the next child once.
        self.polls_left > 0 && (has_ended || has_budget_remaining())
    }
}

#[cfg(feature = "tokio")]
#[inline]
fn has_budget_remaining() -> bool {
    tokio::task::coop::has_budget_remaining()
}

#[cfg(not(feature = "tokio"))]
#[inline]
fn has_budget_remaining() -> bool {
    true
}

/// Traces where each child waits. It polls all of them in one turn, because a trace gets only one.
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
        // The trace shows the children, so the combinator itself stays out of it.
        waker::muted(|| children.turn(context, &mut traced))
    }
}

#[cfg(feature = "tokio")]
impl Schedule for Traced<'_> {
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

    fn should_continue(&mut self, _: bool) -> bool {
        true
    }
}
