//! Annotations: GitHub Actions shows them beside the changed lines of a pull request.
//!
//! An annotation is a line of output: `::error file=src/lib.rs,line=7,title=..::message`. Messages escape
//! `%` and line ends; properties also escape `:` and `,`.

use std::fmt;
use std::fmt::Write as _;
use std::iter;

use crate::leak::render::blocking;
use crate::leak::render::groups;
use crate::leak::render::locks;
use crate::leak::render::repository::Repository;
use crate::leak::render::summary::{Explored, Found, NOTHING_TO_CANCEL, Summary};
use crate::leak::render::tasks::{write_group, write_panic};
use crate::leak::render::text::ending;
use crate::leak::render::threads;
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::leaked_thread::LeakedThread;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::role::Level;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::report::verdict::Verdict;
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::wording::{count, is_or_are};

/// How many annotations a test may have. GitHub shows 10 errors and 10 warnings of a step, and one
/// `cargo test` is one step.
const LISTED: usize = 5;

/// How many groups an annotation lists.
const GROUPS: usize = 3;

const CLOSURE: &str = "`spawn_blocking` closure";
const UNTRACKED_CLOSURE: &str = "untracked `spawn_blocking` closure";

/// Returns one annotation per place with findings, each on its own line.
pub(crate) fn annotations(summary: &Summary<'_>, repository: &Repository) -> String {
    let mut annotations = Annotations::new(summary, repository);
    // The cause comes first: only the first annotations are shown.
    annotations.add_body();
    if let Some(report) = summary.report() {
        if report.has_panics_first() {
            annotations.add_panics(report);
            annotations.add_test(report);
        } else {
            annotations.add_test(report);
            annotations.add_panics(report);
        }
        annotations.add_tasks(report);
        annotations.add_unseen_tasks(report);
        annotations.add_blocking(report);
        annotations.add_locks(report);
        annotations.add_threads(report);
    }
    annotations.lines()
}

/// Collects the annotations of a test.
struct Annotations<'a> {
    summary: &'a Summary<'a>,
    repository: &'a Repository,
    /// The test as messages name it.
    test: String,
    all: Vec<Annotation>,
}

/// One line of output.
struct Annotation {
    level: Level,
    place: Place,
    /// The paragraphs of the message.
    says: Vec<String>,
}

impl<'a> Annotations<'a> {
    fn new(summary: &'a Summary<'a>, repository: &'a Repository) -> Self {
        let test = match summary.test {
            Some(test) => format!("the test `{test}` ({})", summary.place),
            None => format!("the check at {}", summary.place),
        };
        Self {
            summary,
            repository,
            test,
            all: Vec::new(),
        }
    }

    /// Adds a failure that only an exploration reports: of a run's body, or of all runs together.
    fn add_body(&mut self) {
        let test = &self.test;
        let (at, says) = match self.summary.found {
            Found::Report(_) => return,
            Found::BodyPanic { message, at, .. } => {
                let message = message.unwrap_or("(the payload is not a string)");
                (at, format!("{test} panicked in {}: {message}", self.run()))
            }
            Found::BodyError { message, .. } => {
                let run = self.run();
                (
                    None,
                    format!("{test} returned an error in {run}: {message}"),
                )
            }
            Found::NoOverlap => (
                None,
                format!("no two operations of {test} overlapped in any run, as it requires"),
            ),
            Found::Unscheduled(tasks) => (
                None,
                format!(
                    "{test} spawns tasks that no schedule decides, {tasks} at a time: spawn them through \
                     straggler"
                ),
            ),
            Found::Diverged => (
                None,
                format!(
                    "{test} depends on more than its schedule: its schedules cannot be enumerated"
                ),
            ),
            Found::NothingToCancel => (None, format!("{test} {NOTHING_TO_CANCEL}")),
            Found::NotRun(reason) => (None, format!("{test} was not run: {reason}")),
        };
        let says = match self
            .summary
            .explored
            .as_ref()
            .and_then(|of| of.run.as_ref())
        {
            Some(run) => format!("{says}\nreplay it with STRAGGLER_SEED={}", run.seed),
            None => says,
        };
        let test = self.summary.place.clone();
        self.add(
            self.summary.role.level(),
            at.into_iter().chain([&test]),
            says,
        );
    }

    /// Names the failed run.
    fn run(&self) -> String {
        match &self.summary.explored {
            Some(Explored {
                runs: 2..,
                run: Some(run),
            }) => format!("run {}", run.number),
            _ => "its run".to_owned(),
        }
    }

    /// Adds a verdict on the test itself rather than on its leftovers.
    fn add_test(&mut self, report: &Report) {
        let test = &self.test;
        let on_test = report.on_test();
        let says = ending(on_test, test);
        let says = match on_test {
            Verdict::Panicked
            | Verdict::Leaked
            | Verdict::BlockingLeaked
            | Verdict::LocksHeld
            | Verdict::ThreadsLeaked => return,
            Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait } => format!("{says}\n{wait}"),
            Verdict::Late { .. }
            | Verdict::Stuck
            | Verdict::NotRun(_)
            | Verdict::CheckFailed(_) => says,
        };
        let level = self.level_if(on_test == report.verdict());
        self.add(level, [report.place()], says);
    }

    fn add_tasks(&mut self, report: &Report) {
        let groups = groups::of_tasks(report.tasks());
        let mut by_place: Vec<Vec<&[&LeakedTask]>> = Vec::new();
        for group in &groups {
            let is_here = |groups: &&mut Vec<&[&LeakedTask]>| {
                let other = groups[0][0];
                (other.place(), other.caller()) == (group[0].place(), group[0].caller())
            };
            match by_place.iter_mut().find(is_here) {
                Some(groups) => groups.push(group),
                None => by_place.push(vec![group]),
            }
        }
        for groups in by_place {
            let first = groups[0][0];
            let count = groups.iter().map(|group| group.len()).sum();
            let says = format!(
                "{}{}",
                self.are_left(report, count, "task"),
                Listed(&groups)
            );
            let called_at = first.caller().and_then(Call::place);
            let places = iter::once(first.place()).chain(called_at);
            self.add(self.level_of_tasks(report), places, says);
        }
    }

    fn add_unseen_tasks(&mut self, report: &Report) {
        let count = report.unseen();
        if count == 0 {
            return;
        }
        let says = self.are_left(report, count, "untracked task");
        self.add(self.level_of_tasks(report), [report.place()], says);
    }

    fn add_panics(&mut self, report: &Report) {
        let level = self.level_if(*report.verdict() == Verdict::Panicked);
        for alike in groups::of_panics(report.panics()) {
            let first = alike[0];
            let count = count(alike.len(), "task");
            let says = format!("{count} panicked during {}{}", self.test, Panicked(&alike));
            let called_at = first.caller().and_then(Call::place);
            let places = [first.spawned_at(), called_at, first.place()];
            self.add(level, places.into_iter().flatten(), says);
        }
    }

    fn add_blocking(&mut self, report: &Report) {
        let level = self.level_if(*report.verdict() == Verdict::BlockingLeaked);
        for alike in groups::of_blocking(report.blocking()) {
            let says = format!(
                "{}{}",
                self.are_left(report, alike.len(), CLOSURE),
                Running(&alike)
            );
            self.add(level, [alike[0].place()], says);
        }
        let unseen = report.unseen_blocking();
        if unseen > 0 {
            let says = self.are_left(report, unseen, UNTRACKED_CLOSURE);
            self.add(level, [report.place()], says);
        }
    }

    fn add_threads(&mut self, report: &Report) {
        let left = report.threads();
        if left.is_empty() {
            return;
        }
        let level = self.level_if(*report.verdict() == Verdict::ThreadsLeaked);
        let says = format!(
            "{} outlived {}{}",
            count(left.len(), "thread"),
            self.test,
            Named(left)
        );
        self.add(level, [report.place()], says);
    }

    fn add_locks(&mut self, report: &Report) {
        let level = self.level_if(*report.verdict() == Verdict::LocksHeld);
        for alike in groups::of_locks(report.locks()) {
            let (locks, are) = (count(alike.len(), "lock"), is_or_are(alike.len()));
            let (test, users) = (&self.test, InUse(&alike));
            let says = if report.is_under_way() {
                format!("{locks} {are} in use while {test} hangs{users}")
            } else {
                format!("{locks} {are} still held at the end of {test}{users}")
            };
            let users = alike[0].holder().into_iter().chain(alike[0].waiters());
            self.add(level, users.map(Acquisition::place), says);
        }
    }

    /// Describes leftovers of a kind: `2 tasks outlived the test ..`.
    fn are_left(&self, report: &Report, number: usize, noun: &str) -> String {
        let (test, left, are) = (&self.test, count(number, noun), is_or_are(number));
        match report.ending() {
            _ if report.is_under_way() => format!("{left} {are} alive while {test} hangs"),
            Some(Verdict::Late { .. }) => format!("{left} {are} alive at the end of {test}"),
            _ => format!("{left} outlived {test}"),
        }
    }

    fn level_of_tasks(&self, report: &Report) -> Level {
        self.level_if(*report.verdict() == Verdict::Leaked)
    }

    /// The level of a finding: only the finding that decided the verdict can be an error.
    fn level_if(&self, is_verdict: bool) -> Level {
        if is_verdict && self.summary.fails_by_report() {
            self.summary.role.level()
        } else {
            Level::Warning
        }
    }

    /// Adds a message at the first of these places that is in the repository, or else at the test.
    fn add<'p>(&mut self, level: Level, places: impl IntoIterator<Item = &'p Place>, says: String) {
        let mut places = places.into_iter();
        let place = places.find(|place| self.repository.file(place).is_some());
        let place = place.unwrap_or(&self.summary.place);
        match self.all.iter_mut().find(|other| other.place == *place) {
            Some(there) => {
                there.level = there.level.max(level);
                there.says.push(says);
            }
            None => self.all.push(Annotation {
                level,
                place: place.clone(),
                says: vec![says],
            }),
        }
    }

    /// Writes the first annotations, and counts the others in the last one.
    fn lines(mut self) -> String {
        let more = self.all.len().saturating_sub(LISTED);
        self.all.truncate(LISTED);
        if let (Some(last), 1..) = (self.all.last_mut(), more) {
            let places = count(more, "more place");
            last.says.push(format!(
                "{places} with findings: see the report of the test"
            ));
        }
        let title = match self.summary.test {
            Some(test) => format!("leak_check: {test}"),
            None => "leak_check".to_owned(),
        };
        let lines = self.all.iter();
        lines
            .map(|annotation| annotation.line(&title, self.repository) + "\n")
            .collect()
    }
}

impl Annotation {
    fn line(&self, title: &str, repository: &Repository) -> String {
        let mut line = format!("::{} ", self.level.word());
        if let Some(file) = repository.file(&self.place) {
            _ = write!(line, "file={},line={},", property(&file), self.place.line());
            if let Some(column) = self.place.column() {
                _ = write!(line, "col={column},");
            }
        }
        _ = write!(
            line,
            "title={}::{}",
            property(title),
            data(&self.says.join("\n\n"))
        );
        line
    }
}

/// The groups of tasks spawned at one place, as the report lists them.
struct Listed<'a>(&'a [&'a [&'a LeakedTask]]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.0.iter().take(GROUPS) {
            write_group(f, group)?;
        }
        match self.0.get(GROUPS..) {
            None | Some([]) => Ok(()),
            Some(more) => {
                let more: usize = more.iter().map(|group| group.len()).sum();
                write!(f, "\n  and {more} more spawned here")
            }
        }
    }
}

/// A group of equal panics, as the report lists it.
struct Panicked<'a>(&'a [&'a TaskPanic]);

impl fmt::Display for Panicked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_panic(f, self.0)
    }
}

/// A group of equal closures, as the report lists it.
struct Running<'a>(&'a [&'a BlockingWork]);

impl fmt::Display for Running<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        blocking::write_group(f, self.0)
    }
}

/// A group of equal locks, as the report lists it.
struct InUse<'a>(&'a [&'a LockState]);

impl fmt::Display for InUse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        locks::write_group(f, self.0)
    }
}

/// The threads by name, as the report lists them.
struct Named<'a>(&'a [LeakedThread]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = groups::of_threads(self.0);
        let mut listed = groups.iter().take(GROUPS);
        listed.try_for_each(|group| threads::write_group(f, group))?;
        match groups.get(GROUPS..) {
            None | Some([]) => Ok(()),
            Some(more) => {
                let more: usize = more.iter().map(Vec::len).sum();
                write!(f, "\n  and {more} more")
            }
        }
    }
}

/// Escapes the message of an annotation.
fn data(text: &str) -> String {
    // `%` first: the other escapes bring in new ones.
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of an annotation.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::{Annotations, Level, Place, Report, Repository, Summary, data, property};
    use crate::leak::report::role::Role;

    #[test]
    fn message_escapes_percent_and_line_ends() {
        assert_eq!(data("100 %\r\nof a: b, c"), "100 %25%0D%0Aof a: b, c");
        assert_eq!(data("%0A"), "%250A");
    }

    #[test]
    fn property_escapes_colon_and_comma_too() {
        let escaped = "100 %25%0D%0Aof a%3A%3Ab%2C c";
        assert_eq!(property("100 %\r\nof a::b, c"), escaped);
        assert_eq!(property("%3A"), "%253A");
    }

    #[test]
    fn foreign_finding_moves_to_call_or_test() {
        let here = Location::caller();
        let report = Report::not_run(None, here, "");
        let (test, call) = (Place::from(here), Place::new("src/bank.rs", 7, None));
        let foreign = "/ada/.cargo/registry/src/index-0a1b/axum-0.8.9/src/lib.rs";
        let foreign = Place::new(foreign, 389, None);
        let repository = Repository::default();
        let summary = Summary::of(&report, Role::Fails);
        let mut annotations = Annotations::new(&summary, &repository);
        let mut add = |level, places: &[&Place]| {
            annotations.add(level, places.iter().copied(), places[0].to_string());
        };
        add(Level::Warning, &[&foreign]);
        add(Level::Error, &[&foreign, &call]);
        add(Level::Warning, &[&call]);
        add(Level::Error, &[&foreign, &foreign]);
        let [at_test, at_call] = annotations.all.as_slice() else {
            panic!("one for each place");
        };
        assert_eq!((&at_test.place, at_test.level), (&test, Level::Error));
        assert_eq!(at_test.says, ["axum-0.8.9/src/lib.rs:389"; 2]);
        assert_eq!((&at_call.place, at_call.level), (&call, Level::Error));
        assert_eq!(at_call.says, ["axum-0.8.9/src/lib.rs:389", "src/bank.rs:7"]);
    }
}
