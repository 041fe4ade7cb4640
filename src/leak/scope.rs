//! What belongs to one check: the tasks of a runtime that were spawned since the check began.

use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::blocking::{BlockingWork, PoolThreads};
use super::calls::Symbols;
use super::drain;
use super::place::Place;
use super::report::{BackgroundPanic, Findings, LeakedTask, Report, Verdict};
use super::rules::{Judgement, Rules};
use super::session::Session;
use super::task::{Kind, Task};
use super::threads::LeakedThread;
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
    rules: Rules,
    /// The tasks with numbers up to this one were there before.
    after: usize,
    /// How many others were.
    unseen_before: usize,
    /// The path of the test, if it has one.
    pub(crate) test: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct Found {
    /// `None` if nothing is wrong.
    pub(crate) report: Option<Report>,
    /// The rules that allowed nothing, where nothing is wrong.
    pub(crate) unused_rules: Vec<String>,
    /// How much more may remain.
    room: usize,
    /// How many tasks are left of which this build sees nothing else.
    unseen: usize,
}

/// What shows only when the runtime has been shut down.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// How much blocking work is left that is not on record.
    pub(crate) blocking: usize,
    /// The threads that are left, if the test denies them.
    pub(crate) threads: Vec<LeakedThread>,
    /// Why they could not be found out, if so.
    pub(crate) failed: Option<String>,
}

impl Scope {
    /// Begins with what is there now.
    pub(crate) fn begin(
        session: Arc<Session>,
        runtime: Handle,
        rules: Rules,
        test: Option<&'static str>,
        place: &'static Location<'static>,
    ) -> Self {
        super::place::find_workspace(place);
        let mut scope = Self {
            after: session.last_number(),
            session,
            runtime,
            rules,
            unseen_before: 0,
            test,
            place,
        };
        scope.unseen_before = scope.settled_unseen();
        scope
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

    /// The report of a test that ended too late.
    pub(crate) fn late(&self, timeout: Duration, took: Duration) -> Report {
        let verdict = Verdict::Late { timeout, took };
        Report::new(Findings {
            blocking: blocking_work(&self.blocking()),
            ..Findings::new(self.test, self.place, verdict)
        })
    }

    /// The report of a check that could not be made to its end.
    pub(crate) fn failed(&self, panic: &Panic) -> Report {
        let verdict = Verdict::CheckFailed(panic.to_string());
        Report::new(Findings::new(self.test, self.place, verdict))
    }

    /// Ends the check if there is nothing to stop and nothing to wait for, as in nearly every test.
    pub(crate) fn end_if_clean(&self) -> Option<Found> {
        (self.session.is_idle(self.after) && self.unseen() == 0).then(|| Found {
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
        let _stopping = self.session.stop_background(self.after);
        let (begun, clock) = (Instant::now(), tokio::time::Instant::now());
        let is_clean = drain::until(grace, || self.judge().is_clean()).await;
        let clock_stood_still =
            clock.elapsed().is_zero() && begun.elapsed() > Duration::from_millis(1);
        if !is_clean {
            self.ask().await;
        }
        // What is left now counts: some may have come to an end meanwhile.
        let judged = self.judge();
        let panics = self.session.take_panics(self.after).into_iter();
        let panics = panics.map(|(task, message)| BackgroundPanic::new(&task, message));
        let mut findings = Findings {
            allowed: judged.judgement.allowed,
            panics: panics.collect(),
            clock_stood_still,
            places_were_needed: self.rules.need_places(),
            ..Findings::new(self.test, self.place, Verdict::Leaked)
        };
        let (room, unseen) = (judged.room(), judged.unseen);
        if !judged.is_clean() {
            let excess = judged.split_excess().1.iter();
            findings.blocking = blocking_work(excess.map(|&index| &judged.tasks[index]));
        }
        if judged.tasks_left() > judged.judgement.allowed {
            findings.tasks = judged.excess();
            findings.unseen = judged.unseen;
            findings.unused_rules = judged.judgement.unused;
        } else if !findings.panics.is_empty() {
            findings.verdict = Verdict::BackgroundPanicked;
        } else if !judged.is_clean() {
            findings.verdict = Verdict::BlockingLeaked;
            findings.besides = judged.tasks_left();
            findings.unused_rules = judged.judgement.unused;
        } else {
            return Found {
                report: None,
                unused_rules: judged.judgement.unused,
                room,
                unseen,
            };
        }
        Found {
            report: Some(Report::new(findings)),
            unused_rules: Vec::new(),
            room,
            unseen,
        }
    }

    /// Adds what shows only when the runtime has been shut down.
    pub(crate) fn add(&self, mut found: Found, rest: Rest) -> Found {
        if rest == Rest::default() {
            return found;
        }
        let may_be_tasks = self.may_be_tasks(found.unseen, &rest);
        // What may be a task that is allowed fails no test.
        let is_too_much = rest.blocking - may_be_tasks > found.room;
        if rest.blocking > 0 && found.room > 0 {
            let count = self.rules.for_count();
            found.unused_rules.retain(|rule| *rule != count);
        }
        let mut findings = match found.report.take() {
            Some(report) => report.into_findings(),
            None if is_too_much => Findings {
                allowed: self.rules.count(),
                besides: self.rules.count() - found.room,
                unused_rules: mem::take(&mut found.unused_rules),
                places_were_needed: self.rules.need_places(),
                ..Findings::new(self.test, self.place, Verdict::BlockingLeaked)
            },
            None if !rest.threads.is_empty() => {
                Findings::new(self.test, self.place, Verdict::ThreadsLeaked)
            }
            None => match rest.failed {
                Some(reason) => Findings::new(self.test, self.place, Verdict::CheckFailed(reason)),
                None => return found,
            },
        };
        if is_too_much || findings.verdict == Verdict::Leaked {
            findings.unseen_blocking = rest.blocking;
            findings.may_be_tasks = may_be_tasks;
        }
        findings.threads = rest.threads;
        found.report = Some(Report::new(findings));
        found
    }

    /// Adds to the report of a test whose time was up what shows only when the runtime has been shut
    /// down.
    pub(crate) fn add_to(&self, report: Report, rest: Rest) -> Report {
        let may_be_tasks = self.may_be_tasks(report.unseen(), &rest);
        Report::new(Findings {
            unseen_blocking: rest.blocking,
            may_be_tasks,
            threads: rest.threads,
            ..report.into_findings()
        })
    }

    /// How many of the threads of the runtime that have not stopped may be workers, which a task
    /// blocks. Of a task that is not on record it cannot be seen.
    fn may_be_tasks(&self, unseen: usize, rest: &Rest) -> usize {
        match self.runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => unseen.min(rest.blocking),
            _ => 0,
        }
    }

    /// How much blocking work is left that is not on record, when the runtime has been shut down.
    pub(crate) fn unseen_blocking(&self, threads: &PoolThreads) -> usize {
        threads.unseen_work(&self.runtime, &self.session)
    }

    /// Ends the check of a test whose time is up, and says where its body and its tasks wait.
    ///
    /// It has to run in the scope's runtime.
    pub(crate) async fn give_up(&self, body: &Task, timeout: Duration) -> Report {
        self.ask().await;
        let mut symbols = Symbols::default();
        let verdict = Verdict::Hung {
            timeout,
            wait: body.wait(&mut symbols),
        };
        let now = Instant::now();
        let alive = self.leaked();
        let alive = alive.iter();
        Report::new(Findings {
            tasks: alive
                .map(|task| LeakedTask::new(task, now, &mut symbols))
                .collect(),
            blocking: blocking_work(&self.blocking()),
            unseen: self.unseen(),
            ..Findings::new(self.test, self.place, verdict)
        })
    }

    /// Asks each task that is left where it waits, and gives it time to answer.
    async fn ask(&self) {
        let unseen = self.unseen();
        for task in self.leaked() {
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
        without_asking(self.session.leaked(self.after))
    }

    /// The blocking work on record that has not ended.
    fn blocking(&self) -> Vec<Arc<Task>> {
        without_asking(self.session.blocking(self.after))
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

/// What is known of blocking work now.
fn blocking_work<'a>(tasks: impl IntoIterator<Item = &'a Arc<Task>>) -> Vec<BlockingWork> {
    let now = Instant::now();
    let tasks = tasks.into_iter();
    tasks.map(|task| BlockingWork::new(task, now)).collect()
}

/// The tasks but for the one that asks, which is no leak.
fn without_asking(mut tasks: Vec<Arc<Task>>) -> Vec<Arc<Task>> {
    if let Some(asking) = Task::current() {
        tasks.retain(|task| task.number != asking.number);
    }
    tasks
}

/// What is left at one moment, and what the rules say of it.
struct Judged {
    /// Tasks, then blocking work.
    tasks: Vec<Arc<Task>>,
    first_blocking: usize,
    unseen: usize,
    judgement: Judgement,
}

impl Judged {
    /// Whether nothing is left but what the rules allow.
    fn is_clean(&self) -> bool {
        self.left() <= self.judgement.allowed
    }

    /// How much more may remain.
    fn room(&self) -> usize {
        self.judgement.allowed.saturating_sub(self.left())
    }

    /// How much is left that no rule for a place allows.
    fn left(&self) -> usize {
        self.judgement.excess.len() + self.unseen
    }

    /// How much of that is tasks. They take what is allowed before blocking work does.
    fn tasks_left(&self) -> usize {
        self.split_excess().0.len() + self.unseen
    }

    /// The tasks that no rule for a place allows, and the blocking work.
    fn split_excess(&self) -> (&[usize], &[usize]) {
        let is_task = |index: &usize| *index < self.first_blocking;
        let tasks = self.judgement.excess.partition_point(is_task);
        self.judgement.excess.split_at(tasks)
    }

    /// What is known of the tasks that no rule for a place allows.
    fn excess(&self) -> Vec<LeakedTask> {
        let (now, mut symbols) = (Instant::now(), Symbols::default());
        let excess = self.split_excess().0.iter();
        excess
            .map(|&index| LeakedTask::new(&self.tasks[index], now, &mut symbols))
            .collect()
    }
}
