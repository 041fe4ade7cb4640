//! The words that reports share: labels, counts, durations, and values whose `Display` may panic.

use std::fmt;
#[cfg(feature = "tokio")]
use std::time::Duration;

use crate::contain::{contain, discard};

/// A child in a report: `` #3 `name` ``, or `#3`.
pub(crate) struct Label<'a> {
    pub(crate) index: usize,
    pub(crate) name: Option<&'a str>,
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index)?;
        match self.name {
            Some(name) => write!(f, " `{name}`"),
            None => Ok(()),
        }
    }
}

/// Writes the text of a foreign value, or what its `Display` or `Debug` panicked with.
pub(crate) fn text(value: fmt::Arguments<'_>) -> String {
    contain(|| value.to_string()).unwrap_or_else(|panic| {
        let text = format!("(cannot be shown: writing it {panic})");
        discard(panic);
        text
    })
}

/// How many children a report lists before it says how many there are more.
pub(crate) const LISTED: usize = 20;

/// Writes one line a child, each on a line of its own below what was written so far.
pub(crate) fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    lines: impl ExactSizeIterator<Item = (Label<'a>, String)>,
) -> fmt::Result {
    let more = lines.len().saturating_sub(LISTED);
    for (label, line) in lines.take(LISTED) {
        // Further lines of a text stay below the child they belong to.
        write!(f, "\n  {label}: {}", line.replace('\n', "\n      "))?;
    }
    if more > 0 {
        write!(f, "\n  and {more} more")?;
    }
    Ok(())
}

/// `polled once`, `polled 3 times`.
pub(crate) fn polled(times: usize) -> String {
    match times {
        0 => "never polled".to_owned(),
        1 => "polled once".to_owned(),
        2 => "polled twice".to_owned(),
        times => format!("polled {times} times"),
    }
}

/// Counts things: `1 task`, `2 tasks`.
#[cfg(feature = "tokio")]
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// The verb for a count: `1 task is`, `2 tasks are`.
#[cfg(feature = "tokio")]
pub(crate) fn is_or_are(number: usize) -> &'static str {
    match number {
        1 => "is",
        _ => "are",
    }
}

/// A time as people read it, in milliseconds.
#[cfg(feature = "tokio")]
pub(crate) struct Age(pub(crate) Duration);

#[cfg(feature = "tokio")]
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return f.write_str("less than 1ms");
        }
        humantime::format_duration(Duration::from_millis(milliseconds)).fmt(f)
    }
}
