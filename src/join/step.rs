//! One step of a combinator in a run that is explored: one of its children is polled.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::children::{Children, Schedule, Slot, Slots, Turn};
use crate::join::names::Names;
use crate::schedule::recorder::Recorder;
use crate::schedule::steering::{self, Run};
use crate::trace::waker;

/// Polls one child, which the run chooses among those that could be polled.
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
        let choose = |run: &mut Run| run.decisions.choose(combinator, ready);
        let at = steering::with_run(choose).unwrap_or(0);
        chosen = Some(ready[at] as usize);
        at
    };
    let is_done = false;
    // That the combinator itself waits for its children, or yields between them, is not to be told of
    // what polls it; of the children each has a trace of its own.
    let turn = waker::muted(|| {
        let mut one = Step {
            names,
            combinator,
            is_done,
        };
        children.as_mut().step(context, choose, &mut one)
    });
    if let Some(chosen) = chosen {
        let is_pending = children.is_pending(chosen);
        steering::with_run(|run| run.note_polled(combinator, chosen, is_pending));
    }
    turn
}

/// A turn of a single poll.
struct Step<'a> {
    names: &'a Names,
    combinator: u32,
    is_done: bool,
}

impl Schedule for Step<'_> {
    fn should_continue(&self) -> bool {
        !self.is_done
    }

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
        steering::record_poll(actor, context, |context| slot.poll(context))
    }

    fn polled(&mut self, _: bool) {
        self.is_done = true;
    }
}
