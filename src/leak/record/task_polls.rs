//! The polls of a task: where it waits, whether anything can wake it, and what blocks its thread.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::contain::contain;
use crate::leak::record::panic_hook::{Quiet, capture_panics};
use crate::leak::record::probe::{Answer, Held};
use crate::leak::record::task::{Kind, Task};
use crate::leak::record::task_waker::{TaskWaker, WakeUp, probing};
use crate::mutex::lock;
use crate::panic::Panic;
use crate::schedule::{points, steering};
use crate::trace::blocked::Blocked;
use crate::trace::symbols::Symbols;
use crate::trace::thread as os_thread;
use crate::trace::wait::Wait;
use crate::trace::waker;

/// What the polls of a task showed. Only wake-ups and probed polls take a lock.
#[derive(Debug, Default)]
pub(super) struct Progress {
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

impl Task {
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

    /// Returns whether the poll that answers the last probe has begun, and not ended.
    pub(crate) fn is_answering(&self) -> bool {
        self.is_in_poll() && !self.progress.is_probed.load(Relaxed) && !self.has_answered()
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

    /// Drops the runtime's waker, which keeps the task's memory alive.
    pub(crate) fn end(&self) {
        if let Some(waker) = self.progress.waker.get() {
            waker.end();
        }
    }
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

    use super::{Kind, Relaxed, Task};
    use crate::leak::record::probe::Held;
    use crate::leak::record::task::Spawner;

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
    fn answering_lasts_from_begin_to_end_of_probed_poll() {
        let task = Task::new(1, Kind::Tracked, None, Location::caller(), Spawner::Thread);
        let task = Arc::new(task);
        let poll = |expected| {
            let context = &mut Context::from_waker(Waker::noop());
            let polled = task.poll(context, &mut Held::new(), |_| {
                assert_eq!(task.is_answering(), expected);
                // The runtime may probe a task while it is polled.
                task.probe();
                assert!(!task.is_answering());
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        };
        assert!(!task.is_answering());
        poll(true);
        poll(true);
        assert!(!task.is_answering());
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
