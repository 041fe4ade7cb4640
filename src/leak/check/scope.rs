//! What belongs to one check: the tasks of a runtime that were spawned since the check began.

use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::leak::check::blocking;
use crate::leak::check::drain;
use crate::leak::check::leftovers::Leftovers;
use crate::leak::record::locks::LockRecord;
use crate::leak::record::panics::{Panicked, Watermark};
use crate::leak::record::session::Session;
use crate::leak::record::task::{Kind, Spawner, Task};
use crate::leak::record::thread_count::ThreadCount;
use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::findings::{Ending, Findings};
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::settings::rules::Rules;
use crate::panic::Panic;
use crate::trace::place::Place;
use crate::trace::symbols::Symbols;

/// How long tasks that were asked where they wait have to answer. One that is inside of a poll all
/// the while blocks its thread.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

/// For how many milliseconds the number of tasks is watched before a check of a runtime that
/// somebody else owns, unless there is none.
const SETTLING: usize = 10;

/// What belongs to one check.
#[derive(Debug)]
pub(crate) struct Scope {
    session: Arc<Session>,
    pub(crate) runtime: Handle,
    pub(crate) rules: Rules,
    allows_panics: bool,
    /// The tasks and panics with numbers up to these were there before.
    began: Watermark,
    /// The locks with numbers up to this one were acquired before.
    locks_after: usize,
    /// How many others were.
    unseen_before: usize,
    /// The path of the test, if it has one.
    pub(crate) test: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
}

/// How far a test has come: the same twice if nothing on record was polled, begun or ended between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    begun: usize,
    alive: usize,
    polls_of_tasks: usize,
    polls_of_body: usize,
}

impl Progress {
    /// As far as this, and the body was polled once more.
    pub(crate) fn with_one_poll_more(self) -> Self {
        Self {
            polls_of_body: self.polls_of_body + 1,
            ..self
        }
    }
}

/// What a check found, and what the rest of the check has to know of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) findings: Findings,
    /// How much more may remain.
    pub(crate) room: usize,
    /// How many tasks are left that this build sees nothing else of, allowed or not.
    pub(crate) unseen: usize,
}

impl Scope {
    /// All that is ever in a runtime: it was made for the check.
    pub(crate) fn new(
        session: Arc<Session>,
        runtime: Handle,
        (rules, allows_panics): (Rules, bool),
        test: Option<&'static str>,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            began: Watermark::default(),
            locks_after: 0,
            session,
            runtime,
            rules,
            allows_panics,
            unseen_before: 0,
            test,
            place,
        }
    }

    /// Leaves out what is in the runtime now: it is somebody else's.
    pub(crate) fn since_now(self) -> Self {
        let began = self.session.watermark();
        let locks_after = self.session.locks().last_number();
        let unseen_before = self.settled_unseen();
        Self {
            began,
            locks_after,
            unseen_before,
            ..self
        }
    }

    /// How many tasks that are not on record are there to stay.
    ///
    /// Workers count a task for a moment longer than its handle is awaited (up to 7 ms were seen).
    /// One that is gone must not make room for one that leaks.
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

    /// Nothing was found.
    pub(crate) fn no_findings(&self) -> Findings {
        Findings::none(self.test, self.place)
    }

    /// The report of a check that panicked.
    pub(crate) fn failed(&self, panic: &Panic) -> Report {
        Report::of_ending(Ending::CheckFailed(panic.to_string()), self.no_findings())
    }

    /// Ends the check if there is nothing to stop and nothing to wait for, as in nearly every test.
    pub(crate) fn end_if_clean(&self) -> Option<Found> {
        let is_clean = self.session.is_idle(self.began.last_task)
            && self.session.locks().hold_none(self.locks_after)
            && self.unseen() == 0;
        is_clean.then(|| Found {
            findings: Findings {
                unused_rules: self.rules.all(),
                ..self.no_findings()
            },
            room: self.rules.count(),
            unseen: 0,
        })
    }

    /// Ends the check: stops the background tasks, waits until only what is allowed is left or the
    /// grace is over, and collects what is left then.
    ///
    /// It has to run in the scope's runtime.
    pub(crate) async fn end(&self, grace: Duration) -> Found {
        let _stopping = self.session.stop_background(self.began.last_task);
        let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
        let is_clean = drain::until(grace, || {
            let leftovers = self.leftovers();
            leftovers.are_allowed() && self.held_locks(&leftovers).is_empty()
        })
        .await;
        let clock_stood_still =
            clock.elapsed().is_zero() && begun.elapsed() > Duration::from_millis(1);
        if !is_clean && !self.leftovers().are_allowed() {
            self.probe().await;
        }
        // What is left now counts: some may have ended meanwhile.
        let leftovers = self.leftovers();
        let locks = self.held_locks(&leftovers);
        let mut findings = Findings {
            locks,
            ..self.no_findings()
        };
        let (room, unseen) = (leftovers.room(), leftovers.unseen);
        if !leftovers.are_allowed() {
            findings.blocking = leftovers.excess_blocking();
            findings.allowed = leftovers.applied.allowed;
            findings.clock_stood_still = clock_stood_still;
            findings.places_were_needed = self.rules.need_places();
            if leftovers.task_count() > leftovers.applied.allowed {
                findings.tasks = leftovers.excess_tasks();
                findings.unseen = leftovers.unseen;
            } else {
                findings.also_left = leftovers.task_count();
            }
        }
        findings.unused_rules = leftovers.applied.unused;
        Found {
            findings,
            room,
            unseen,
        }
    }

    /// Adds the tasks that panicked, if that is not allowed.
    ///
    /// It has to come last: a task may panic when the runtime drops it.
    pub(crate) fn add_panics(&self, findings: &mut Findings) {
        let panicked = self.session.take_panics(self.began);
        self.add(&panicked, findings);
    }

    /// Adds the tasks that panicked so far to a report that is not the last one.
    pub(crate) fn with_panics_so_far(&self, report: Report) -> Report {
        let panicked = self.session.panics_so_far(self.began);
        report.amend(|findings| self.add(&panicked, findings))
    }

    fn add(&self, panicked: &[Panicked], findings: &mut Findings) {
        if self.allows_panics || panicked.is_empty() {
            return;
        }
        let mut symbols = Symbols::default();
        let panics = panicked.iter();
        let panics = panics.filter_map(|panicked| TaskPanic::of(panicked, &mut symbols));
        findings.panics.extend(panics);
    }

    /// How much blocking work is left that is not on record, when the runtime has been shut down.
    pub(crate) fn unseen_blocking(&self, threads: &ThreadCount) -> usize {
        blocking::unseen_work(threads, &self.runtime, &self.session)
    }

    /// Ends the check of a test whose time is up, and says where its body and its tasks wait.
    ///
    /// They were asked before, while the body was polled, which may be what polls them. It has to run in
    /// the scope's runtime.
    pub(crate) async fn give_up(&self, ending: Ending) -> Report {
        self.await_traces().await;
        self.with_tasks(ending, &mut Symbols::default())
    }

    /// The report of a test whose time is up, with what is known of its body and its tasks.
    pub(crate) fn hung(&self, body: &Task, timeout: Duration) -> Report {
        let mut symbols = Symbols::default();
        let ending = Ending::Hung {
            timeout,
            wait: body.wait(&mut symbols),
        };
        self.with_tasks(ending, &mut symbols)
    }

    /// The report of a test that does not come to its end, with what is known of what is left.
    pub(crate) fn stuck(&self) -> Report {
        self.with_tasks(Ending::Stuck, &mut Symbols::default())
    }

    /// A report with what is known of the tasks that are alive.
    pub(crate) fn with_tasks(&self, ending: Ending, symbols: &mut Symbols) -> Report {
        let now = Instant::now();
        let alive = self.leaked();
        let alive = alive.iter();
        let locks = self.session.locks().in_use(self.locks_after);
        let findings = Findings {
            tasks: alive
                .map(|task| LeakedTask::new(task, now, symbols))
                .collect(),
            blocking: self.blocking_work(),
            unseen: self.unseen(),
            locks: self.lock_states(&locks),
            ..self.no_findings()
        };
        Report::of_ending(ending, findings)
    }

    /// The locks that are held and should not be. A task that may remain may hold some too.
    fn held_locks(&self, leftovers: &Leftovers) -> Vec<LockState> {
        let is_excused = |by: &Spawner| match by {
            Spawner::Task(task) => leftovers.tasks.iter().any(|left| Arc::ptr_eq(left, task)),
            Spawner::Unknown => leftovers.unseen > 0,
            Spawner::Thread => false,
        };
        let are_allowed = leftovers.are_allowed();
        let is_excused = |by: &Spawner| are_allowed && is_excused(by);
        let held = self.session.locks().held(self.locks_after, is_excused);
        self.lock_states(&held)
    }

    fn lock_states(&self, locks: &[Arc<LockRecord>]) -> Vec<LockState> {
        let (runtime, now) = (self.session.runtime(), Instant::now());
        let locks = locks.iter();
        locks
            .map(|lock| LockState::new(lock, runtime, now))
            .collect()
    }

    /// Whether blocking work on record has not ended.
    pub(crate) fn has_blocking(&self) -> bool {
        !self.session.blocking(self.began.last_task).is_empty()
    }

    /// How far the test has come, unless it is inside of a poll.
    pub(crate) fn progress(&self, body: &Task) -> Option<Progress> {
        let begun = self.session.last_number();
        let (tasks, blocking) = (
            self.session.leaked(self.began.last_task),
            self.session.blocking(self.began.last_task),
        );
        let is_in_poll = body.is_in_poll() || tasks.iter().any(|task| task.is_in_poll());
        let polls = |task: &Task| task.polls().unwrap_or(0);
        (!is_in_poll).then(|| Progress {
            begun,
            alive: tasks.len() + blocking.len(),
            polls_of_tasks: tasks.iter().map(|task| polls(task)).sum(),
            polls_of_body: polls(body),
        })
    }

    /// What the clock of the runtime says: mostly something else than before, unless it is paused.
    pub(crate) fn clock(&self) -> tokio::time::Instant {
        let _runtime = self.runtime.enter();
        tokio::time::Instant::now()
    }

    /// Asks each task that is left where it waits.
    pub(crate) fn probe_tasks(&self) {
        for task in self.leaked() {
            task.probe();
        }
    }

    /// Asks each task that is left where it waits, and gives it time to answer.
    async fn probe(&self) {
        self.probe_tasks();
        self.await_traces().await;
    }

    /// Gives each task that is left, and was asked where it waits, time to answer.
    pub(crate) async fn await_traces(&self) {
        let unseen = self.unseen();
        for task in self.leaked().iter().filter(|task| !task.has_trace()) {
            // It may have begun since.
            task.probe();
        }
        drain::until(PROBE_TIMEOUT, || {
            // One that comes to an end instead is alive a moment longer than it is on record.
            self.have_traces() && self.unseen() <= unseen
        })
        .await;
    }

    /// Collects what is left and judges it by the rules.
    fn leftovers(&self) -> Leftovers {
        let (mut tasks, unseen) = (self.leaked(), self.unseen());
        let first_blocking = tasks.len();
        tasks.extend(self.blocking());
        // Without rules for places, nobody looks at them.
        let place = |task: &Arc<Task>| self.rules.need_places().then(|| task.spawned_at.into());
        let places: Vec<Option<Place>> = tasks.iter().map(place).collect();
        Leftovers {
            applied: self.rules.apply(&places, unseen),
            tasks,
            first_blocking,
            unseen,
        }
    }

    /// The tasks on record that have not ended.
    fn leaked(&self) -> Vec<Arc<Task>> {
        without_asking(self.session.leaked(self.began.last_task))
    }

    /// What is known of the blocking work on record that has not ended.
    fn blocking_work(&self) -> Vec<BlockingWork> {
        let now = Instant::now();
        let blocking = self.blocking();
        let blocking = blocking.iter();
        blocking.map(|task| BlockingWork::new(task, now)).collect()
    }

    /// The blocking work on record that has not ended.
    pub(crate) fn blocking(&self) -> Vec<Arc<Task>> {
        without_asking(self.session.blocking(self.began.last_task))
    }

    /// How many more tasks of the runtime are alive, which came since.
    pub(crate) fn unseen(&self) -> usize {
        let before = self.session.counted();
        let alive = self.runtime.metrics().num_alive_tasks();
        // One may come or go between two looks.
        let on_record = before.max(self.session.counted());
        alive.saturating_sub(on_record + self.unseen_before)
    }

    /// Whether each task has said where it waits, or cannot.
    fn have_traces(&self) -> bool {
        let leaked = self.leaked();
        leaked
            .iter()
            .all(|task| task.kind == Kind::Hooked || task.has_trace())
    }
}

/// The tasks but for the one that asks, which is no leak.
fn without_asking(mut tasks: Vec<Arc<Task>>) -> Vec<Arc<Task>> {
    if let Some(asking) = Task::current() {
        tasks.retain(|task| task.number != asking.number);
    }
    tasks
}
