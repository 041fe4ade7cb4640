//! The text of a report.

use std::fmt;
use std::time::Duration;

use super::report::{Findings, LeakedTask, Report, SpawnedBy, TaskPanic, Verdict};
use super::wait::Wait;
use super::{blocking, groups, locks, threads};
use crate::report::polled;

/// How many groups of equal tasks a report lists before it says how many there are more.
pub(super) const LISTED: usize = 20;

/// How many numbers of equal tasks a report lists.
const NUMBERS: usize = 5;

/// How a whole crate is tracked.
pub(super) const SHADOW: &str =
    "depend on `straggler-tokio` (the folder `tokio/` of straggler), and write
    extern crate straggler_tokio as tokio;
at the root of the crate that spawns tasks: in a lib.rs below #[cfg(test)] for its unit tests; for
tests in tests/ make it an optional dependency, and put the line below its feature.";

/// A report as people read it.
pub(super) struct Text<'a>(pub(super) &'a Report);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.0.findings();
        let test = match findings.test {
            Some(test) => format!("the test `{test}` ({})", findings.place),
            None => format!("the check at {}", findings.place),
        };
        match &findings.verdict {
            Verdict::NotRun(reason) => {
                return write!(f, "leak_check: {test} was not run: {reason}");
            }
            Verdict::CheckFailed(panic) => {
                return write!(
                    f,
                    "leak_check: what {test} left behind could not be found out: the check {panic}"
                );
            }
            Verdict::Late { timeout, took } => {
                let (took, timeout) = (Age(*took), humantime::format_duration(*timeout));
                write!(
                    f,
                    "leak_check: {test} took {took}, longer than its timeout of {timeout}"
                )?;
                self.alive(f, "at its end")?;
            }
            Verdict::Hung { timeout, wait } => {
                let timeout = humantime::format_duration(*timeout);
                let wait = wait.to_string().replace('\n', "\n  ");
                write!(
                    f,
                    "leak_check: {test} did not end within {timeout}\n\n  it {wait}"
                )?;
                self.alive(f, "meanwhile")?;
            }
            Verdict::Deadlocked { wait } => {
                let wait = wait.to_string().replace('\n', "\n  ");
                write!(
                    f,
                    "leak_check: {test} cannot end: its clock is paused, and nothing in its runtime is \
                     left that could run\n\n  it {wait}"
                )?;
                self.alive(f, "meanwhile")?;
            }
            Verdict::Stuck => {
                write!(
                    f,
                    "leak_check: {test} does not come to its end: its body has ended, but what it left \
                     behind blocks its thread, in a poll or when it is dropped"
                )?;
                self.alive(f, "meanwhile")?;
            }
            Verdict::Leaked => {
                write!(f, "leak_check: {} outlived {test}", tasks(self.0.count()))?;
                if findings.allowed > 0 {
                    write!(f, ", which allows {}", findings.allowed)?;
                }
            }
            Verdict::Panicked => {
                let count = findings.panics.len();
                write!(f, "leak_check: {} panicked during {test}", tasks(count))?;
            }
            Verdict::BlockingLeaked => {
                let count = blocking::closures(blocking::count(findings));
                write!(f, "leak_check: {count} outlived {test}")?;
                if findings.allowed > 0 {
                    write!(f, ", which allows {}", findings.allowed)?;
                }
            }
            Verdict::ThreadsLeaked => {
                let count = threads::threads(findings.threads.len());
                write!(f, "leak_check: {count} outlived {test}")?;
            }
            Verdict::LocksHeld => {
                let are = locks::are(findings.locks.len());
                write!(f, "leak_check: {are} still held at the end of {test}")?;
            }
        }
        if self.0.count() + findings.panics.len() > 0 {
            f.write_str("\n")?;
        }
        let groups = groups::of_tasks(&findings.tasks);
        for group in groups.iter().take(LISTED) {
            write_group(f, group)?;
        }
        if groups.len() > LISTED {
            let more: usize = groups[LISTED..].iter().map(Vec::len).sum();
            write!(f, "\n  and {more} more, spawned elsewhere")?;
        }
        self.unseen(f)?;
        for panic in findings.panics.iter().take(LISTED) {
            write_panic(f, panic)?;
        }
        if findings.panics.len() > LISTED {
            let more = findings.panics.len() - LISTED;
            write!(f, "\n  and {} more that panicked", tasks(more))?;
        }
        blocking::write_section(f, findings)?;
        threads::write_section(f, findings)?;
        locks::write_section(f, findings)?;
        f.write_str("\n")?;
        self.notes(f)?;
        self.advice(f)
    }
}

impl Text<'_> {
    /// Says how many tasks are alive, of a test that they have not outlived.
    fn alive(&self, f: &mut fmt::Formatter<'_>, when: &str) -> fmt::Result {
        match self.0.count() {
            0 => Ok(()),
            count => write!(f, "\n\n{when} {} alive:", are(count)),
        }
    }

    /// Says how many tasks there are of which nothing else is seen.
    fn unseen(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.0.findings();
        let and = if findings.tasks.is_empty() {
            ""
        } else {
            "and "
        };
        let count = tasks(findings.unseen);
        let they = match findings.unseen {
            0 => return Ok(()),
            1 => "it is",
            _ => "they are",
        };
        write!(
            f,
            "\n  {and}{count} of which this build knows only that {they} alive"
        )
    }

    /// Says what this build does not show, and what would.
    fn notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.0.findings();
        // That of a dependency cannot be changed.
        let is_hooked =
            |task: &LeakedTask| *task.wait() == Wait::Unknown && task.caller().is_none();
        let (they, were, they_wait) = match findings.unseen {
            1 => ("it", "was", "it waits"),
            _ => ("they", "were", "they wait"),
        };
        if findings.unseen > 0 {
            write!(
                f,
                "
To see where {they} {were} spawned and where {they_wait}: {SHADOW}
Spawns by methods such as `Handle::spawn`, and those of dependencies, are seen in a build with
RUSTFLAGS=\"--cfg tokio_unstable\".
"
            )?;
        } else if findings.tasks.iter().any(is_hooked) {
            write!(f, "\nTo see where tasks wait: {SHADOW}\n")?;
        }
        let is_said = findings.unseen > 0 || findings.tasks.iter().any(is_hooked);
        blocking::write_note(f, findings, is_said)?;
        let mut notes = Vec::new();
        let (what, it_was, left) = if self.0.count() == 0 {
            ("blocking work", "it was", "the blocking work that is left")
        } else {
            ("tasks", "they were", "the tasks that are left")
        };
        if findings.unseen + findings.unseen_blocking > 0 && findings.places_were_needed {
            notes.push(format!(
                "rules for places can only match {what} of which it is seen where {it_was} spawned"
            ));
        } else {
            let unused = findings.unused_rules.iter();
            notes.extend(
                unused.map(|rule| {
                    format!("`{rule}` allowed nothing: none of {left} was spawned there")
                }),
            );
        }
        if findings.besides > 0 {
            notes.push(format!(
                "what is allowed counts for tasks and blocking work together: {} left besides",
                match findings.besides {
                    1 => "1 is".to_owned(),
                    besides => format!("{besides} are"),
                }
            ));
        }
        if let Some(reason) = &findings.threads_unknown {
            notes.push(format!(
                "whether threads are left could not be found out: {reason}"
            ));
        }
        if findings.clock_stood_still && findings.verdict == Verdict::Leaked {
            notes.push("the clock is paused, and stands still once the body has ended: no sleep ends any more".to_owned());
        }
        if !notes.is_empty() {
            f.write_str("\n")?;
        }
        notes
            .iter()
            .try_for_each(|note| writeln!(f, "note: {note}"))
    }

    /// Says what to do.
    fn advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = self.0.findings();
        if let Verdict::Deadlocked { .. } = findings.verdict {
            return f
                .write_str(
                    "
All that is left waits for one another. What to do:
  take locks in the same order everywhere, and hold none while waiting for another task
  see that who is waited for is still there: a sender, a task that was aborted
  if a thread or another runtime is to answer, and takes a second: let the clock run, or use `spawn_blocking`",
                )
                .and_then(|()| locks::write_advice(f, findings));
        }
        if let Verdict::Hung { .. } = findings.verdict {
            return f
                .write_str(
                    "
A test that waits for what never comes waits for ever. What to do:
  make sure that it is woken, also if an earlier step fails
  if it only needs more time: `timeout = \"..\"`",
                )
                .and_then(|()| locks::write_advice(f, findings));
        }
        if let Verdict::Late { .. } = findings.verdict {
            return f.write_str(
                "
It could not be given up in time: it was inside of one poll then, or came to its end just then. What
blocks its thread belongs in `spawn_blocking`. If it only needs more time: `timeout = \"..\"`",
            );
        }
        if findings.verdict == Verdict::Stuck {
            return f.write_str(
                "
What to do:
  move what blocks a thread into `spawn_blocking`, and await that
  have what a `drop` waits for end before, by an `async fn` that the test awaits",
            );
        }
        if findings.verdict == Verdict::Panicked {
            f.write_str(
                "
A task that panics does not do its work, and only whoever awaits it finds out. What to do:
  fix what panics, or let the task return a `Result` that somebody looks at",
            )?;
            return f.write_str(if findings.test.is_some() {
                "\n  if the test is about panics: `#[straggler::test(panics = \"allow\")]`"
            } else {
                "\n  if it is about panics: `LeakCheck::new().allow_panics()`"
            });
        }
        if findings.verdict == Verdict::BlockingLeaked {
            return blocking::write_advice(f, findings);
        }
        if findings.verdict == Verdict::ThreadsLeaked {
            return f.write_str(threads::ADVICE);
        }
        if findings.verdict == Verdict::LocksHeld {
            return f.write_str(locks::ADVICE);
        }
        let waits_for_time = |task: &LeakedTask| match task.wait() {
            Wait::At(places) => places
                .iter()
                .any(|place| place.on().is_some_and(|on| on.starts_with("tokio::time"))),
            _ => false,
        };
        f.write_str(
            "
What outlives a test disturbs the next one. What to do:
  await the task's `JoinHandle` before the test ends, or `abort()` it and then await it",
        )?;
        if findings.tasks.iter().any(waits_for_time) {
            f.write_str(
                "\n  give a task that sleeps in a loop a sign to stop: a `CancellationToken`",
            )?;
        }
        if findings.tasks.iter().any(LeakedTask::is_background) {
            f.write_str(
                "\n  let the background task await something: only then can it be stopped for you",
            )?;
        } else {
            f.write_str(
                "\n  spawn a helper that is to run as long as the test by `straggler::background`",
            )?;
        }
        if blocking::count(findings) > 0 {
            f.write_str("\n  await blocking work, too: it cannot be stopped from outside")?;
        }
        threads::write_advice(f, findings)?;
        let files = findings.tasks.iter().map(|task| task.place().file());
        write_rule(f, findings, files, findings.unseen, self.0.count())
    }
}

/// Says how `count` things may stay that were spawned in these files, and `unseen` ones.
pub(super) fn write_rule<'a>(
    f: &mut fmt::Formatter<'_>,
    findings: &Findings,
    mut files: impl Iterator<Item = &'a str>,
    unseen: usize,
    count: usize,
) -> fmt::Result {
    let file = files.next();
    let file = file.filter(|file| unseen == 0 && files.all(|other| other == *file));
    f.write_str("\n  if it may stay: ")?;
    match (findings.test, file) {
        (Some(_), Some(file)) => write!(f, "`#[straggler::test(allow(\"{file}\"))]`"),
        (Some(_), None) => write!(f, "`#[straggler::test(allow = {count})]`"),
        (None, _) => write!(f, "`LeakCheck::new().allow({count})`"),
    }
}

/// `1 task is`, `2 tasks are`.
pub(super) fn are(count: usize) -> String {
    format!("{} {}", tasks(count), if count == 1 { "is" } else { "are" })
}

/// `1 task`, `2 tasks`.
pub(super) fn tasks(count: usize) -> String {
    match count {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    }
}

pub(super) fn write_panic(f: &mut fmt::Formatter<'_>, panic: &TaskPanic) -> fmt::Result {
    f.write_str("\n  ")?;
    match (panic.number(), panic.spawned_at()) {
        (_, None) => f.write_str("a task")?,
        (number, Some(place)) => {
            write!(f, "#{}", number.unwrap_or_default())?;
            if let Some(name) = panic.name() {
                write!(f, " `{name}`")?;
            }
            if panic.is_background() {
                f.write_str(", in the background,")?;
            }
            if panic.is_blocking() {
                f.write_str(", blocking work,")?;
            }
            write!(f, " spawned at {place}")?;
            if let Some(caller) = panic.caller() {
                write!(f, "\n     called at {caller}\n    ")?;
            }
            write_spawners(f, panic.spawned_by())?;
            f.write_str("\n    ")?;
        }
    }
    f.write_str(" panicked")?;
    if let Some(place) = panic.place() {
        write!(f, " at {place}")?;
    }
    let message = panic.message().unwrap_or("(the payload is not a string)");
    write!(f, ": {}", message.replace('\n', "\n     "))
}

/// Writes the numbers of a group: `#1`, or `2 tasks: #1, #2`.
pub(super) fn write_numbers(
    f: &mut fmt::Formatter<'_>,
    of: &str,
    numbers: impl ExactSizeIterator<Item = usize>,
) -> fmt::Result {
    let count = numbers.len();
    f.write_str("\n  ")?;
    if count > 1 {
        write!(f, "{count} {of}: ")?;
    }
    for (index, number) in numbers.take(NUMBERS).enumerate() {
        write!(f, "{}#{number}", if index == 0 { "" } else { ", " })?;
    }
    if count > NUMBERS {
        f.write_str(", ..")?;
    }
    Ok(())
}

/// Writes who spawned something, on the same line if it is short.
pub(super) fn write_spawners(f: &mut fmt::Formatter<'_>, spawners: &[SpawnedBy]) -> fmt::Result {
    spawners
        .iter()
        .enumerate()
        .try_for_each(|(index, spawner)| {
            let is_short = index == 0 && !matches!(spawner, SpawnedBy::Task { .. });
            let before = if is_short { " " } else { "\n     " };
            write!(f, "{before}{}", By(spawner))
        })
}

pub(super) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LeakedTask]) -> fmt::Result {
    let first = group[0];
    write_numbers(f, "tasks", group.iter().map(|task| task.number()))?;
    if let Some(name) = first.name() {
        write!(f, " `{name}`")?;
    }
    if first.is_background() {
        f.write_str(", in the background,")?;
    }
    write!(f, " spawned at {}", first.place())?;
    if let Some(caller) = first.caller() {
        write!(f, "\n     called at {caller}\n    ")?;
    }
    write_spawners(f, first.spawned_by())?;
    if *first.wait() != Wait::Unknown {
        let wait = first.wait().to_string().replace('\n', "\n     ");
        write!(f, "\n     {wait}")?;
    }
    write!(f, "\n     alive for {}", Age(first.age()))?;
    if *first.wait() == Wait::Unstarted {
        return Ok(());
    }
    let polls = group.iter().filter_map(|task| task.polls());
    match (polls.clone().min(), polls.max()) {
        (Some(least), Some(most)) if least == most => write!(f, ", {}", polled(most)),
        (Some(least), Some(most)) => write!(f, ", polled {least} to {most} times"),
        _ => Ok(()),
    }
}

/// Who spawned something, in words.
pub(super) struct By<'a>(pub(super) &'a SpawnedBy);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SpawnedBy::Test => f.write_str("by the test"),
            SpawnedBy::NoTask => {
                f.write_str("by the test's body or a thread outside of the runtime")
            }
            SpawnedBy::UnknownTask => {
                f.write_str("by a task that was not spawned through straggler")
            }
            SpawnedBy::Task {
                number,
                name,
                place,
            } => {
                write!(f, "by #{number}")?;
                if let Some(name) = name {
                    write!(f, " `{name}`")?;
                }
                write!(f, ", spawned at {place}")
            }
        }
    }
}

/// A time as people read it, in milliseconds.
pub(super) struct Age(pub(super) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return f.write_str("less than 1ms");
        }
        humantime::format_duration(Duration::from_millis(milliseconds)).fmt(f)
    }
}
