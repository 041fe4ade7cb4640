//! The text of a report: what is wrong, where, and what to do.

use std::fmt;
use std::time::Duration;

use crate::leak::render::advice::write_advice;
use crate::leak::render::tasks::write_tasks;
use crate::leak::render::{blocking, locks, notes, tasks, threads};
use crate::leak::report::Report;
use crate::leak::report::findings::Findings;
use crate::leak::report::standstill::{Progress, Standstill};
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::report::verdict::Verdict;
use crate::trace::wait::Wait;
use crate::wording::{Age, count, is_or_are, polled};

/// How many places the note after a panic lists.
const LISTED_AFTER_PANIC: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Verdict::NotRun(_) | Verdict::CheckFailed(_) = self.verdict() {
            return write!(f, "leak_check: {}", headline(self));
        }
        write_findings(f, self)?;
        write_advice(f, self)
    }
}

/// A report beside which something else names the cause, so that advice for any cause would mislead.
pub(crate) struct WithoutAdvice<'a>(pub(crate) &'a Report);

impl fmt::Display for WithoutAdvice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_findings(f, self.0)
    }
}

/// Writes everything but what to do.
fn write_findings(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    write!(f, "leak_check: {}", headline(report))?;
    if report.has_panics_first() {
        write_panics(f, report)?;
        write_body(f, report, "the body")?;
    } else {
        write_body(f, report, "it")?;
        write_panics(f, report)?;
    }
    write_alive(f, report)?;
    write_tasks(f, findings)?;
    blocking::write_section(f, report)?;
    locks::write_section(f, report)?;
    threads::write_section(f, report)?;
    write_test_thread(f, findings)?;
    f.write_str("\n")?;
    notes::write_notes(f, report)
}

/// Names the test as reports do, with its place.
fn test_name(report: &Report) -> String {
    match report.test() {
        Some(test) => format!("the test `{test}` ({})", report.place()),
        None => format!("the check at {}", report.place()),
    }
}

/// The first line, without its prefix.
fn headline(report: &Report) -> String {
    let test = test_name(report);
    let findings = report.findings();
    let exceeds = match (findings.allowed, report.test()) {
        (0, _) => String::new(),
        (allowed, Some(_)) => format!(", exceeding `allow = {allowed}`"),
        (allowed, None) => format!(", exceeding `allow({allowed})`"),
    };
    match (report.verdict(), report.ending()) {
        (
            Verdict::Hung { .. }
            | Verdict::Deadlocked { .. }
            | Verdict::Late { .. }
            | Verdict::Stuck
            | Verdict::NotRun(_)
            | Verdict::CheckFailed(_),
            _,
        ) => return ending(report.verdict(), &test),
        (Verdict::Panicked, Some(ended)) => {
            let panicked = count(findings.panics.len(), "task");
            return format!("{panicked} panicked, and {}", ending(ended, &test));
        }
        (
            Verdict::Panicked
            | Verdict::Leaked
            | Verdict::BlockingLeaked
            | Verdict::LocksHeld
            | Verdict::ThreadsLeaked,
            _,
        ) => {}
    }
    let found = report.ranked().into_iter();
    let found: Vec<_> = found.filter_map(|kind| counted(&kind, findings)).collect();
    match found.as_slice() {
        [
            Counted {
                number,
                noun,
                what: What::Panicked,
            },
        ] => {
            format!("{} panicked during {test}", count(*number, noun))
        }
        [
            Counted {
                number,
                noun,
                what: What::Running,
            },
        ] => {
            format!("{} outlived {test}{exceeds}", count(*number, noun))
        }
        found => format!("{} at the end of {test}{exceeds}", all_kinds(found)),
    }
}

/// The findings of one kind, as a headline counts them.
struct Counted {
    number: usize,
    noun: &'static str,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Panicked,
    Running,
    Held,
}

/// Counts the findings of a kind. Returns `None` for a verdict on the test itself.
fn counted(kind: &Verdict, findings: &Findings) -> Option<Counted> {
    let (number, noun, what) = match kind {
        Verdict::Panicked => (findings.panics.len(), "task", What::Panicked),
        Verdict::Leaked => (
            findings.tasks.len() + findings.unseen,
            "task",
            What::Running,
        ),
        Verdict::BlockingLeaked => (blocking::total(findings), blocking::CLOSURE, What::Running),
        Verdict::LocksHeld => (findings.locks.len(), "lock", What::Held),
        Verdict::ThreadsLeaked => (findings.threads.len(), "thread", What::Running),
        Verdict::Hung { .. }
        | Verdict::Deadlocked { .. }
        | Verdict::Late { .. }
        | Verdict::Stuck
        | Verdict::NotRun(_)
        | Verdict::CheckFailed(_) => return None,
    };
    Some(Counted { number, noun, what })
}

/// Names every kind: `1 task panicked and 1 is still running`.
fn all_kinds(found: &[Counted]) -> String {
    let same = found.chunk_by(|one, next| one.what == next.what);
    let mut parts = Vec::new();
    for kinds in same {
        let number = kinds.iter().map(|kind| kind.number).sum();
        let are = is_or_are(number);
        let counts: Vec<_> = match kinds {
            // The panicked tasks before it say what is counted.
            [one] if one.noun == "task" && !parts.is_empty() => vec![one.number.to_string()],
            _ => kinds
                .iter()
                .map(|kind| count(kind.number, kind.noun))
                .collect(),
        };
        let counts = joined(&counts);
        parts.push(match kinds[0].what {
            What::Panicked => format!("{counts} panicked"),
            What::Running => format!("{counts} {are} still running"),
            What::Held => format!("{counts} {are} still held"),
        });
    }
    joined(&parts)
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Describes a test that did not end by itself and in time. Empty for other verdicts, whose headlines
/// count findings.
pub(crate) fn ending(verdict: &Verdict, test: &str) -> String {
    match verdict {
        Verdict::Hung { timeout, .. } => {
            let timeout = humantime::format_duration(*timeout);
            format!("{test} did not end within {timeout}")
        }
        Verdict::Deadlocked {
            wait: Wait::Unwakeable | Wait::LostWakeUp | Wait::PanicsUnwoken { .. },
        } => format!("{test} can never end: its clock is paused, and nothing can wake its body"),
        Verdict::Deadlocked { .. } => format!(
            "{test} is deadlocked: its clock is paused, and no task in its runtime can make progress"
        ),
        Verdict::Late { timeout, took } => {
            let (took, timeout) = (Age(*took), humantime::format_duration(*timeout));
            format!("{test} took {took}, longer than its timeout of {timeout}")
        }
        Verdict::Stuck => format!(
            "{test} is stuck: its body has ended, but something it left behind blocks the thread, in a \
             poll or in a `drop`"
        ),
        Verdict::NotRun(reason) => format!("{test} was not run: {reason}"),
        Verdict::CheckFailed(reason) => {
            format!("{test} could not be checked: the leak check {reason}")
        }
        Verdict::Panicked
        | Verdict::Leaked
        | Verdict::BlockingLeaked
        | Verdict::LocksHeld
        | Verdict::ThreadsLeaked => String::new(),
    }
}

/// Writes where the body waits, if the test was given up, and how long it had made no progress.
fn write_body(f: &mut fmt::Formatter<'_>, report: &Report, body: &str) -> fmt::Result {
    let Some(ending @ (Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait })) =
        report.ending()
    else {
        return Ok(());
    };
    let waits = wait.to_string().replace('\n', "\n  ");
    write!(f, "\n\n  {body} {waits}")?;
    let Verdict::Hung { timeout, wait } = ending else {
        return Ok(());
    };
    match report.findings().standstill {
        // The line above says how long its poll has been running.
        Some(standstill) if !matches!(wait, Wait::Blocks(_)) => {
            write_standstill(f, standstill, *timeout)
        }
        _ => Ok(()),
    }
}

fn write_standstill(
    f: &mut fmt::Formatter<'_>,
    standstill: Standstill,
    timeout: Duration,
) -> fmt::Result {
    let polled = polled(standstill.polls);
    let before = |time: Duration| format!("{} before the timeout", Age(time));
    let of_body = before(standstill.body);
    match standstill.progress(timeout) {
        Some(Progress::Body) => {
            write!(f, "\n  it still makes progress: {polled}, last {of_body}")
        }
        Some(Progress::Task { number, since }) => write!(
            f,
            "\n  it was last polled {of_body}, but task #{number} still makes progress: last polled {}",
            before(since),
        ),
        None => {
            let time = Age(standstill.time());
            write!(
                f,
                "\n  it made no progress for {time} before the timeout: {polled}"
            )
        }
    }
}

/// Writes where the thread of the test is, if no task above says so.
fn write_test_thread(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    match &findings.test_thread {
        Some(blocked) => {
            let place = blocked.to_string().replace('\n', "\n  ");
            write!(f, "\n\nthe thread of the test is blocked\n\n  {place}")
        }
        None => Ok(()),
    }
}

/// Lists the panics. A header tells them from a verdict that is none.
fn write_panics(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let findings = report.findings();
    match (findings.panics.len(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::Panicked) => f.write_str("\n")?,
        (number, _) => write!(f, "\n\nalso panicked: {}\n", count(number, "task"))?,
    }
    tasks::write_panics(f, findings)
}

/// Counts the tasks, unless the headline is about nothing else.
fn write_alive(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let alive = match (report.count(), report.verdict()) {
        (0, _) => return Ok(()),
        (_, Verdict::Leaked) => return f.write_str("\n"),
        _ if matches!(report.ending(), Some(Verdict::Late { .. })) => "still alive when it ended",
        _ if report.is_under_way() => "still alive",
        _ => "also still running",
    };
    write!(f, "\n\n{alive}: {}\n", count(report.count(), "task"))
}

/// A short note on what a test left behind whose body panicked.
///
/// The panic is the bug, and its unwinding may be all that kept the test from cleaning up: the note has no
/// advice.
pub(crate) struct AfterPanic<'a>(pub(crate) &'a Report);

impl fmt::Display for AfterPanic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        // Other verdicts are not leftovers, and need their own words.
        if report
            .ranked()
            .into_iter()
            .any(|kind| counted(&kind, report.findings()).is_none())
        {
            return write!(f, "{report}");
        }
        write!(
            f,
            "leak_check: note: in addition to the panic above, {}",
            headline(report)
        )?;
        let findings = report.findings();
        let panics = findings.panics.iter().map(TaskPanic::spawned_at);
        let tasks = findings.tasks.iter().map(|task| Some(task.place()));
        let closures = findings.blocking.iter().map(|work| Some(work.place()));
        let spawns = tasks.chain(closures).chain(panics).flatten();
        let mut places: Vec<_> = Vec::new();
        for place in spawns {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for place in places.iter().take(LISTED_AFTER_PANIC) {
            write!(f, "\n  spawned at {place}")?;
        }
        match places.len().saturating_sub(LISTED_AFTER_PANIC) {
            0 => Ok(()),
            more => write!(f, "\n  and at {}", count(more, "more place")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::time::Duration;

    use crate::leak::report::Report;
    use crate::leak::report::findings::{Ending, Findings};
    use crate::leak::report::standstill::Standstill;
    use crate::trace::wait::Wait;

    /// The report of a test that timed out after a minute, from the line on its progress on.
    fn hung(polls: usize, body: Duration, task: Option<(usize, Duration)>) -> String {
        let findings = Findings {
            standstill: Some(Standstill { polls, body, task }),
            ..Findings::none(None, Location::caller())
        };
        let ending = Ending::Hung {
            timeout: Duration::from_secs(60),
            wait: Wait::At(Vec::new()),
        };
        let text = Report::of_ending(ending, findings).to_string();
        let (_, said) = text.split_once("\n\n  it ").unwrap();
        said.to_owned()
    }

    #[test]
    fn hang_tells_progress_from_standstill() {
        let (recent, old) = (Duration::from_millis(2), Duration::from_secs(58));
        let said = hung(41_203, recent, None);
        let progress = "it still makes progress: polled 41203 times, last 2ms before the timeout\n";
        assert!(said.contains(progress), "{said}");
        let advice = "still made progress when its timeout passed. What to do:\n  if it only needs more time";
        assert!(said.contains(advice), "{said}");

        let said = hung(1, old, Some((3, recent)));
        let progress = "it was last polled 58s before the timeout, but task #3 still makes progress: \
                        last polled 2ms before the timeout\n";
        assert!(said.contains(progress), "{said}");

        let said = hung(3, old, Some((3, old + recent)));
        let standstill = "it made no progress for 58s before the timeout: polled 3 times\n";
        assert!(said.contains(standstill), "{said}");
        assert!(
            said.contains("waiting for something that never happens"),
            "{said}"
        );
    }
}
