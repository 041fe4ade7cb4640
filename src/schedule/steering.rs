//! The run that this thread explores: what is asked before each poll of a task, and at each step of a
//! combinator, while its body runs.
//!
//! A combinator polls one child a poll while it is steered, and its task squeezes the budget before: so
//! the budget of a task is that of one child.

use std::cell::RefCell;
use std::mem;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::task::yield_now;

use crate::schedule::budget;
use crate::schedule::decisions::Decisions;
use crate::schedule::recorder::{Action, Actor, Recorder};
use crate::schedule::strategy;
use crate::trace::waker;

/// A run that is followed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) decisions: Decisions,
    /// What happened, if that is to be told. It takes long.
    pub(crate) told: Option<Recorder>,
    /// Whether two children of one combinator, or two tasks, were ever in flight at once.
    pub(crate) has_overlap: bool,
    /// The children of each combinator, by its number, that were polled and have not ended; and the
    /// tasks, as if they were those of number 0.
    in_flight: FxHashMap<u32, FxHashSet<usize>>,
    /// The checkpoint at which the poll that is made was made to yield.
    stopped_at: Option<&'static str>,
    /// How many combinators were polled so far.
    combinators: u32,
    /// How often one of them was.
    turns: u64,
    /// Whether nothing is steered for now.
    is_suspended: bool,
    /// Whether the body has ended, and so nothing is steered any more.
    has_ended: bool,
}

impl Run {
    pub(crate) fn new(decisions: Decisions, tells: bool) -> Self {
        Self {
            decisions,
            told: tells.then(Recorder::default),
            has_overlap: false,
            in_flight: FxHashMap::default(),
            stopped_at: None,
            combinators: 0,
            turns: 0,
            is_suspended: false,
            has_ended: false,
        }
    }

    /// Notes that a child of a combinator, or a task, was polled.
    pub(crate) fn note_polled(&mut self, combinator: u32, index: usize, is_pending: bool) {
        let in_flight = self.in_flight.entry(combinator).or_default();
        in_flight.remove(&index);
        self.has_overlap |= !in_flight.is_empty();
        if is_pending {
            in_flight.insert(index);
        }
    }
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// What stands for the tasks among the combinators, which have numbers from 1 on.
const TASKS: u32 = 0;

/// How many threads follow a run, so that nobody need look at `RUN` while there is none.
static FOLLOWED: AtomicUsize = AtomicUsize::new(0);

/// Follows a run while `body` is run, or until its body has ended.
pub(crate) fn follow<R>(run: Run, body: impl FnOnce() -> R) -> (R, Run) {
    struct Followed;
    impl Drop for Followed {
        fn drop(&mut self) {
            FOLLOWED.fetch_sub(1, Relaxed);
            RUN.set(None);
        }
    }

    FOLLOWED.fetch_add(1, Relaxed);
    RUN.set(Some(run));
    let followed = Followed;
    let outcome = body();
    let run = RUN.take().expect("nobody else takes it");
    drop(followed);
    (outcome, run)
}

/// Steers until the returned value is dropped, when the body has come to its end.
#[must_use]
pub(crate) fn until_dropped() -> impl Drop {
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            RUN.with_borrow_mut(|run| {
                if let Some(run) = run {
                    run.has_ended = true;
                }
            });
        }
    }
    Stop
}

fn stop() {
    with_run(|run| run.is_suspended = true);
}

/// Steers nothing while `run` runs.
pub(crate) fn suspended<R>(run: impl FnOnce() -> R) -> R {
    struct Resume(bool);
    impl Drop for Resume {
        fn drop(&mut self) {
            if self.0 {
                RUN.with_borrow_mut(|run| {
                    if let Some(run) = run {
                        run.is_suspended = false;
                    }
                });
            }
        }
    }

    let was_on = is_on();
    stop();
    let _resume = Resume(was_on);
    run()
}

/// Whether this thread steers.
#[inline]
pub(crate) fn is_on() -> bool {
    FOLLOWED.load(Relaxed) != 0 && with_run(|_| ()).is_some()
}

/// The run that is steered, if there is one.
pub(crate) fn with_run<R>(with: impl FnOnce(&mut Run) -> R) -> Option<R> {
    with_unsuspended(|run| (!run.has_ended).then(|| with(run))).flatten()
}

/// The run of this thread, if there is one, and it is steered or its body has ended.
fn with_unsuspended<R>(with: impl FnOnce(&mut Run) -> R) -> Option<R> {
    // Gone at the thread's end.
    let with = |run: &RefCell<Option<Run>>| {
        let mut run = run.try_borrow_mut().ok()?;
        run.as_mut().filter(|run| !run.is_suspended).map(with)
    };
    RUN.try_with(with).ok().flatten()
}

/// Polls the task of this number, or the body, which is number 0: now or later, with little budget or
/// all of it.
#[inline]
pub(crate) fn poll<T>(
    number: usize,
    label: impl FnOnce() -> String,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if !is_on() {
        return poll(context);
    }
    poll_steered(number, label, context, poll)
}

#[cold]
fn poll_steered<T>(
    number: usize,
    label: impl FnOnce() -> String,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let how = with_run(|run| run.decisions.poll(number));
    match how.unwrap_or(strategy::Poll::Plainly) {
        strategy::Poll::Plainly => {}
        strategy::Poll::With(left) => budget::to(left, context),
        strategy::Poll::Later => {
            // After those that yield, too: woken at once it would be polled again and again before
            // the runtime came to them.
            let _ = pin!(yield_now()).poll(context);
            tell_of_task(label, || Action::IsPutOff);
            return Poll::Pending;
        }
    }
    told(|_| Recorder::task(label()), context, poll)
}

/// Notes that a task other than the body was polled, and whether it goes on.
#[inline]
pub(crate) fn note_task(number: usize, is_pending: bool) {
    if FOLLOWED.load(Relaxed) != 0 {
        with_run(|run| run.note_polled(TASKS, number, is_pending));
    }
}

/// Notes that a task has ended, also if nobody has polled it to its end.
#[inline]
pub(crate) fn forget_task(number: usize, label: impl FnOnce() -> String) {
    if FOLLOWED.load(Relaxed) == 0 {
        return;
    }
    with_run(|run| {
        run.in_flight.entry(TASKS).or_default().remove(&number);
        if let Some(told) = &mut run.told {
            let label = label();
            if !told.has_ended(&label) {
                told.push(&Recorder::task(label), Action::IsCancelled);
            }
        }
    });
}

/// Whether the run yields at a checkpoint.
pub(crate) fn stops_at(name: &'static str) -> bool {
    let stops = with_run(|run| {
        let stops = run.decisions.deviates(name);
        run.stopped_at = stops.then_some(name);
        stops
    });
    stops.unwrap_or(false)
}

/// Squeezes the budget of a task that the runtime is about to poll, and that is not polled by
/// [`poll`].
#[cfg(tokio_unstable)]
pub(crate) fn before_poll(number: usize) {
    let how = with_run(|run| run.decisions.poll(number));
    if let Some(strategy::Poll::With(left)) = how {
        tell_of_task(|| format!("task #{number}"), || Action::MayDo(left));
        budget::to(left, &mut Context::from_waker(std::task::Waker::noop()));
    }
}

/// Tells of a task, or the body, in a run that is to be told.
fn tell_of_task(label: impl FnOnce() -> String, does: impl FnOnce() -> Action) {
    with_told(|told| told.push(&Recorder::task(label()), does()));
}

/// Polls, and tells what came of it in a run that is to be told.
pub(crate) fn told<T>(
    who: impl FnOnce(&Recorder) -> Rc<Actor>,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    /// Is polled until this is dropped, which tells of a poll that does not return.
    struct Polled {
        who: Rc<Actor>,
        before: Option<Rc<Actor>>,
        has_returned: bool,
    }
    impl Drop for Polled {
        fn drop(&mut self) {
            with_told(|told| {
                told.set_polled(self.before.take());
                if !self.has_returned {
                    told.push(&self.who, Action::Panics);
                }
            });
        }
    }

    let begin = |told: &mut Recorder| {
        let who = who(told);
        let before = told.set_polled(Some(Rc::clone(&who)));
        (who, before, told.count())
    };
    let Some((who, before, told_before)) = with_told(begin) else {
        return poll(context);
    };
    let mut of_poll = Polled {
        who: Rc::clone(&who),
        before,
        has_returned: false,
    };
    let tell = |does| with_told(|told| told.push(&who, does));
    let turns = || with_run(|run| run.turns);
    let turns_before = turns();
    // What it is polled within may have stopped before.
    let outer = with_run(|run| run.stopped_at.take()).flatten();
    let (polled, trace) = waker::poll(context.waker(), poll);
    let stopped_at = with_run(|run| mem::replace(&mut run.stopped_at, outer)).flatten();
    of_poll.has_returned = true;
    let told_within = with_told(|told| told.count()).unwrap_or_default() > told_before;
    let does = match polled {
        Poll::Ready(_) => Some(Action::Ends),
        // What only polls others is told of by what these do.
        Poll::Pending if told_within && trace.captures.is_empty() => None,
        Poll::Pending if trace.captures.is_empty() && turns() != turns_before => {
            Some(Action::WaitsForChildren)
        }
        Poll::Pending => Some(stopped_at.map_or(Action::Waits(trace), Action::StopsAt)),
    };
    does.map(tell);
    polled
}

/// What is told, also of the poll in which the body comes to its end, after which nothing is steered.
fn with_told<R>(with: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    let with = |run: &mut Run| run.told.as_mut().map(with);
    with_unsuspended(with).flatten()
}

/// Notes that a combinator is polled.
pub(crate) fn note_turn() {
    with_run(|run| run.turns += 1);
}

/// The number of a combinator that is polled for the first time.
pub(crate) fn next_combinator() -> u32 {
    let next = with_run(|run| {
        run.combinators += 1;
        run.combinators
    });
    next.unwrap_or_default()
}
