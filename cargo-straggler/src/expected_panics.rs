//! The panics of tasks that a suite expects.

use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use crate::findings::line::{Finding, Line};
use crate::findings::place::function;
use crate::findings::sources::Sources;

/// Panics that are no findings.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct ExpectedPanic(Written);

/// An entry as it is written. A panic has to match every field that is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Where the task was spawned, as the summary shows it.
    file: Option<String>,
    function: Option<String>,
    /// A part of the message.
    message: Option<String>,
    /// For people.
    #[serde(default, rename = "reason")]
    _reason: String,
}

/// An entry that every panic would match.
#[derive(Debug, Error)]
#[error("expected `file`, `function` or `message`: without them every panic is expected")]
struct Unlimited;

impl TryFrom<Written> for ExpectedPanic {
    type Error = Unlimited;

    fn try_from(written: Written) -> Result<Self, Unlimited> {
        let fields = [&written.file, &written.function, &written.message];
        let is_limited = fields.into_iter().flatten().any(|field| !field.is_empty());
        is_limited.then_some(Self(written)).ok_or(Unlimited)
    }
}

impl fmt::Display for ExpectedPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written {
            file,
            function,
            message,
            _reason: _,
        } = &self.0;
        f.write_str("[[expected_panic]]")?;
        for (name, value) in [("file", file), ("function", function), ("message", message)] {
            if let Some(value) = value {
                write!(f, " {name} = {value:?}")?;
            }
        }
        Ok(())
    }
}

impl ExpectedPanic {
    fn matches(&self, finding: &Finding, sources: &Sources) -> bool {
        let is = |expected: &Option<String>, found: Option<&str>| {
            expected.is_none() || expected.as_deref() == found
        };
        let message = finding.message.as_deref().unwrap_or_default();
        let has_message = |part: &String| message.contains(part.as_str());
        finding.kind == "panic"
            && is(&self.0.file, finding.at.file.as_deref())
            && is(&self.0.function, function(&finding.at, sources).as_deref())
            && self.0.message.as_ref().is_none_or(has_message)
    }
}

/// What the entries of a file have matched.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    pub(crate) panics: usize,
    /// The entries that matched nothing, as they are written.
    pub(crate) unmatched: Vec<String>,
}

/// Removes the panics that are expected from the lines of a report.
pub(crate) fn remove(expected: &[ExpectedPanic], lines: &mut [Line], sources: &Sources) -> Removed {
    let mut panics = 0;
    let mut has_matched = vec![false; expected.len()];
    for line in lines {
        line.findings.retain(|finding| {
            let Some(index) = expected
                .iter()
                .position(|panic| panic.matches(finding, sources))
            else {
                return true;
            };
            has_matched[index] = true;
            panics += finding.count;
            false
        });
    }
    let entries = expected.iter().zip(has_matched);
    let unmatched = entries.filter(|(_, has_matched)| !has_matched);
    Removed {
        panics,
        unmatched: unmatched.map(|(panic, _)| panic.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ExpectedPanic, remove};
    use crate::findings::line::Line;
    use crate::findings::sources::Sources;

    /// How many findings of a test with two panics and a leak `entry` removes, and how many remain.
    fn removed(entry: &str) -> (usize, usize) {
        let line = serde_json::json!({
            "test": "serves", "verdict": "task_panicked",
            "findings": [
                {"kind": "panic", "file": "src/a.rs", "line": 3, "count": 2, "message": "no such account: 7"},
                {"kind": "panic", "file": "src/b.rs", "line": 3, "count": 1, "message": null},
                {"kind": "task", "file": "src/a.rs", "line": 3, "count": 1},
            ],
        });
        let mut lines = [serde_json::from_value::<Line>(line).unwrap()];
        let expected: ExpectedPanic = toml_edit::de::from_str(entry).unwrap();
        let removed = remove(&[expected], &mut lines, &Sources::none());
        assert_eq!(removed.unmatched.is_empty(), removed.panics > 0);
        (removed.panics, lines[0].findings.len())
    }

    #[test]
    fn only_panics_that_match_every_field_are_removed() {
        for (entry, expected) in [
            ("file = \"src/a.rs\"", (2, 2)),
            ("message = \"no such account\"", (2, 2)),
            ("file = \"src/b.rs\"\nmessage = \"no such account\"", (0, 3)),
            ("file = \"src/b.rs\"\nreason = \"by design\"", (1, 2)),
            ("file = \"src/a.rs\"\nfunction = \"serve\"", (0, 3)),
        ] {
            assert_eq!(removed(entry), expected, "{entry}");
        }
    }

    #[test]
    fn unmatched_entry_is_named_as_written() {
        let entry = "file = \"src/a.rs\"\nmessage = \"gone\"\nreason = \"by design\"";
        let expected: ExpectedPanic = toml_edit::de::from_str(entry).unwrap();
        let removed = remove(&[expected], &mut [], &Sources::none());
        let named = "[[expected_panic]] file = \"src/a.rs\" message = \"gone\"";
        assert_eq!(removed.unmatched, [named]);
    }
}
