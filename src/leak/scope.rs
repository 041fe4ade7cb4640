//! What belongs to one check: the tasks of a runtime that were spawned since the check began.

use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::blocking::{self, BlockingWork};
use super::calls::Symbols;
use super::drain;
use super::judged::Judged;
use super::locks::HeldLock;
use super::panics::{Beginning, Panicked};
use super::place::Place;
use super::report::{Findings, LeakedTask, Report, TaskPanic, Verdict};
use super::rules::Rules;
use super::session::Session;
use super::task::{Kind, Spawner, Task};
use super::thread_count::ThreadCount;
use super::wait::Wait;
use crate::panic::Panic;

/// How long tasks that were asked where they wait have to answer. One that is inside of a poll all
/// the while blocks its thread.
const ANSWER: Duration = Duration::from_millis(200);

/// For how many milliseconds the number of tasks is watched before a check of a runtime that
/// somebody else owns, unless there is none.
const SETTLING: usize = 10;

/// What belongs to one check.
#[derive(Debug)]
pub(crate) struct Scope {
    session: Arc<Session>,
    pub(crate) runtime: Handle,
    pub(super) rules: Rules,
    allows_panics: bool,
    /// The tasks and panics with numbers up to these were there before.
    began: Beginning,
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

/// What a check found.
#[derive(Debug)]
pub(crate) struct Found {
    /// `None` if nothing is wrong.
    pub(crate) report: Option<Report>,
    /// The rules that allowed nothing, where nothing is wrong.
    pub(crate) unused_rules: Vec<String>,
    /// How much more may remain.
    pub(super) room: usize,
    /// How many tasks are left of which this build sees nothing else.
    pub(super) unseen: usize,
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
            began: Beginning::default(),
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
        Self {
            began: self.session.so_far(),
            locks_after: self.session.last_lock(),
            unseen_before: self.settled_unseen(),
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

    /// The report of a check that could not be made to its end.
    pub(crate) fn failed(&self, panic: &Panic) -> Report {
        let verdict = Verdict::CheckFailed(panic.to_string());
        Report::new(Findings::new(self.test, self.place, verdict))
    }

    /// Ends the check if there is nothing to stop and nothing to wait for, as in nearly every test.
    pub(crate) fn end_if_clean(&self) -> Option<Found> {
        let is_clean = self.session.is_idle(self.began.last_task)
            && self.session.holds_no_lock(self.locks_after)
            && self.unseen() == 0;
        is_clean.then(|| Found {
            report: None,
            unused_rules: self.rules.all(),
            room: self.rules.count(),
            unseen: 0,
        })
    }

    /// Ends the check: stops the background tasks, waits until nothing is left that should not be,
    /// or the grace is over, and says what is left then.
    ///
    /// It has to run in the scope's runtime.
    pub(crate) async fn end(&self, grace: Duration) -> Found {
        let _stopping = self.session.stop_background(self.began.last_task);
        let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
        let is_clean = drain::until(grace, || {
            let judged = self.judge();
            judged.is_clean() && self.held_locks(&judged).is_empty()
        })
        .await;
        let clock_stood_still =
            clock.elapsed().is_zero() && begun.elapsed() > Duration::from_millis(1);
        if !is_clean && !self.judge().is_clean() {
            self.ask().await;
        }
        // What is left now counts: some may have come to an end meanwhile.
        let judged = self.judge();
        let locks = self.held_locks(&judged);
        let (room, unseen) = (judged.room(), judged.unseen);
        if judged.is_clean() && locks.is_empty() {
            return Found {
                report: None,
                unused_rules: judged.judgement.unused,
                room,
                unseen,
            };
        }
        if judged.is_clean() {
            let findings = Findings {
                locks,
                unused_rules: judged.judgement.unused,
                ..Findings::new(self.test, self.place, Verdict::LocksHeld)
            };
            return Found {
                report: Some(Report::new(findings)),
                unused_rules: Vec::new(),
                room,
                unseen,
            };
        }
        let mut findings = Findings {
            locks,
            blocking: judged.excess_blocking(),
            allowed: judged.judgement.allowed,
            clock_stood_still,
            places_were_needed: self.rules.need_places(),
            ..Findings::new(self.test, self.place, Verdict::BlockingLeaked)
        };
        if judged.tasks_left() > judged.judgement.allowed {
            findings.verdict = Verdict::Leaked;
            findings.tasks = judged.excess();
            findings.unseen = judged.unseen;
        } else {
            findings.besides = judged.tasks_left();
        }
        findings.unused_rules = judged.judgement.unused;
        Found {
            report: Some(Report::new(findings)),
            unused_rules: Vec::new(),
            room,
            unseen,
        }
    }

    /// Adds to a report the tasks that panicked, if that is not allowed; makes one if there is none.
    ///
    /// It has to be last: a task may panic when the runtime drops it.
    pub(crate) fn with_panics(&self, report: Option<Report>) -> Option<Report> {
        let panicked = self.session.take_panics(self.began);
        self.with(&panicked, report)
    }

    /// The same of a report that is not the last one.
    pub(crate) fn with_panics_so_far(&self, report: Report) -> Report {
        let panicked = self.session.panics_so_far(self.began);
        self.with(&panicked, Some(report.clone())).unwrap_or(report)
    }

    fn with(&self, panicked: &[Panicked], report: Option<Report>) -> Option<Report> {
        if self.allows_panics || panicked.is_empty() {
            return report;
        }
        let mut symbols = Symbols::default();
        let panics = panicked.iter();
        let panics: Vec<_> = panics
            .filter_map(|panicked| TaskPanic::of(panicked, &mut symbols))
            .collect();
        if panics.is_empty() {
            return report;
        }
        let verdict = || Report::new(Findings::new(self.test, self.place, Verdict::Panicked));
        let mut report = report.unwrap_or_else(verdict);
        report.add_panics(panics);
        Some(report)
    }

    /// How much blocking work is left that is not on record, when the runtime has been shut down.
    pub(crate) fn unseen_blocking(&self, threads: &ThreadCount) -> usize {
        blocking::unseen_work(threads, &self.runtime, &self.session)
    }

    /// Ends the check of a test whose time is up, and says where its body and its tasks wait.
    ///
    /// They were asked before, while the body was polled, which may be what polls them. It has to run in
    /// the scope's runtime.
    pub(crate) async fn give_up(&self, verdict: Verdict) -> Report {
        self.hear().await;
        self.with_tasks(verdict, &mut Symbols::default())
    }

    /// Says so if the body, which was asked where it waits, can never end: the clock is paused, and
    /// the body and all tasks wait for one another. `None` if one may go on, as far as is known.
    ///
    /// It has to run in the scope's runtime, which is of one thread.
    pub(crate) async fn find_deadlock(&self, body: &Task, threads: &ThreadCount) -> Option<Report> {
        let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
        while begun.elapsed() < Duration::from_millis(1) {
            thread::sleep(Duration::from_millis(1));
        }
        if !clock.elapsed().is_zero() || self.unseen() > 0 {
            return None;
        }
        self.hear().await;
        // They may be at work for somebody who was just polled.
        if threads.now() > 0 || !self.session.blocking(self.began.last_task).is_empty() {
            return None;
        }
        let mut symbols = Symbols::default();
        let wait = body.wait(&mut symbols);
        let report = self.with_tasks(Verdict::Deadlocked { wait: wait.clone() }, &mut symbols);
        let mut waits = report.tasks().iter().map(LeakedTask::wait);
        let mut locks = report.held_locks().iter();
        let is_deadlock = wait.is_for_tasks()
            && waits.all(Wait::is_for_tasks)
            && report.unseen() == 0
            && !locks.any(HeldLock::may_be_released_elsewhere);
        is_deadlock.then_some(report)
    }

    /// The report of a test whose time is up, with what is known of its body and its tasks.
    pub(crate) fn hung(&self, body: &Task, timeout: Duration) -> Report {
        let mut symbols = Symbols::default();
        let verdict = Verdict::Hung {
            timeout,
            wait: body.wait(&mut symbols),
        };
        self.with_tasks(verdict, &mut symbols)
    }

    /// The report of a test that does not come to its end, with what is known of what is left.
    pub(crate) fn stuck(&self) -> Report {
        self.with_tasks(Verdict::Stuck, &mut Symbols::default())
    }

    /// A report with what is known of the tasks that are alive.
    fn with_tasks(&self, verdict: Verdict, symbols: &mut Symbols) -> Report {
        let now = Instant::now();
        let alive = self.leaked();
        let alive = alive.iter();
        Report::new(Findings {
            tasks: alive
                .map(|task| LeakedTask::new(task, now, symbols))
                .collect(),
            blocking: self.blocking_work(),
            unseen: self.unseen(),
            locks: self.session.locks_in_use(self.locks_after),
            ..Findings::new(self.test, self.place, verdict)
        })
    }

    /// The locks that are held and should not be. Of a task that may remain they may be, too.
    fn held_locks(&self, judged: &Judged) -> Vec<HeldLock> {
        let is_excused = |by: &Spawner| match by {
            Spawner::Task(task) => judged.tasks.iter().any(|left| Arc::ptr_eq(left, task)),
            Spawner::Unknown => judged.unseen > 0,
            Spawner::Thread => false,
        };
        let session = &self.session;
        session.held_locks(self.locks_after, |by| judged.is_clean() && is_excused(by))
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
    pub(crate) fn ask_tasks(&self) {
        for task in self.leaked() {
            task.ask();
        }
    }

    /// Asks each task that is left where it waits, and gives it time to answer.
    async fn ask(&self) {
        self.ask_tasks();
        self.hear().await;
    }

    /// Gives each task that is left, and was asked where it waits, time to answer.
    async fn hear(&self) {
        let unseen = self.unseen();
        for task in self.leaked().iter().filter(|task| !task.has_answered()) {
            // It may have begun since.
            task.ask();
        }
        drain::until(ANSWER, || {
            // One that comes to an end instead is alive a moment longer than it is on record.
            self.have_answered() && self.unseen() <= unseen
        })
        .await;
    }

    /// Judges what is left.
    fn judge(&self) -> Judged {
        let (mut tasks, unseen) = (self.leaked(), self.unseen());
        let first_blocking = tasks.len();
        tasks.extend(self.blocking());
        // Without rules for places, nobody looks at them.
        let place = |task: &Arc<Task>| self.rules.need_places().then(|| task.spawned_at.into());
        let places: Vec<Option<Place>> = tasks.iter().map(place).collect();
        Judged {
            judgement: self.rules.judge(&places, unseen),
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
    fn blocking(&self) -> Vec<Arc<Task>> {
        without_asking(self.session.blocking(self.began.last_task))
    }

    /// How many more tasks of the runtime are alive, which came since.
    fn unseen(&self) -> usize {
        let before = self.session.counted();
        let alive = self.runtime.metrics().num_alive_tasks();
        // One may come or go between two looks.
        let on_record = before.max(self.session.counted());
        alive.saturating_sub(on_record + self.unseen_before)
    }

    /// Whether each task has said where it waits, or cannot.
    fn have_answered(&self) -> bool {
        let leaked = self.leaked();
        leaked
            .iter()
            .all(|task| task.kind == Kind::Hooked || task.has_answered())
    }
}

/// The tasks but for the one that asks, which is no leak.
fn without_asking(mut tasks: Vec<Arc<Task>>) -> Vec<Arc<Task>> {
    if let Some(asking) = Task::current() {
        tasks.retain(|task| task.number != asking.number);
    }
    tasks
}
