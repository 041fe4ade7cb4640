//! The record of one task: where it was spawned, and what its polls showed.

use std::borrow::Cow;
use std::cell::RefCell;
use std::panic::Location;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use backtrace::Backtrace;
use tokio::task;

use crate::contain::contain;
use crate::leak::record::panic_hook::{Quiet, capture_panics};
use crate::leak::record::panic_places::PanicPlaces;
use crate::leak::record::probe::{Answer, Held};
use crate::leak::record::task_waker::{TaskWaker, WakeUp, probing};
use crate::mutex::lock;
use crate::panic::Panic;
use crate::schedule::recorder::BODY;
use crate::schedule::{eager, points, steering};
use crate::trace::blocked::Blocked;
use crate::trace::call::Call;
use crate::trace::place::{Place, is_standard, tokio_file};
use crate::trace::symbols::Symbols;
use crate::trace::thread as os_thread;
use crate::trace::wait::Wait;
use crate::trace::waker;

/// How many spawners of spawners a record keeps. A chain of tasks that each spawn their successor
/// must not grow the memory without bound.
const GENERATIONS: usize = 32;

/// The record of one task.
#[derive(Debug)]
pub(crate) struct Task {
    /// Counts from 1 in each test; the body is 0.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) spawner: Spawner,
    pub(crate) spawned: Instant,
    /// The backtrace of the spawn, if a hook saw it in a dependency, if `spawned_at` hides the call, or if
    /// a rule is about functions.
    pub(crate) stack: Option<Backtrace>,
    /// The call that `spawned_at` hides, looked up for the first report.
    place: OnceLock<Place>,
    /// The function around the spawn, looked up for the first rule that needs it.
    function: OnceLock<Option<String>>,
    /// Whether the runtime counts it as alive. It does not count closures and tasks of a
    /// `LocalSet`.
    is_counted: AtomicBool,
    /// Tokio's id, set by the first poll; `Some(None)` for a body, which has none.
    id: OnceLock<Option<task::Id>>,
    /// The length of the chain of spawners.
    generation: usize,
    /// The thread outside of tasks that began the chain: it runs the body of a test.
    pub(crate) thread: Option<ThreadId>,
    /// The panics inside the task, which it may catch and resume.
    pub(crate) panics: Mutex<PanicPlaces>,
    progress: Progress,
}

/// What kind of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The body of the test, which is never a leak.
    Body,
    /// A tracked task: straggler wraps its future.
    Tracked,
    /// A tracked task from `spawn_local`, of a `LocalSet` or of a `LocalRuntime`.
    Local,
    /// A tracked task that was spawned on a given `LocalSet`.
    InLocalSet,
    /// A tracked task from `background`, aborted after the body.
    Background,
    /// A closure on a blocking thread.
    Blocking,
    /// A closure of the check itself, which holds a paused clock.
    Hold,
    /// An untracked task, seen by a runtime hook.
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    Hooked,
}

impl Kind {
    /// Returns whether it is a closure, which the runtime neither polls nor stops.
    pub(crate) fn is_closure(self) -> bool {
        matches!(self, Self::Blocking | Self::Hold)
    }
}

/// The spawner of a task.
#[derive(Clone, Debug)]
pub(crate) enum Spawner {
    /// A recorded task, or the body.
    Task(Arc<Task>),
    /// An untracked task.
    Unknown,
    /// A thread outside the runtime.
    Thread,
}

impl Spawner {
    /// Returns the thread outside of tasks that began the chain of spawners, which this thread
    /// continues.
    pub(crate) fn thread(&self) -> Option<ThreadId> {
        match self {
            Self::Task(task) => task.thread,
            Self::Unknown => None,
            Self::Thread => Some(thread::current().id()),
        }
    }
}

/// What the polls of a task showed. Only wake-ups and probed polls take a lock.
#[derive(Debug, Default)]
struct Progress {
    /// The number of polls, not counting polls that only a probe caused.
    polls: AtomicUsize,
    /// When the current poll, or the closure, began: nanoseconds since the spawn, plus 1. Zero
    /// outside polls.
    poll_began: AtomicU64,
    /// When the last poll began that no probe caused, as `poll_began`. Zero if there was none.
    last_poll: AtomicU64,
    /// The thread of the last poll, or of the closure until it returns.
    thread: AtomicU32,
    /// Whether the next poll records where the task waits.
    is_probed: AtomicBool,
    answer: Mutex<Option<Answer>>,
    /// Set by the first poll.
    waker: OnceLock<TaskWaker>,
    /// When the timer fires that was the last operation of tokio that the last poll reached.
    timer: Mutex<Option<tokio::time::Instant>>,
}

thread_local! {
    /// Frames of the stacks of spawns: many tasks are spawned by one call.
    static SYMBOLS: RefCell<Symbols> = RefCell::default();

    /// The recorded task that this thread polls.
    static CURRENT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) };
}

impl Task {
    pub(crate) fn new(
        number: usize,
        kind: Kind,
        name: Option<Cow<'static, str>>,
        spawned_at: &'static Location<'static>,
        spawner: Spawner,
    ) -> Self {
        let thread = spawner.thread();
        let (spawner, generation) = match spawner {
            // Skips the latest spawner and keeps the first ones, which say most about the origin.
            Spawner::Task(task) if task.generation == GENERATIONS => {
                (task.spawner.clone(), GENERATIONS)
            }
            Spawner::Task(task) => {
                let generation = task.generation + 1;
                (Spawner::Task(task), generation)
            }
            spawner => (spawner, 0),
        };
        Self {
            number,
            kind,
            name,
            spawned_at,
            spawner,
            spawned: Instant::now(),
            stack: None,
            place: OnceLock::new(),
            function: OnceLock::new(),
            is_counted: AtomicBool::new(
                !matches!(kind, Kind::Local | Kind::InLocalSet) && !kind.is_closure(),
            ),
            id: OnceLock::new(),
            generation,
            thread,
            panics: Mutex::default(),
            progress: Progress::default(),
        }
    }

    /// Returns the recorded task that this thread polls.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(|current| current.borrow().clone()).ok()?
    }

    /// Calls `run` with this as the current task.
    pub(crate) fn enter<R>(self: &Arc<Self>, run: impl FnOnce() -> R) -> R {
        struct Leave(Option<Arc<Task>>);
        impl Drop for Leave {
            fn drop(&mut self) {
                exchange(self.0.take());
            }
        }
        /// Does nothing on an ending thread, where the thread-local is destroyed already.
        fn exchange(current: Option<Arc<Task>>) -> Option<Arc<Task>> {
            let exchange = |of_thread: &RefCell<_>| of_thread.replace(current);
            CURRENT.try_with(exchange).ok().flatten()
        }

        let _leave = Leave(exchange(Some(Arc::clone(self))));
        if self.id.get().is_none() && !eager::is_in_spawn() {
            _ = self.id.set(task::try_id());
        }
        run()
    }

    /// Returns whether tokio knows the task by this id, `None` for the body.
    pub(crate) fn has_id(&self, id: Option<task::Id>) -> bool {
        match self.id.get() {
            Some(own) => *own == id,
            None => eager::is_in_spawn() && self.is_in_spawn(),
        }
    }

    /// Returns whether it is polled inside its spawn, before tokio knows of it.
    pub(crate) fn is_in_spawn(&self) -> bool {
        self.id.get().is_none() && self.is_in_poll()
    }

    /// Polls the task's future, and records where it waits if it is probed.
    ///
    /// If only the probe asked for the poll, an outcome is held back in `held` until something wakes the task.
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        context: &mut Context<'_>,
        held: &mut Held<T>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let progress = &self.progress;
        let waker = progress
            .waker
            .get_or_init(|| TaskWaker::new(context.waker()));
        let is_first = progress.polls.load(Relaxed) == 0;
        // Relaxed is enough: the flag guards no other data, and the probe sets it before it asks for the poll,
        // so the resulting poll sees it.
        let is_probed = progress.is_probed.load(Relaxed);
        let is_due = match waker.take_wake_up() {
            WakeUp::Real => true,
            WakeUp::ByProbe => is_first,
            // The first poll, or one that the runtime makes for a reason of its own.
            WakeUp::None => is_first || !is_probed,
        };
        if !is_due {
            return self.poll_unwoken(waker, held, poll);
        }
        if let Some(outcome) = held.take() {
            self.clear_answer();
            return Poll::Ready(outcome.unwrap_or_else(|panic| panic.resume()));
        }
        progress.polls.fetch_add(1, Relaxed);
        let context = &mut waker.context();
        if is_probed {
            // A steered join polls one child at a time; the trace needs all of them.
            return steering::suspended(|| self.poll_now(context, poll));
        }
        let poll = |context: &mut Context<'_>| self.poll_now(context, poll);
        steering::poll(
            self.number,
            self.is_counted(),
            || self.label(),
            context,
            poll,
        )
    }

    /// Polls a task that nothing has woken, and holds the outcome back.
    #[cold]
    fn poll_unwoken<T>(
        self: &Arc<Self>,
        waker: &TaskWaker,
        held: &mut Held<T>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let progress = &self.progress;
        // The poll may get further than the last one.
        *lock(&progress.timer) = None;
        progress.is_probed.store(false, Relaxed);
        if let Some(answer) = held.answer() {
            *lock(&progress.answer) = Some(answer);
            return Poll::Pending;
        }
        self.note_begin();
        let _polled = Polled(progress);
        let traced = |context: &mut Context<'_>| waker::poll(context.waker(), poll);
        let poll = || self.enter(|| traced(&mut waker.context()));
        let poll = || probing(|| steering::suspended(poll));
        // Quietly: the test has not panicked. The report has the message.
        let (polled, captured) = capture_panics(Quiet::All, || contain(poll));
        let (outcome, answer) = match polled {
            Ok((Poll::Pending, trace)) => {
                *lock(&progress.answer) = Some(Answer::Waits(trace));
                return Poll::Pending;
            }
            Ok((Poll::Ready(output), _)) => (Ok(output), Answer::Ready),
            Err(panic) => {
                let answer = Answer::Panicked {
                    message: panic.message().map(str::to_owned),
                    place: captured.places.find(panic.payload_id()),
                };
                (Err(panic), answer)
            }
        };
        // A wake-up that came meanwhile makes the outcome the test's own. A later one leads to another poll.
        if waker.wake_up() == WakeUp::Real {
            return Poll::Ready(outcome.unwrap_or_else(|panic: Panic| panic.resume()));
        }
        *lock(&progress.answer) = Some(answer.clone());
        held.hold(outcome, answer);
        Poll::Pending
    }

    /// Returns the place that spawned the task.
    pub(crate) fn place(&self) -> Place {
        let location = || Place::from(self.spawned_at);
        let hidden = self.stack.as_ref().filter(|_| hides_call(self.spawned_at));
        let Some(stack) = hidden else {
            return location();
        };
        let find = |symbols: &RefCell<Symbols>| {
            let is_tracked = self.kind != Kind::Hooked;
            symbols.borrow_mut().spawn_place(stack, is_tracked)
        };
        let find = || SYMBOLS.try_with(find).ok().flatten();
        let place = self.place.get_or_init(|| find().unwrap_or_else(location));
        place.clone()
    }

    /// Returns the place that spawned the task, unless its location hides the call and this build cannot
    /// find it.
    pub(crate) fn known_place(&self) -> Option<Place> {
        let place = self.place();
        let is_hidden = hides_call(self.spawned_at) && place == Place::from(self.spawned_at);
        (!is_hidden).then_some(place)
    }

    /// Returns the path of the function around the spawn, if its stack was kept and has debug information.
    pub(crate) fn function(&self) -> Option<String> {
        let find = |symbols: &RefCell<Symbols>| {
            let stack = self.stack.as_ref()?;
            symbols.borrow_mut().function_at(stack, &self.place())
        };
        let function = self
            .function
            .get_or_init(|| SYMBOLS.try_with(find).ok().flatten());
        function.clone()
    }

    /// Returns the call in the user's code behind a spawn in a dependency, if its stack is known.
    pub(crate) fn caller(&self, symbols: &mut Symbols) -> Option<Call> {
        let (stack, place) = (self.stack.as_ref()?, self.place());
        // A file of the workspace is the user's, whatever the stack was kept for.
        let is_near = Path::new(self.spawned_at.file()).is_relative();
        if is_near || hides_call(self.spawned_at) && !place.is_foreign() {
            return None;
        }
        symbols.caller(stack, &place)
    }

    /// Returns the name of the task in reports.
    pub(crate) fn label(&self) -> String {
        let name = self.name.as_ref();
        let name = name.map_or(String::new(), |name| format!(" `{name}`"));
        match self.kind {
            Kind::Body => BODY.to_owned(),
            _ => format!("task #{}{name}", self.number),
        }
    }

    fn poll_now<T>(
        self: &Arc<Self>,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let progress = &self.progress;
        self.note_begin();
        let _polled = Polled(progress);
        // Loads first: a swap costs more, and nearly no poll is probed.
        if !progress.is_probed.load(Relaxed) || !progress.is_probed.swap(false, Relaxed) {
            let began = progress.poll_began.load(Relaxed);
            progress.last_poll.store(began, Relaxed);
            let (polled, timer) = self.enter(|| points::last_timer(context, poll));
            if points::ARE_PRESENT {
                *lock(&progress.timer) = timer;
            }
            // Helpers and the body are always in flight: they would count as overlap with
            // everything.
            if !matches!(self.kind, Kind::Body | Kind::Background) {
                steering::note_task(self.number, polled.is_pending());
            }
            return polled;
        }
        let (outcome, trace) = self.enter(|| waker::poll(context.waker(), poll));
        if outcome.is_pending() {
            *lock(&progress.answer) = Some(Answer::Waits(trace));
        }
        outcome
    }

    /// Runs the closure of blocking work as this task.
    pub(crate) fn run<R>(self: &Arc<Self>, closure: impl FnOnce() -> R) -> R {
        /// The thread takes other work when the closure has returned.
        struct Leave<'a>(&'a Progress);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.thread.store(0, Relaxed);
            }
        }

        self.note_begin();
        let _leave = Leave(&self.progress);
        self.enter(closure)
    }

    /// Returns whether the closure of blocking work has begun. Until then it waits for a thread.
    pub(crate) fn has_begun(&self) -> bool {
        self.progress.poll_began.load(Relaxed) != 0
    }

    fn note_begin(&self) {
        let now = u64::try_from(self.spawned.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let poll_began = &self.progress.poll_began;
        poll_began.store(now.saturating_add(1), Relaxed);
        self.progress.thread.store(os_thread::current(), Relaxed);
    }

    /// Clears the answer, and makes the runtime poll the task for a new one.
    pub(crate) fn probe(&self) {
        self.clear_answer();
        self.progress.is_probed.store(true, Relaxed);
        if let Some(waker) = self.progress.waker.get() {
            waker.request_poll();
        }
    }

    /// Clears the answer to the last probe.
    pub(crate) fn clear_answer(&self) {
        *lock(&self.progress.answer) = None;
    }

    /// Returns whether the task has answered the last probe.
    pub(crate) fn has_answered(&self) -> bool {
        lock(&self.progress.answer).is_some()
    }

    /// Returns whether the task is to be polled: for the first time, because it was woken, or for a probe.
    pub(crate) fn is_due(&self) -> bool {
        let progress = &self.progress;
        let waker = progress.waker.get();
        progress.is_probed.load(Relaxed)
            || waker.is_none_or(|waker| waker.wake_up() != WakeUp::None)
    }

    /// Returns whether nothing can ever wake the task: it is pending, nothing has woken it, and nothing holds a
    /// clone of its waker.
    pub(crate) fn is_unwakeable(&self) -> bool {
        let progress = &self.progress;
        let polls = progress.polls.load(Acquire);
        let is_unwakeable = polls > 0
            && !self.is_in_poll()
            && progress
                .waker
                .get()
                .is_some_and(|waker| waker.wake_up() == WakeUp::None && !waker.is_held());
        // Otherwise a poll came in between, so something had woken it.
        is_unwakeable && progress.polls.load(Acquire) == polls
    }

    /// Returns whether probably nothing can wake the task within this time: it waits for a timer alone, which
    /// fires later, or nothing can ever wake it. Only a probe is certain that it waits for the timer.
    pub(crate) fn may_outlast(&self, time: Duration) -> bool {
        if self.is_unwakeable() {
            return true;
        }
        let progress = &self.progress;
        let polls = progress.polls.load(Acquire);
        // If the poll has not dropped the timer, that holds the one clone.
        let waits_for_timer = !self.is_in_poll()
            && progress
                .waker
                .get()
                .is_some_and(|waker| waker.wake_up() == WakeUp::None && waker.is_held_once());
        let fires_at = *lock(&progress.timer);
        let fires_in = fires_at.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
        waits_for_timer
            && fires_in.is_some_and(|fires_in| fires_in > time)
            && progress.polls.load(Acquire) == polls
    }

    /// Returns whether the answer to a probe shows that nothing can wake the task within this time, where
    /// [`may_outlast`](Self::may_outlast) said so.
    pub(crate) fn outlasts(&self, time: Duration, symbols: &mut Symbols) -> bool {
        match lock(&self.progress.answer).clone() {
            Some(Answer::Waits(trace)) if trace.captures.is_empty() => true,
            Some(Answer::Waits(trace)) => {
                trace.fires_in.is_some_and(|fires_in| fires_in > time)
                    && Wait::of(trace, symbols).is_for_timer_alone()
            }
            // Nothing had woken it, so only the probe found out.
            Some(Answer::Ready | Answer::Panicked { .. }) => true,
            None => false,
        }
    }

    /// Returns where the task waits by its answer to a probe, or else what its polls show.
    pub(crate) fn wait(&self, symbols: &mut Symbols) -> Wait {
        if self.kind == Kind::Hooked {
            return Wait::Unknown;
        }
        let progress = &self.progress;
        match lock(&progress.answer).clone() {
            Some(Answer::Waits(trace)) => Wait::of(trace, symbols),
            Some(Answer::Ready) => Wait::LostWakeUp,
            Some(Answer::Panicked { message, place }) => Wait::PanicsUnwoken { message, place },
            // No poll since the probe: the task never started, or one blocks its thread.
            None => match (progress.polls.load(Relaxed), self.blocked(symbols)) {
                (0, _) => Wait::Unstarted,
                (_, Some(blocked)) => Wait::Blocks(blocked),
                (_, None) if self.is_unwakeable() => Wait::Unwakeable,
                (_, None) => Wait::Unanswered,
            },
        }
    }

    /// Returns after which time the timer fires that the probed task waits for, if this build can tell.
    pub(crate) fn fires_in(&self) -> Option<Duration> {
        match &*lock(&self.progress.answer) {
            Some(Answer::Waits(trace)) => trace.fires_in,
            _ => None,
        }
    }

    /// Returns whether a poll is in progress.
    pub(crate) fn is_in_poll(&self) -> bool {
        self.progress.poll_began.load(Relaxed) != 0
    }

    /// Returns where the current poll or the closure blocks its thread, or `None` outside of one.
    pub(crate) fn blocked(&self, symbols: &mut Symbols) -> Option<Blocked> {
        let running = || {
            let began = self.progress.poll_began.load(Relaxed).checked_sub(1)?;
            Some((began, self.thread()))
        };
        let (began, thread) = running()?;
        let time = self.spawned.elapsed();
        let time = time.saturating_sub(Duration::from_nanos(began));
        let look = os_thread::look(thread);
        // The thread may have finished during the look.
        let is_same = running() == Some((began, thread));
        is_same.then(|| Blocked::of(&look, time, symbols))
    }

    /// Returns the thread of the last poll, or of the closure.
    pub(crate) fn thread(&self) -> os_thread::Id {
        self.progress.thread.load(Relaxed)
    }

    /// Returns the time since the last poll that no probe caused, or since the spawn.
    pub(crate) fn idle(&self) -> Duration {
        let last = self.progress.last_poll.load(Relaxed).saturating_sub(1);
        let time = self.spawned.elapsed();
        time.saturating_sub(Duration::from_nanos(last))
    }

    /// Returns the number of polls, or `None` for an untracked task.
    pub(crate) fn polls(&self) -> Option<usize> {
        (self.kind != Kind::Hooked).then(|| self.progress.polls.load(Relaxed))
    }

    /// Returns whether the runtime counts it as alive.
    pub(crate) fn is_counted(&self) -> bool {
        self.is_counted.load(Relaxed)
    }

    /// Records that the runtime counts it as alive.
    pub(crate) fn set_counted(&self) {
        self.is_counted.store(true, Relaxed);
    }

    /// Drops the runtime's waker, which keeps the task's memory alive.
    pub(crate) fn end(&self) {
        if let Some(waker) = self.progress.waker.get() {
            waker.end();
        }
    }
}

/// Returns whether the location of a spawn says nothing of the call behind it.
///
/// `iter.map(tokio::spawn)` calls the function in the standard library, and a function pointer has
/// the location of the function itself.
pub(crate) fn hides_call(spawned_at: &Location<'_>) -> bool {
    let file = spawned_at.file();
    // The user's own files have relative paths, or at least no such name.
    let is_candidate =
        Path::new(file).has_root() || OWN_SPAWNS.iter().any(|own| file.ends_with(own));
    is_candidate && (is_standard(file) || tokio_file(file, "").is_some() || is_own(file))
}

/// The names of this crate's files with spawn functions.
const OWN_SPAWNS: [&str; 3] = ["spawn.rs", "spawned.rs", "join_set.rs"];

/// Returns whether a file is one of this crate's with spawn functions.
fn is_own(file: &str) -> bool {
    let [file, here] = [file, file!()].map(|file| file.replace('\\', "/"));
    let root = here.strip_suffix("leak/record/task.rs").unwrap_or(&here);
    let below = file.strip_prefix(root);
    below.is_some_and(|below| {
        [
            "leak/record/spawn.rs",
            "join/spawned.rs",
            "tokio/join_set.rs",
        ]
        .contains(&below)
    })
}

/// Marks the end of a poll, also of a panicking one.
struct Polled<'a>(&'a Progress);

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.0.poll_began.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    use super::{Kind, Relaxed, Spawner, Task};
    use crate::leak::record::probe::Held;

    struct Silent;
    impl Wake for Silent {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn probe_is_no_progress() {
        let task = Task::new(1, Kind::Tracked, None, Location::caller(), Spawner::Thread);
        let task = Arc::new(task);
        let poll = || {
            let context = &mut Context::from_waker(Waker::noop());
            let polled = task.poll(context, &mut Held::new(), |_| Poll::<()>::Pending);
            assert!(polled.is_pending());
            task.progress.last_poll.load(Relaxed)
        };
        let first = poll();
        let second = poll();
        assert!(0 < first && first < second);
        task.probe();
        assert_eq!(poll(), second);
        assert!(second < poll());
    }

    #[test]
    fn ended_task_keeps_no_waker() {
        let silent = Arc::new(Silent);
        let task = Task::new(1, Kind::Tracked, None, Location::caller(), Spawner::Thread);
        let task = Arc::new(task);
        let waker = Waker::from(Arc::clone(&silent));
        let context = &mut Context::from_waker(&waker);
        let polled = task.poll(context, &mut Held::new(), |_| Poll::<()>::Pending);
        assert!(polled.is_pending());
        drop(waker);
        assert_eq!(
            Arc::strong_count(&silent),
            2,
            "the task keeps its waker for probes"
        );
        task.end();
        assert_eq!(Arc::strong_count(&silent), 1);
    }

    #[test]
    fn probed_poll_is_not_counted() {
        let task = Task::new(1, Kind::Tracked, None, Location::caller(), Spawner::Thread);
        let task = Arc::new(task);
        let poll = || {
            let context = &mut Context::from_waker(Waker::noop());
            let polled = task.poll(context, &mut Held::new(), |_| Poll::<()>::Pending);
            assert!(polled.is_pending());
        };
        poll();
        assert_eq!(task.polls(), Some(1));
        task.probe();
        poll();
        assert!(task.has_answered());
        assert_eq!(task.polls(), Some(1));
        poll();
        assert_eq!(task.polls(), Some(2));
    }
}
