//! What reports share: labels, lists, counts, durations, and the text of values whose `Display` may
//! panic.

#[cfg(feature = "tokio")]
use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "tokio")]
use std::time::Duration;

use crate::contain::{contain, discard};

/// The label of a child in a report: `` #3 `name` ``, or `#3` without a name.
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

/// Formats a foreign value. If its `Display` or `Debug` panics, returns the panic message instead.
pub(crate) fn text(value: fmt::Arguments<'_>) -> String {
    contain(|| value.to_string()).unwrap_or_else(|panic| {
        let text = format!("(cannot be shown: formatting it {panic})");
        discard(panic);
        text
    })
}

/// How many children a report lists. For the rest it prints only their number.
pub(crate) const LISTED: usize = 20;

/// Writes one line per child, each on a new line, and the number of those left out.
pub(crate) fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    lines: impl ExactSizeIterator<Item = (Label<'a>, String)>,
) -> fmt::Result {
    let more = lines.len().saturating_sub(LISTED);
    for (label, line) in lines.take(LISTED) {
        // Indents the further lines of a text, so that they stay below their child.
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

/// How much of a name a report prints.
#[cfg(feature = "tokio")]
pub(crate) const NAME: usize = 100;

/// How much of any other text, such as a panic message, a report prints.
#[cfg(feature = "tokio")]
pub(crate) const TEXT: usize = 4_000;

/// Cuts a text after `limit` characters, and says how many it cut.
#[cfg(feature = "tokio")]
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    // A character has at least one byte: most texts need no count.
    let Some((end, _)) = (text.len() > limit)
        .then(|| text.char_indices().nth(limit))
        .flatten()
    else {
        return text.into();
    };
    let (kept, rest) = text.split_at(end);
    format!(
        "{kept}.. ({})",
        count(rest.chars().count(), "more character")
    )
    .into()
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

/// A duration in whole milliseconds, for people to read.
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
