//! What one check is about: its test, its rules, and what it finds in its runtime.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::leak::check::census::Census;
use crate::leak::check::drain::{self, Drained, PausedClock};
use crate::leak::check::leftovers::Leftovers;
use crate::leak::check::sleepers;
use crate::leak::record::panics::Panicked;
use crate::leak::record::task::{Spawner, Task};
use crate::leak::report::Report;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::findings::{Ending, Findings};
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::settings::rules::{Origin, Rules};
use crate::panic::Panic;
use crate::trace::symbols::Symbols;

/// One check: its test, its rules, and the census of its runtime.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) census: Census,
    pub(crate) rules: Rules,
    allows_panics: bool,
    /// The path of the test, if it has one.
    pub(crate) test: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
}

/// The findings of a check before its runtime shut down.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) findings: Findings,
    /// How many more leftovers the count rule allows.
    pub(crate) room: usize,
    /// How many more leftovers without a record the place rules allow.
    pub(crate) place_room: usize,
    /// How many tasks are left that are not recorded, allowed or not.
    pub(crate) unseen: usize,
}

impl Scope {
    /// Creates the scope of a check.
    pub(crate) fn new(
        census: Census,
        rules: Rules,
        allows_panics: bool,
        test: Option<&'static str>,
        place: &'static Location<'static>,
    ) -> Self {
        if rules.need_functions() {
            census.keep_stacks();
        }
        Self {
            census,
            rules,
            allows_panics,
            test,
            place,
        }
    }

    /// Returns findings with nothing found.
    pub(crate) fn no_findings(&self) -> Findings {
        Findings {
            has_tracked: self.census.has_tracked(),
            ..Findings::none(self.test, self.place)
        }
    }

    /// Returns the report of a check that panicked.
    pub(crate) fn failed(&self, panic: &Panic) -> Report {
        Report::of_ending(Ending::CheckFailed(panic.to_string()), self.no_findings())
    }

    /// Ends the check without entering the runtime, if there is nothing to stop or wait for.
    ///
    /// This is the path of nearly every test.
    pub(crate) fn end_if_clean(&self) -> Option<Found> {
        self.census.is_clean().then(|| Found {
            findings: Findings {
                unused_rules: self.rules.all(),
                ..self.no_findings()
            },
            room: self.rules.count(),
            place_room: self.rules.room(),
            unseen: 0,
        })
    }

    /// Ends the check: stops the background tasks, waits until only allowed leftovers remain, the
    /// grace is over or `is_final` says that waiting changes nothing, and collects the leftovers.
    ///
    /// The future has to run in the runtime of the check.
    pub(crate) async fn end(
        &self,
        grace: Duration,
        paused: PausedClock,
        is_final: impl FnMut() -> bool,
    ) -> Found {
        let _stopping = self.census.stop_background();
        let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
        let is_clean = self.drain(grace, paused, is_final).await;
        let waited = begun.elapsed();
        let clock_stood_still = clock.elapsed().is_zero() && waited > Duration::from_millis(1);
        // The test fails anyway. The outcome that a probe brings about is held back, so the leak stays.
        if !is_clean && !self.leftovers().are_allowed() {
            self.census.probe_tasks();
            self.census.await_answers().await;
        }
        // Collected again, since a task may have been woken and have ended meanwhile.
        let leftovers = self.leftovers();
        let locks = self.held_locks(&leftovers);
        let mut findings = Findings {
            locks,
            waited: (!is_clean).then_some(waited),
            ..self.no_findings()
        };
        let (room, unseen) = (leftovers.room(), leftovers.unseen);
        let place_room = leftovers.applied.room;
        findings.assumed = leftovers.applied.assumed;
        if !leftovers.are_allowed() {
            findings.blocking = leftovers.excess_blocking();
            findings.allowed = leftovers.applied.allowed;
            findings.clock_stood_still = clock_stood_still;
            findings.rules = self.rules.clone();
            // Tasks use up the allowed count first. Only if they exceed it are they findings.
            if leftovers.task_count() > leftovers.applied.allowed {
                findings.tasks = leftovers.excess_tasks();
                findings.unseen = leftovers.applied.unseen;
            } else {
                findings.also_left = leftovers.task_count();
            }
        }
        findings.unused_rules = leftovers.applied.unused;
        Found {
            findings,
            room,
            place_room,
            unseen,
        }
    }

    /// Gives clean-up the grace that the dropped body of a test that was given up has spawned. Its
    /// report is made, so this finds nothing.
    ///
    /// The future has to run in the runtime of the check.
    pub(crate) async fn clean_up(
        &self,
        grace: Duration,
        paused: PausedClock,
        is_final: impl FnMut() -> bool,
    ) {
        let _stopping = self.census.stop_background();
        self.drain(grace, paused, is_final).await;
    }

    /// Waits until only allowed leftovers remain, the grace is over, or `is_final` says that waiting
    /// changes nothing. Returns whether they are allowed.
    async fn drain(
        &self,
        grace: Duration,
        paused: PausedClock,
        is_final: impl FnMut() -> bool,
    ) -> bool {
        let begun = Instant::now();
        let is_done = || {
            if self.are_too_many() {
                return false;
            }
            let leftovers = self.leftovers();
            leftovers.are_allowed() && self.held_locks(&leftovers).is_empty()
        };
        let left = self.census.least_left() + self.census.unseen();
        let drained = drain::until(grace, paused, left, is_done, is_final).await;
        if drained != Drained::Final || sleepers::outlast(&self.census, grace).await {
            return drained == Drained::Done;
        }
        let rest = grace.saturating_sub(begun.elapsed());
        drain::until(rest, paused, left, is_done, || false).await == Drained::Done
    }

    /// Adds the tasks that panicked, unless panics are allowed.
    pub(crate) fn add_panics(&self, findings: &mut Findings) {
        self.add(&self.census.take_panics(), findings);
    }

    /// Adds the tasks that panicked since then, while they were dropped.
    ///
    /// Has to come last: the runtime drops its tasks when it shuts down.
    pub(crate) fn add_panics_at_shutdown(&self, findings: &mut Findings) {
        self.add_at_shutdown(&self.census.take_panics(), findings);
    }

    /// Adds the tasks that panicked so far to a preliminary report.
    pub(crate) fn with_panics_so_far(&self, report: Report) -> Report {
        let panicked = self.census.panics_so_far();
        report.amend(|findings| self.add(&panicked, findings))
    }

    /// The same while the runtime shuts down.
    pub(crate) fn with_shutdown_panics_so_far(&self, report: Report) -> Report {
        let panicked = self.census.panics_so_far();
        report.amend(|findings| self.add_at_shutdown(&panicked, findings))
    }

    fn add_at_shutdown(&self, panicked: &[Panicked], findings: &mut Findings) {
        let before = findings.panics.len();
        self.add(panicked, findings);
        findings.panics_at_shutdown = findings.panics.len() - before;
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

    /// Ends the check of a test that was given up, with where its tasks wait.
    ///
    /// The caller has probed them while it polled the body, since that may poll tasks of a
    /// `LocalSet`. The future has to run in the runtime of the check.
    pub(crate) async fn give_up(&self, ending: Ending) -> Report {
        self.census.await_answers().await;
        self.with_tasks(ending, &mut Symbols::default())
    }

    /// Returns the report of a test that exceeded its timeout, with the findings so far.
    pub(crate) fn hung(&self, body: &Task, timeout: Duration) -> Report {
        let mut symbols = Symbols::default();
        let ending = Ending::Hung {
            timeout,
            wait: body.wait(&mut symbols),
        };
        self.with_tasks(ending, &mut symbols)
    }

    /// Returns the report of a test whose teardown hangs, with the findings so far.
    pub(crate) fn stuck(&self) -> Report {
        self.with_tasks(Ending::Stuck, &mut Symbols::default())
    }

    /// Returns a report that lists everything alive.
    pub(crate) fn with_tasks(&self, ending: Ending, symbols: &mut Symbols) -> Report {
        let now = Instant::now();
        let (tasks, blocking) = (self.census.tasks(), self.census.blocking());
        let (tasks, blocking) = (tasks.iter(), blocking.iter());
        let findings = Findings {
            tasks: tasks
                .map(|task| LeakedTask::new(task, now, symbols))
                .collect(),
            blocking: blocking
                .map(|work| BlockingWork::new(work, now, symbols))
                .collect(),
            unseen: self.census.unseen(),
            locks: self.census.locks_in_use(),
            ..self.no_findings()
        };
        Report::of_ending(ending, findings)
    }

    /// Returns the held locks, without those of leftovers that the rules allow.
    fn held_locks(&self, leftovers: &Leftovers) -> Vec<LockState> {
        let is_leftover = |by: &Spawner| match by {
            Spawner::Task(task) => leftovers.tasks.iter().any(|left| Arc::ptr_eq(left, task)),
            // The holder may be any of the untracked tasks.
            Spawner::Unknown => leftovers.unseen > 0,
            Spawner::Thread => false,
        };
        let are_allowed = leftovers.are_allowed();
        self.census.held_locks(|by| are_allowed && is_leftover(by))
    }

    /// Returns whether more is left than the rules allow, judged by the count alone. Listing many
    /// leftovers takes time that they could use to end.
    fn are_too_many(&self) -> bool {
        let at_most = self.rules.at_most();
        at_most.is_some_and(|at_most| self.census.least_left() > at_most)
    }

    /// Collects the leftovers and applies the rules to them.
    fn leftovers(&self) -> Leftovers {
        let (mut tasks, unseen) = (self.census.tasks(), self.census.unseen());
        let first_blocking = tasks.len();
        tasks.extend(self.census.blocking());
        // Resolving places and functions costs something. Without such rules nothing reads them.
        let (needs_places, needs_functions) =
            (self.rules.need_places(), self.rules.need_functions());
        let origins: Vec<_> = tasks
            .iter()
            .map(|task| Origin {
                place: needs_places.then(|| task.known_place()).flatten(),
                function: needs_functions.then(|| task.function()).flatten(),
            })
            .collect();
        Leftovers {
            applied: self.rules.apply(&origins, unseen),
            tasks,
            first_blocking,
            unseen,
        }
    }
}
