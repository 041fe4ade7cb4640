//! The lines of a report about tasks.

use std::fmt;

use crate::leak::render::groups;
use crate::leak::report::findings::Findings;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::spawned_by::SpawnedBy;
use crate::leak::report::task_panic::TaskPanic;
use crate::trace::call::Call;
use crate::trace::wait::Wait;
use crate::wording::{Age, LISTED, NAME, TEXT, count, cut, polled};

/// How many numbers a group of equal tasks lists.
const NUMBERS: usize = 5;

/// Lists the tracked tasks, then counts the untracked ones.
pub(crate) fn write_tasks(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    let groups = groups::of_tasks(&findings.tasks);
    groups::write(f, &groups, write_group, ", spawned elsewhere")?;
    let and = if findings.tasks.is_empty() {
        ""
    } else {
        "and "
    };
    let (it, it_was) = match findings.unseen {
        0 => return Ok(()),
        1 => ("it", "it was"),
        _ => ("them", "they were"),
    };
    write!(
        f,
        "\n  {and}{}: tokio counts {it}, but straggler cannot see where {it_was} spawned",
        count(findings.unseen, "untracked task")
    )
}

/// Lists the tasks that panicked.
pub(crate) fn write_panics(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    let groups = groups::of_panics(&findings.panics);
    groups::write(f, &groups, write_panic, " that panicked")
}

/// Writes a group of equal panics: the tasks, then the place and message.
pub(crate) fn write_panic(f: &mut fmt::Formatter<'_>, group: &[&TaskPanic]) -> fmt::Result {
    let panic = group[0];
    match (group.len(), panic.spawned_at()) {
        (1, None) => f.write_str("\n  a task")?,
        (number, None) => write!(f, "\n  {}", count(number, "task"))?,
        (_, Some(place)) => {
            let numbers = group.iter().map(|panic| panic.number().unwrap_or_default());
            write_numbers(f, "tasks", numbers)?;
            if let Some(name) = panic.name() {
                write!(f, " `{}`", cut(name, NAME))?;
            }
            if panic.is_background() {
                f.write_str(" (background)")?;
            }
            if panic.is_blocking() {
                f.write_str(" (`spawn_blocking`)")?;
            }
            write!(f, " spawned at {place}")?;
            write_origin(f, panic.caller(), panic.spawned_by())?;
            f.write_str("\n    ")?;
        }
    }
    f.write_str(" panicked")?;
    if panic.is_in_output() {
        f.write_str(" in the drop of its output")?;
    }
    if let Some(place) = panic.place() {
        write!(f, " at {place}")?;
    }
    // Further lines of a message stay below the panic they belong to.
    let message = panic.message().unwrap_or("(the payload is not a string)");
    write!(f, ": {}", cut(message, TEXT).replace('\n', "\n     "))
}

/// Writes the numbers of a group: `#1`, or `2 tasks: #1, #2`.
pub(crate) fn write_numbers(
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

/// Writes the call behind a spawn in a dependency and the chain of spawners. A short first spawner follows
/// the place of the spawn on its line.
pub(crate) fn write_origin(
    f: &mut fmt::Formatter<'_>,
    caller: Option<&Call>,
    spawners: &[SpawnedBy],
) -> fmt::Result {
    if let Some(caller) = caller {
        write!(f, "\n     called at {caller}")?;
    }
    for (index, spawner) in spawners.iter().take(LISTED).enumerate() {
        let is_first = index == 0 && caller.is_none();
        let is_short = is_first && !matches!(spawner, SpawnedBy::Task { .. });
        let before = if is_short { " " } else { "\n     " };
        write!(f, "{before}{}", By(spawner))?;
    }
    match spawners.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\n     and {}", count(more, "more spawner")),
    }
}

/// Writes a group of equal tasks, with the age of the oldest.
pub(crate) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LeakedTask]) -> fmt::Result {
    let first = group[0];
    write_numbers(f, "tasks", group.iter().map(|task| task.number()))?;
    if let Some(name) = first.name() {
        write!(f, " `{}`", cut(name, NAME))?;
    }
    if first.is_background() {
        f.write_str(" (background)")?;
    }
    write!(f, " spawned at {}", first.place())?;
    write_origin(f, first.caller(), first.spawned_by())?;
    if *first.wait() != Wait::Unknown {
        let wait = first.wait().to_string().replace('\n', "\n     ");
        write!(f, "\n     {wait}")?;
    }
    write!(f, "\n     alive for {}", Age(first.age()))?;
    if *first.wait() == Wait::Unknown {
        f.write_str(", untracked: straggler cannot see where it waits")?;
    }
    // The line above already says that it was never polled.
    if *first.wait() == Wait::Unstarted {
        return Ok(());
    }
    let polls = group.iter().filter_map(|task| task.polls());
    match (polls.clone().min(), polls.max()) {
        (Some(least), Some(most)) if least == most => write!(f, ", {}", polled(most))?,
        (Some(least), Some(most)) => write!(f, ", polled {least} to {most} times")?,
        _ => {}
    }
    match group.iter().filter_map(|task| task.fires_in()).min() {
        Some(time) => write!(f, ", its timer fires in {}", Age(time)),
        None => Ok(()),
    }
}

/// Writes the spawner of a task: `by the test`, ``by #1 `mailer`, spawned at ..``.
pub(crate) struct By<'a>(pub(crate) &'a SpawnedBy);

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SpawnedBy::Test => f.write_str("by the test"),
            SpawnedBy::NoTask => f.write_str("by the test's body or a thread outside the runtime"),
            SpawnedBy::UnknownTask => f.write_str("by an untracked task"),
            SpawnedBy::Task {
                number,
                name,
                place,
            } => {
                write!(f, "by #{number}")?;
                if let Some(name) = name {
                    write!(f, " `{}`", cut(name, NAME))?;
                }
                write!(f, ", spawned at {place}")
            }
        }
    }
}
