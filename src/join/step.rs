//! One step of a combinator in an explored run: it polls one child.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::children::{Children, Schedule, Slot, Slots, Turn};
use crate::join::names::Names;
use crate::schedule::points;
use crate::schedule::recorder::Recorder;
use crate::schedule::steering::{self, Run};
use crate::schedule::tree;
use crate::trace::waker;

/// Polls the child that the run chooses among the children that can make progress.
#[cold]
pub(crate) fn step<S: Slots>(
    mut children: Pin<&mut Children<S>>,
    context: &mut Context<'_>,
    names: &Names,
) -> Turn {
    let combinator = children.as_mut().number(steering::next_combinator);
    steering::note_turn();
    let mut chosen = None;
    let choose = |ready: &[u32]| {
        let choose = |run: &mut Run| run.choose(combinator, ready);
        let at = steering::with_run(choose).unwrap_or(0);
        chosen = Some(ready[at] as usize);
        at
    };
    // The task or child that polls the combinator must not record a wait or yield between children:
    // each child has its own trace.
    let turn = waker::muted(|| {
        let mut one = Step { names, combinator };
        children.as_mut().step(context, choose, &mut one)
    });
    if let Some(chosen) = chosen {
        let is_pending = children.is_pending(chosen);
        steering::with_run(|run| run.note_polled(combinator, chosen, is_pending));
    }
    turn
}

/// The schedule of a turn of one poll.
struct Step<'a> {
    names: &'a Names,
    combinator: u32,
}

impl Schedule for Step<'_> {
    fn poll<F: Future>(
        &mut self,
        index: usize,
        slot: Pin<&mut Slot<F>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let actor = |recorder: &Recorder| {
            let label = format!("child {}", self.names.label(index));
            recorder.child(label, self.combinator)
        };
        let poll = |context: &mut Context<'_>| {
            tree::actor((self.combinator, index), context, |context| {
                points::scheduled(context, |context| slot.poll(context))
            })
        };
        steering::record_poll(actor, context, poll)
    }

    fn should_continue(&mut self, _: bool) -> bool {
        false
    }
}
