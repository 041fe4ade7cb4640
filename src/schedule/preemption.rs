//! Where the polls of a task yield, in a run that may try each place.
//!
//! A run without a forced yield shows the places of each poll: the operations of tokio in it. Later runs yield
//! at one of them.
//!
//! With plain tokio nobody tells which operation found no budget. The first child or task whose poll was pending counts
//! as the one that yielded.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::schedule::points::{self, Cut};

/// A task or the body by its number, with 0 for the combinator; or a child by its combinator and its index.
pub(crate) type Actor = (u32, usize);

/// How the last poll of an actor was made to yield.
#[derive(Clone, Copy, Debug)]
struct Yielded {
    at: Place,
    /// How many more polls in a row may be made to yield there. With plain tokio all branches of a `join!` yield in
    /// one poll, and `tokio::join!` begins the next one with another branch.
    again: usize,
}

/// At which of its operations an actor was made to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The first of the poll.
    AtFirst,
    /// A later one, before the poll had used any budget.
    Idle,
    /// A later one.
    Later,
}

/// An operation of tokio.
#[derive(Clone, Copy, Debug)]
struct Operation {
    actor: Actor,
    place: Place,
}

/// One poll of a task, and of the children in it.
#[derive(Debug)]
struct TaskPoll {
    /// Counts the polls of the run.
    number: usize,
    /// The position of its decision.
    position: usize,
    decided: u32,
    /// The actors whose polls have begun, the innermost last.
    running: Vec<Actor>,
    /// All actors that it polled.
    polled: FxHashSet<Actor>,
    /// The actors whose polls began before one of them ended.
    descent: Vec<Actor>,
    has_left: bool,
    /// The first actor whose poll was pending, and how often the poll cloned the waker: for each branch that yields.
    first_pending: Option<(Actor, usize)>,
    operations: Vec<Operation>,
    /// `None` until the poll has ended.
    ended: Option<Ended>,
    /// Whether something that it polled was woken after it, before anything else ran: an operation was made
    /// to yield, or yielded by itself.
    is_woken: bool,
}

/// How a poll of a task ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// The units of budget that its operations took.
    pub(crate) used: usize,
    /// Whether none was left.
    pub(crate) is_spent: bool,
    pub(crate) is_pending: bool,
}

/// The forced yields of a run.
#[derive(Debug, Default)]
pub(crate) struct Preemption {
    /// The actors whose last poll was made to yield.
    yielded: FxHashMap<Actor, Yielded>,
    /// The poll that is running, or was the last one.
    poll: Option<TaskPoll>,
    polls: usize,
}

/// What a poll has shown.
#[derive(Debug)]
pub(crate) struct Closed {
    /// The position of its decision.
    pub(crate) position: usize,
    /// The other decisions that are worth trying there, if the same children are polled.
    pub(crate) others: Vec<u32>,
    /// Whether it took the decision. If not, another run is the same.
    pub(crate) is_schedule: bool,
    /// The units of budget it used, whether it was pending, and whether an operation yielded.
    pub(crate) course: (usize, bool, bool),
}

/// Where the decision `decided` makes a poll yield. 0 is a poll without a forced yield.
pub(crate) fn cut(decided: u32) -> Option<Cut> {
    let place = decided.checked_sub(1)? as usize;
    Some(match points::ARE_PRESENT {
        true if place % 2 == 0 => Cut::Before(place / 2),
        true => Cut::Within(place / 2),
        false => Cut::During(place),
    })
}

impl TaskPoll {
    fn used(&self) -> usize {
        self.ended.map_or(0, |ended| ended.used)
    }

    fn is_spent(&self) -> bool {
        self.ended.is_some_and(|ended| ended.is_spent)
    }

    fn is_pending(&self) -> bool {
        self.ended.is_some_and(|ended| ended.is_pending)
    }

    /// Which actor was made to yield, and where.
    fn place_of_cut(&self, before: &FxHashMap<Actor, Yielded>) -> Option<(Actor, Yielded)> {
        let cut = cut(self.decided)?;
        if let Cut::Before(index) | Cut::Within(index) = cut {
            let Operation { actor, place: at } = *self.operations.get(index)?;
            return Some((actor, Yielded { at, again: 0 }));
        }
        let (actor, branches) = self.first_pending.filter(|_| self.is_spent())?;
        let before = before.get(&actor).filter(|_| cut == Cut::During(0));
        let left = before.map_or(branches, |before| before.again);
        let yielded = Yielded {
            at: Place::AtFirst,
            again: left.saturating_sub(1),
        };
        Some((actor, yielded))
    }
}

impl Preemption {
    /// Begins a poll of a task, for which the run has made the decision at a position.
    pub(crate) fn begin(&mut self, position: usize, decided: u32) {
        self.polls += 1;
        self.poll = Some(TaskPoll {
            number: self.polls,
            position,
            decided,
            running: Vec::new(),
            polled: FxHashSet::default(),
            descent: Vec::new(),
            has_left: false,
            first_pending: None,
            operations: Vec::new(),
            ended: None,
            is_woken: false,
        });
    }

    /// Begins the poll of an actor in it, and returns the number of the poll.
    pub(crate) fn enter(&mut self, actor: Actor) -> Option<usize> {
        let poll = self.poll.as_mut()?;
        if !poll.has_left {
            poll.descent.push(actor);
        }
        poll.running.push(actor);
        poll.polled.insert(actor);
        Some(poll.number)
    }

    /// Ends the poll of the innermost actor.
    ///
    /// `pending` is the number of times it cloned its waker, if it was pending.
    pub(crate) fn leave(&mut self, pending: Option<usize>) {
        if let Some(poll) = &mut self.poll {
            let actor = poll.running.pop();
            poll.has_left = true;
            poll.first_pending = poll.first_pending.or(actor.zip(pending));
        }
    }

    /// Notes an operation of the innermost actor. `is_idle` says that the poll has used no budget so far.
    #[cfg_attr(
        not(straggler_instrumented),
        allow(dead_code, reason = "nothing tells of operations")
    )]
    pub(crate) fn note_operation(&mut self, is_idle: bool) {
        let Some(poll) = &mut self.poll else {
            return;
        };
        let Some(&actor) = poll.running.last() else {
            return;
        };
        let is_first = poll.operations.iter().all(|known| known.actor != actor);
        let place = match (is_first, is_idle) {
            (true, _) => Place::AtFirst,
            (false, true) => Place::Idle,
            (false, false) => Place::Later,
        };
        poll.operations.push(Operation { actor, place });
    }

    /// Ends the poll of the task.
    pub(crate) fn end(&mut self, ended: Ended) {
        if let Some(poll) = &mut self.poll {
            poll.ended = Some(ended);
        }
    }

    /// Notes that an actor was woken which the poll with this number polled.
    pub(crate) fn note_wake(&mut self, number: usize) {
        let ended = self.poll.as_mut().filter(|poll| poll.ended.is_some());
        if let Some(poll) = ended.filter(|poll| poll.number == number) {
            poll.is_woken = true;
        }
    }

    /// Closes the last poll before something else runs, or at the end of the run.
    pub(crate) fn close(&mut self, is_end_of_run: bool) -> Option<Closed> {
        let poll = self.poll.take()?;
        let others = match poll.decided {
            0 if points::ARE_PRESENT => self.operations_to_cut(&poll),
            0 => self.units_to_cut(&poll),
            _ => Vec::new(),
        };
        let is_schedule = self.counts(&poll, is_end_of_run);
        let place = poll.place_of_cut(&self.yielded);
        for actor in &poll.polled {
            self.yielded.remove(actor);
        }
        self.yielded.extend(place);
        Some(Closed {
            position: poll.position,
            others,
            is_schedule,
            course: (poll.used(), poll.is_pending(), poll.is_woken),
        })
    }

    /// Whether the poll yielded where it was decided, and may yield there.
    fn counts(&self, poll: &TaskPoll, is_end_of_run: bool) -> bool {
        // An operation that finds no budget wakes its task later. Nobody sees that if the body has ended.
        let may_have_yielded = poll.is_woken || is_end_of_run && !poll.is_pending();
        match cut(poll.decided) {
            None => true,
            Some(Cut::Before(index)) => self.may_yield_at(poll, index),
            Some(Cut::Within(index)) => self.may_yield_at(poll, index) && may_have_yielded,
            Some(Cut::During(0)) if self.has_yielded(poll) => false,
            Some(_) => poll.is_spent() && may_have_yielded,
        }
    }

    /// Whether the first operation of the poll has just been made to yield, and may not be again.
    fn has_yielded(&self, poll: &TaskPoll) -> bool {
        let mut before = poll.descent.iter().map(|actor| self.yielded.get(actor));
        before.any(|before| before.is_some_and(|yielded| yielded.again == 0))
    }

    /// Whether the poll may be made to yield at an operation, if it has that many.
    fn may_yield_at(&self, poll: &TaskPoll, index: usize) -> bool {
        let Some(operation) = poll.operations.get(index) else {
            return false;
        };
        match (operation.place, self.yielded.get(&operation.actor)) {
            (_, None) | (Place::Later, _) => true,
            (Place::AtFirst, Some(_)) => false,
            // Otherwise a branch that waits could let the next one yield for ever.
            (Place::Idle, Some(before)) => before.at != Place::Idle,
        }
    }

    /// The decisions that leave a poll fewer units of budget than it used.
    fn units_to_cut(&self, poll: &TaskPoll) -> Vec<u32> {
        // The operation that it waits for has used nothing, but can yield before it waits.
        let waits = poll.is_pending() && !poll.is_woken;
        let units = poll.used() + usize::from(waits);
        let units = usize::from(self.has_yielded(poll))..units;
        units.map(|left| to_u32(left + 1)).collect()
    }

    /// The decisions that yield before an operation, or in it.
    fn operations_to_cut(&self, poll: &TaskPoll) -> Vec<u32> {
        let mut others = Vec::new();
        for index in 0..poll.operations.len() {
            if !self.may_yield_at(poll, index) {
                continue;
            }
            others.push(to_u32(2 * index + 1));
            // A poll that yields by itself does so in its last operation.
            let is_last = index + 1 == poll.operations.len();
            if !(is_last && poll.is_woken) {
                others.push(to_u32(2 * index + 2));
            }
        }
        others
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
