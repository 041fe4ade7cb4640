//! The run that this thread explores. It decides before each poll of a task and at each step of a
//! combinator, while the body runs.
//!
//! In such a run a combinator polls a single child per poll, and its task has its budget cut just
//! before: the budget of the task is the budget of that child.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::task::coop::has_budget_remaining;
use tokio::time::Instant;

use crate::schedule::budget;
use crate::schedule::cancellation::{self, Cancelled, Mode};
use crate::schedule::decisions::Decisions;
use crate::schedule::discarded::Discarded;
use crate::schedule::eager::{self, Spawns};
use crate::schedule::hand_poll::{self, HandPolls};
use crate::schedule::numbered::Numbered;
use crate::schedule::points::{self, Cut};
use crate::schedule::recorder::{Action, Actor, Recorder};
use crate::schedule::timer_race::{self, Timers, Turn};
use crate::schedule::tree::{self, Tree};
use crate::schedule::{strategy, wake};
use crate::trace::waker;

/// A run and its state. What few runs have is boxed: the others move only what they need.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) decisions: Decisions,
    /// `None` unless the run is a path in the tree of decisions.
    pub(crate) tree: Option<Box<Tree>>,
    /// Records the steps. `None` in most runs of a search, since tracing each poll is slow.
    pub(crate) recorder: Option<Box<Recorder>>,
    /// Whether two children of one combinator, or two tasks, were ever in flight at once.
    pub(crate) has_overlap: bool,
    /// The most tasks at a time that the run does not schedule.
    pub(crate) unscheduled: usize,
    /// What it cancelled. Set once it has ended.
    pub(crate) cancelled: Option<Cancelled>,
    /// How far the clock of the runtime moved while the body ran.
    pub(crate) clock_moved: Duration,
    /// The started and pending child of each combinator, by its number. Tasks are children of number 0. The
    /// second one that is polled is an overlap, after which nobody asks.
    in_flight: Numbered<Option<usize>>,
    pub(crate) timers: Timers,
    pub(crate) spawns: Spawns,
    pub(crate) hand_polls: HandPolls,
    /// Why it counts as nothing, if it does.
    pub(crate) discarded: Option<Discarded>,
    /// How many more times each task is put off, by its number.
    put_off: FxHashMap<usize, usize>,
    /// The checkpoint at which the current poll was made to yield.
    stopped_at: Option<&'static str>,
    /// The number of combinators polled so far.
    combinators: u32,
    /// The number of polls of combinators so far.
    turns: u64,
    /// Whether the run decides nothing for now.
    is_suspended: bool,
    /// Whether the body has ended. After that the run decides nothing.
    has_ended: bool,
}

impl Run {
    pub(crate) fn new(decisions: Decisions, is_recorded: bool) -> Self {
        Self {
            tree: decisions.is_tree.then(Box::default),
            decisions,
            recorder: is_recorded.then(Box::default),
            has_overlap: false,
            unscheduled: 0,
            cancelled: None,
            clock_moved: Duration::ZERO,
            in_flight: Numbered::default(),
            timers: Timers::FireLast,
            spawns: Spawns::Lazy,
            hand_polls: HandPolls::default(),
            discarded: None,
            put_off: FxHashMap::default(),
            stopped_at: None,
            combinators: 0,
            turns: 0,
            is_suspended: false,
            has_ended: false,
        }
    }

    /// Picks the position in `ready` of the child that the combinator polls next. `ready` is not empty.
    pub(crate) fn choose(&mut self, combinator: u32, ready: &[u32]) -> usize {
        match &mut self.tree {
            None => self.decisions.choose(combinator, ready),
            Some(tree) => {
                let ready: Vec<_> = ready.iter().map(|index| *index as usize).collect();
                tree.choose(&mut self.decisions, combinator, &ready)
            }
        }
    }

    /// Whether a decision for an earlier poll of the task puts this one off too.
    fn puts_off(&mut self, task: usize) -> bool {
        let left = self.put_off.get_mut(&task).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    /// Notes a poll of a child of a combinator, or of a task.
    pub(crate) fn note_polled(&mut self, combinator: u32, index: usize, is_pending: bool) {
        if self.has_overlap {
            return;
        }
        let in_flight = self.in_flight.entry(combinator as usize);
        self.has_overlap = in_flight.is_some_and(|other| other != index);
        *in_flight = is_pending.then_some(index);
    }
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// The number that stands for the tasks. Combinators have numbers from 1.
pub(super) const TASKS: u32 = 0;

/// How many threads steer a run. While it is 0 no poll needs to look at `RUN`.
static STEERING: AtomicUsize = AtomicUsize::new(0);

/// Steers `run` on this thread while `body` runs, up to the end of the run's own body.
pub(crate) fn steer<R>(run: Run, body: impl FnOnce() -> R) -> (R, Run) {
    struct Steered;
    impl Drop for Steered {
        fn drop(&mut self) {
            STEERING.fetch_sub(1, Relaxed);
            RUN.set(None);
        }
    }

    points::install();
    STEERING.fetch_add(1, Relaxed);
    RUN.set(Some(run));
    // Also when `body` unwinds.
    let steered = Steered;
    let outcome = body();
    let mut run = RUN.take().expect("nobody else takes the run");
    drop(steered);
    if let Some(tree) = &mut run.tree {
        tree.close(&mut run.decisions, true);
    }
    (outcome, run)
}

/// Ends the steering once the returned guard is dropped, which happens when the body ends.
#[must_use]
pub(crate) fn until_dropped() -> impl Drop {
    struct Stop(Instant);
    impl Drop for Stop {
        fn drop(&mut self) {
            let released = RUN.with_borrow_mut(|run| {
                let run = run.as_mut()?;
                run.has_ended = true;
                run.clock_moved = self.0.elapsed();
                let tree = run.tree.as_deref_mut();
                Some((run.timers.take_hold(), tree.map(Tree::release)))
            });
            let Some((hold, waiting)) = released else {
                return;
            };
            if let Some(hold) = hold {
                hold.release();
            }
            waiting.into_iter().flatten().for_each(Waker::wake);
        }
    }
    Stop(Instant::now())
}

/// Suspends the steering while `run` runs.
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

    // An outer call resumes, if this one is nested.
    let was_on = is_on();
    with_run(|run| run.is_suspended = true);
    let _resume = Resume(was_on);
    run()
}

/// Whether this thread steers a run.
#[inline]
pub(crate) fn is_on() -> bool {
    STEERING.load(Relaxed) != 0 && with_run(|_| ()).is_some()
}

/// The run of this thread, unless it is suspended or its body has ended.
pub(crate) fn with_run<R>(with: impl FnOnce(&mut Run) -> R) -> Option<R> {
    with_unsuspended(|run| (!run.has_ended).then(|| with(run))).flatten()
}

/// The run of this thread, unless it is suspended.
fn with_unsuspended<R>(with: impl FnOnce(&mut Run) -> R) -> Option<R> {
    // A waker may call this while the thread exits, when the thread local is gone.
    let with = |run: &RefCell<Option<Run>>| {
        let mut run = run.try_borrow_mut().ok()?;
        run.as_mut().filter(|run| !run.is_suspended).map(with)
    };
    RUN.try_with(with).ok().flatten()
}

/// The tree of this thread's run, and its decisions. Unlike [`with_run`] it also works in the poll in which the body
/// ends, and after.
pub(super) fn with_tree<R>(with: impl FnOnce(&mut Tree, &mut Decisions) -> R) -> Option<R> {
    let with = |run: &mut Run| Some(with(run.tree.as_mut()?, &mut run.decisions));
    with_unsuspended(with).flatten()
}

/// Polls a task, or the body as number 0. The run decides when, and with how much budget.
///
/// `is_queued` says whether the runtime itself polls the task, not a `LocalSet`.
#[inline]
pub(crate) fn poll<T>(
    number: usize,
    is_queued: bool,
    label: impl Fn() -> String,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if !is_on() {
        if STEERING.load(Relaxed) != 0 {
            with_tree(|tree, _| tree.note_late());
        }
        return poll(context);
    }
    if with_tree(|_, _| ()).is_some() {
        return tree::poll(number, is_queued, label, context, poll);
    }
    poll_steered(number, label, context, poll)
}

#[cold]
fn poll_steered<T>(
    number: usize,
    label: impl Fn() -> String,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    match timer_race::turn(number, context) {
        Turn::IsHeld => return Poll::Pending,
        Turn::RunsAfter(advance) => record_task(&label, || Action::ClockAdvanced(advance)),
        Turn::Runs => {}
    }
    if with_run(|run| run.puts_off(number)) == Some(true) {
        budget::yield_now(context);
        return Poll::Pending;
    }
    let how = with_run(|run| run.decisions.poll(number));
    let how = how.unwrap_or(strategy::Poll::Plainly);
    // A task in it that begins in its spawn, and an operation that is cancelled, may spend the budget too.
    let spends = matches!(how, strategy::Poll::With(_))
        || cancellation::mode() == Mode::Decided
        || with_run(|run| run.spawns == Spawns::Eager) == Some(true);
    let cut = match how {
        strategy::Poll::Plainly => None,
        // Only at the operation itself, so that neither `select!` nor a poll by hand meets the end.
        strategy::Poll::With(left) if points::ARE_PRESENT => Some(Cut::During(left)),
        // The budget is that of the spawner, who has spent some of it.
        strategy::Poll::With(left) if eager::is_in_spawn() => {
            budget::at_most(left, context);
            None
        }
        strategy::Poll::With(left) => {
            budget::begin_with(left, context);
            None
        }
        strategy::Poll::Before(others) => Some(Cut::Before(others)),
        strategy::Poll::Later => {
            budget::yield_now(context);
            record_task(label, || Action::RunsLater(1));
            return Poll::Pending;
        }
        strategy::Poll::LaterFor(turns) => {
            with_run(|run| run.put_off.insert(number, turns - 1));
            budget::yield_now(context);
            record_task(label, || Action::RunsLater(turns));
            return Poll::Pending;
        }
    };
    let poll = |context: &mut Context<'_>| points::cut(cut, context, poll);
    let poll = |context: &mut Context<'_>| {
        if spends {
            hand_poll::watch(false, context, poll)
        } else {
            poll(context)
        }
    };
    record_poll(|_| Recorder::task(label()), context, poll)
}

/// Notes a poll of a task other than the body, and whether the task is still pending.
#[inline]
pub(crate) fn note_task(number: usize, is_pending: bool) {
    if STEERING.load(Relaxed) != 0 {
        with_run(|run| run.note_polled(TASKS, number, is_pending));
    }
}

/// Notes how many tasks are alive that the run does not schedule. `count` is called only in a run.
#[inline]
pub(crate) fn note_unscheduled(count: impl FnOnce() -> usize) {
    if STEERING.load(Relaxed) == 0 || with_unsuspended(|_| ()).is_none() {
        return;
    }
    let count = count();
    with_unsuspended(|run| run.unscheduled = run.unscheduled.max(count));
}

/// Notes how many threads the runtime has, once the body has ended.
pub(crate) fn note_threads(count: usize) {
    with_tree(|tree, _| tree.uses_threads |= count > 0);
}

/// Notes that a task is gone: it completed, or it was dropped before.
#[inline]
pub(crate) fn forget_task(number: usize, label: impl FnOnce() -> String) {
    if STEERING.load(Relaxed) == 0 {
        return;
    }
    with_run(|run| {
        run.in_flight
            .entry(TASKS as usize)
            .take_if(|task| *task == number);
        if let Some(recorder) = &mut run.recorder {
            let label = label();
            if !recorder.has_ended(&label) {
                recorder.push(&Recorder::task(label), Action::IsCancelled);
            }
        }
    });
    if with_tree(|tree, _| tree.forget(number)) == Some(true) {
        tree::ask_for_callback();
    }
}

/// Decides whether a task that is spawned now begins inside its spawn.
pub(super) fn begins_in_spawn(label: impl FnOnce() -> String) -> bool {
    let begins =
        with_run(|run| run.spawns == Spawns::Eager && run.decisions.deviates("begins in spawn"));
    let begins = begins.unwrap_or(false);
    if begins {
        record_task(label, || Action::BeginsInSpawn);
    }
    begins
}

/// Makes the run count as nothing. Unlike [`with_run`] it also works in the poll in which the body ends.
pub(super) fn discard(reason: Discarded) {
    with_unsuspended(|run| run.discarded = run.discarded.or(Some(reason)));
}

/// Begins a poll with little budget. Returns its number, and whether to look at it more closely.
pub(super) fn begin_hand_poll() -> (usize, bool) {
    let begin = |run: &mut Run| {
        let number = run.hand_polls.begin();
        (number, run.hand_polls.looked_at == Some(number))
    };
    with_run(begin).unwrap_or_default()
}

/// Notes a poll in which something found no budget, perhaps polled by hand.
pub(super) fn suspect_hand_poll(number: usize) {
    with_unsuspended(|run| run.hand_polls.suspect(number));
}

/// Confirms that something was polled by hand, and found no budget.
pub(super) fn confirm_hand_poll() {
    with_unsuspended(|run| run.hand_polls.is_confirmed = true);
}

/// Whether the run of this thread counts as nothing, as known so far.
pub(crate) fn is_discarded() -> bool {
    hand_poll::judge();
    with_unsuspended(|run| run.discarded.is_some()) == Some(true)
}

/// Decides whether to yield at a checkpoint.
pub(crate) fn stops_at(name: &'static str) -> bool {
    let stops = with_run(|run| {
        let stops = run.decisions.deviates(name);
        run.stopped_at = stops.then_some(name);
        stops
    });
    stops.unwrap_or(false)
}

/// Decides whether to yield at a checkpoint before an `.await`. The trace of the poll knows the place.
#[cfg(feature = "macros")]
pub(super) fn stops_before_await() -> bool {
    with_run(|run| run.decisions.deviates(".await")).unwrap_or(false)
}

/// Cuts the budget of an untracked task that the runtime is about to poll. Tracked tasks go through
/// [`poll`].
#[cfg(tokio_unstable)]
pub(crate) fn before_poll(number: usize) {
    if with_tree(|_, _| ()).is_some() {
        tree::note_unchosen(number);
        return;
    }
    let how = with_run(|run| run.decisions.poll(number));
    if let Some(strategy::Poll::With(left)) = how {
        record_task(|| format!("task #{number}"), || Action::HasBudget(left));
        budget::begin_with(left, &mut Context::from_waker(std::task::Waker::noop()));
    }
}

/// Records a step of a task or the body, in a recorded run.
fn record_task(label: impl FnOnce() -> String, action: impl FnOnce() -> Action) {
    with_recorder(|recorder| recorder.push(&Recorder::task(label()), action()));
}

/// Whether the run of this thread is recorded.
pub(super) fn is_recorded() -> bool {
    with_recorder(|_| ()).is_some()
}

/// Records a step of the actor whose poll is running, in a recorded run.
pub(super) fn record_polled(action: impl FnOnce() -> Action) {
    with_recorder(|recorder| {
        if let Some(actor) = recorder.polled() {
            recorder.push(&actor, action());
        }
    });
}

/// Polls, and records the outcome in a recorded run.
pub(crate) fn record_poll<T>(
    actor: impl FnOnce(&Recorder) -> Arc<Actor>,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    /// Restores the outer actor. If the poll unwinds, it also records the panic.
    struct Polled {
        actor: Arc<Actor>,
        outer: Option<Arc<Actor>>,
        has_returned: bool,
    }
    impl Drop for Polled {
        fn drop(&mut self) {
            with_recorder(|recorder| {
                recorder.set_polled(self.outer.take());
                if !self.has_returned {
                    recorder.panicked_without_budget |= !has_budget_remaining();
                    recorder.push(&self.actor, Action::Panics);
                }
            });
        }
    }

    let begin = |recorder: &mut Recorder| {
        let actor = actor(recorder);
        let outer = recorder.set_polled(Some(Arc::clone(&actor)));
        (actor, outer, recorder.count())
    };
    let Some((actor, outer, count_before)) = with_recorder(begin) else {
        return poll(context);
    };
    let mut guard = Polled {
        actor: Arc::clone(&actor),
        outer,
        has_returned: false,
    };
    let turns = || with_run(|run| run.turns);
    let turns_before = turns();
    // The checkpoint of the outer poll must not count as one of this poll.
    let outer_stop = with_run(|run| run.stopped_at.take()).flatten();
    let waker = wake::recorded(&actor, context.waker());
    let (polled, trace) = waker::poll(&waker, poll);
    let stopped_at = with_run(|run| mem::replace(&mut run.stopped_at, outer_stop)).flatten();
    guard.has_returned = true;
    let count = with_recorder(|recorder| recorder.count()).unwrap_or_default();
    let has_inner_steps = count > count_before;
    let action = match polled {
        Poll::Ready(_) => Some(Action::Ends),
        // It only polled children, and their own steps already show that.
        Poll::Pending if has_inner_steps && trace.captures.is_empty() => None,
        Poll::Pending if trace.captures.is_empty() && turns() != turns_before => {
            Some(Action::WaitsForChildren)
        }
        Poll::Pending => Some(stopped_at.map_or(Action::Waits(trace), Action::StopsAt)),
    };
    with_recorder(|recorder| match action {
        Some(action) => recorder.push(&actor, action),
        // A later step must not claim them.
        None => drop(recorder.take_wakes(&actor)),
    });
    polled
}

/// Records a wake-up of an actor, and ignores those inside it until the returned guard is dropped.
pub(super) fn record_wake(woken: &Arc<Actor>) -> impl Drop {
    struct End(bool);
    impl Drop for End {
        fn drop(&mut self) {
            if self.0 {
                with_recorder(Recorder::end_wake);
            }
        }
    }
    End(with_recorder(|recorder| recorder.begin_wake(woken)) == Some(true))
}

/// The recorder of a recorded run. Unlike [`with_run`] it also works in the poll in which the body ends.
fn with_recorder<R>(with: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    let with = |run: &mut Run| run.recorder.as_deref_mut().map(with);
    with_unsuspended(with).flatten()
}

/// Counts a poll of a combinator.
pub(crate) fn note_turn() {
    with_run(|run| run.turns += 1);
}

/// The number for a combinator at its first poll.
pub(crate) fn next_combinator() -> u32 {
    let next = with_run(|run| {
        run.combinators += 1;
        run.combinators
    });
    next.unwrap_or_default()
}
