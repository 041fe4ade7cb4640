//! The live work of a runtime that a check is charged with.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::leak::check::blocking;
use crate::leak::check::drain::{self, PausedClock};
use crate::leak::check::progress::Progress;
use crate::leak::record::locks::LockRecord;
use crate::leak::record::panics::{Panicked, Watermark};
use crate::leak::record::session::{Session, Stopping};
use crate::leak::record::task::{Kind, Spawner, Task};
use crate::leak::record::thread_count::ThreadCount;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::standstill::Standstill;
use crate::trace::blocked::Blocked;
use crate::trace::symbols::Symbols;

/// How long probed tasks get to be polled. A task that needs longer blocks its thread.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

/// For how many milliseconds a watch counts the untracked tasks that are already there.
const SETTLING: usize = 10;

/// Counts and lists the live tasks, blocking work, panics and locks that a check is charged with.
#[derive(Debug)]
pub(crate) struct Census {
    session: Arc<Session>,
    pub(crate) runtime: Handle,
    /// Tasks and panics up to these numbers are older than the check.
    began: Watermark,
    /// Locks up to this number were acquired before the check.
    locks_after: usize,
    /// How many untracked tasks are older than the check.
    unseen_before: usize,
    /// How many recorded tasks are older than the check.
    live_before: usize,
}

impl Census {
    /// Includes everything in the runtime, which was built for the check.
    pub(crate) fn of_all(session: Arc<Session>, runtime: Handle) -> Self {
        Self {
            session,
            runtime,
            began: Watermark::default(),
            locks_after: 0,
            unseen_before: 0,
            live_before: 0,
        }
    }

    /// Includes only work that starts after this call.
    pub(crate) fn since_now(session: Arc<Session>, runtime: Handle) -> Self {
        let began = session.begin_record();
        let (locks_after, live_before) = (session.locks().last_number(), session.live_count());
        let all = Self::of_all(session, runtime);
        let unseen_before = all.settled_unseen();
        Self {
            began,
            locks_after,
            unseen_before,
            live_before,
            ..all
        }
    }

    /// Returns whether a spawn in the runtime was ever tracked, alive or not.
    pub(crate) fn has_tracked(&self) -> bool {
        self.session.has_tracked()
    }

    /// Makes tasks keep the stacks of their spawns from now on.
    pub(crate) fn keep_stacks(&self) {
        self.session.keep_stacks();
    }

    /// Counts the untracked tasks that are there to stay.
    ///
    /// A worker still counts a task for a moment after its handle was awaited (up to 7 ms were
    /// seen). Counting such a task here would hide a later leak.
    fn settled_unseen(&self) -> usize {
        let mut least = self.unseen();
        for _ in 0..SETTLING {
            if least == 0 || self.runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            least = least.min(self.unseen());
        }
        least
    }

    /// Returns whether no task is alive, no blocking work is running and no lock is held.
    pub(crate) fn is_clean(&self) -> bool {
        self.session.is_idle(self.began.last_task)
            && self.session.locks().hold_none(self.locks_after)
            && self.unseen() == 0
    }

    /// Aborts the background tasks, also new ones until the returned value is dropped.
    pub(crate) fn stop_background(&self) -> Stopping<'_> {
        self.session.stop_background(self.began.last_task)
    }

    /// Returns at least how many recorded tasks and closures are left, without listing them.
    pub(crate) fn least_left(&self) -> usize {
        let current = usize::from(Task::current().is_some());
        let live = self.session.live_count();
        live.saturating_sub(self.live_before + current)
    }

    /// Returns the recorded tasks that are alive.
    pub(crate) fn tasks(&self) -> Vec<Arc<Task>> {
        without_current(self.session.tasks(self.began.last_task))
    }

    /// Returns the recorded blocking work that is not finished.
    pub(crate) fn blocking(&self) -> Vec<Arc<Task>> {
        without_current(self.session.blocking(self.began.last_task))
    }

    /// Returns whether recorded blocking work is not finished.
    pub(crate) fn has_blocking(&self) -> bool {
        !self.session.blocking(self.began.last_task).is_empty()
    }

    /// Counts the live tasks that are not recorded.
    pub(crate) fn unseen(&self) -> usize {
        let before = self.session.counted();
        let alive = self.runtime.metrics().num_alive_tasks();
        // The two counts are not atomic. Taking the larger one errs towards missing a task for a
        // moment, never towards reporting one that has ended.
        let recorded = before.max(self.session.counted());
        alive.saturating_sub(recorded + self.unseen_before)
    }

    /// Notes the tasks that an explored run does not schedule.
    pub(crate) fn note_unscheduled(&self) {
        self.session.note_unscheduled();
    }

    /// Counts the blocking work that is not recorded, after the runtime has shut down.
    pub(crate) fn unseen_blocking(&self, threads: &ThreadCount) -> usize {
        blocking::unseen_work(threads, &self.runtime, &self.session)
    }

    /// Takes the panics of tasks.
    pub(crate) fn take_panics(&self) -> Vec<Panicked> {
        self.session.take_panics(self.began)
    }

    /// Returns the panics of tasks so far, without taking them.
    pub(crate) fn panics_so_far(&self) -> Vec<Panicked> {
        self.session.panics_so_far(self.began)
    }

    /// Returns the held locks, without those whose holder is excused.
    pub(crate) fn held_locks(&self, is_excused: impl Fn(&Spawner) -> bool) -> Vec<LockState> {
        let held = self.session.locks().held(self.locks_after, is_excused);
        self.lock_states(&held)
    }

    /// Returns the locks that are held or waited for.
    pub(crate) fn locks_in_use(&self) -> Vec<LockState> {
        let in_use = self.session.locks().in_use(self.locks_after);
        self.lock_states(&in_use)
    }

    fn lock_states(&self, locks: &[Arc<LockRecord>]) -> Vec<LockState> {
        let (runtime, now) = (self.session.runtime(), Instant::now());
        let locks = locks.iter();
        locks
            .map(|lock| LockState::new(lock, runtime, now))
            .collect()
    }

    /// Returns how far the test has come, or `None` while a poll is in progress.
    pub(crate) fn progress(&self, body: &Task) -> Option<Progress> {
        let spawned = self.session.last_number();
        let (tasks, blocking) = (
            self.session.tasks(self.began.last_task),
            self.session.blocking(self.began.last_task),
        );
        let is_in_poll = body.is_in_poll() || tasks.iter().any(|task| task.is_in_poll());
        let polls = |task: &Task| task.polls().unwrap_or(0);
        (!is_in_poll).then(|| Progress {
            spawned,
            alive: tasks.len() + blocking.len(),
            polls_of_tasks: tasks.iter().map(|task| polls(task)).sum(),
            polls_of_body: polls(body),
        })
    }

    /// Returns how long the body and the tracked tasks have not been polled.
    pub(crate) fn standstill(&self, body: &Task) -> Standstill {
        let tasks = self.session.tasks(self.began.last_task);
        let polled = tasks.iter().filter(|task| task.polls() > Some(1));
        Standstill {
            polls: body.polls().unwrap_or_default(),
            body: body.idle(),
            task: polled
                .map(|task| (task.number, task.idle()))
                .min_by_key(|(_, time)| *time),
        }
    }

    /// Returns where the threads of the runtime are, without those of recorded work.
    pub(crate) fn unseen_blocked(&self, threads: &ThreadCount) -> Vec<Blocked> {
        let (tasks, blocking) = (self.session.tasks(0), self.session.blocking(0));
        let recorded = tasks.iter().chain(&blocking);
        let recorded: Vec<_> = recorded.map(|task| task.thread()).collect();
        let unseen = threads.ids().into_iter();
        let unseen = unseen.filter(|thread| !recorded.contains(thread));
        let mut symbols = Symbols::default();
        let looks = unseen.map(|thread| Blocked::at(thread, Duration::ZERO, &mut symbols));
        looks.filter(Blocked::is_located).collect()
    }

    /// Returns the time of the runtime's clock. It stops only while the clock is paused.
    pub(crate) fn clock(&self) -> tokio::time::Instant {
        let _runtime = self.runtime.enter();
        tokio::time::Instant::now()
    }

    /// Probes every live task for where it waits, without waiting for the answers.
    pub(crate) fn probe_tasks(&self) {
        for task in self.tasks() {
            task.probe();
        }
    }

    /// Probes the live tasks that something may still wake.
    ///
    /// The test may go on after this. The others can never run again, and a poll could heal them.
    pub(crate) fn probe_wakeable_tasks(&self) {
        for task in self.tasks() {
            if !task.is_unwakeable() {
                task.probe();
            }
        }
    }

    /// Waits until every probed task has answered, at most [`PROBE_TIMEOUT`].
    pub(crate) async fn await_answers(&self) {
        self.await_all(|_| false).await;
    }

    /// The same, without the tasks that nothing can wake.
    pub(crate) async fn await_wakeable_answers(&self) {
        self.await_all(Task::is_unwakeable).await;
    }

    async fn await_all(&self, is_spared: impl Fn(&Task) -> bool) {
        let unseen = self.unseen();
        let is_missing = |task: &&Arc<Task>| !task.has_answered() && !is_spared(task);
        for task in self.tasks().iter().filter(is_missing) {
            // Spawned after the probe, perhaps by a probed poll.
            task.probe();
        }
        let is_done = || {
            let tasks = self.tasks();
            let mut tasks = tasks.iter().filter(|task| task.kind != Kind::Hooked);
            // A task that ends instead leaves the record a moment before the runtime stops counting
            // it.
            !tasks.any(|task| is_missing(&task)) && self.unseen() <= unseen
        };
        let left = self.tasks().len();
        let clock = PausedClock::StandsStill;
        drain::until(PROBE_TIMEOUT, clock, left, is_done, || false).await;
    }
}

/// Leaves out the current task: `verify` runs in it, so it is not a leak.
fn without_current(mut tasks: Vec<Arc<Task>>) -> Vec<Arc<Task>> {
    if let Some(current) = Task::current() {
        tasks.retain(|task| task.number != current.number);
    }
    tasks
}
