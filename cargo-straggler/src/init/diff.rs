//! The difference between two texts, as `git diff` shows it.

use std::fmt;

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

const HEADER: Style = Style::new().bold();
const PLACE: Style = AnsiColor::Cyan.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();

/// How a file changes.
pub(crate) struct Diff<'a> {
    pub(crate) path: String,
    pub(crate) before: &'a str,
    pub(crate) after: &'a str,
}

impl fmt::Display for Diff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        writeln!(f, "{HEADER}--- a/{path}{HEADER:#}")?;
        writeln!(f, "{HEADER}+++ b/{path}{HEADER:#}")?;
        let diff = TextDiff::from_lines(self.before, self.after);
        for hunk in diff.unified_diff().iter_hunks() {
            writeln!(f, "{PLACE}{}{PLACE:#}", hunk.header())?;
            for change in hunk.iter_changes() {
                let style = match change.tag() {
                    ChangeTag::Delete => REMOVED,
                    ChangeTag::Insert => ADDED,
                    ChangeTag::Equal => Style::new(),
                };
                let line = change.value();
                let text = line.strip_suffix('\n').unwrap_or(line);
                writeln!(f, "{style}{}{text}{style:#}", change.tag())?;
                if change.missing_newline() {
                    writeln!(f, "\\ No newline at end of file")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Diff;

    #[test]
    fn changed_lines_are_shown_with_those_around() {
        let diff = Diff {
            path: "src/lib.rs".to_owned(),
            before: "1\n2\n3\n4\n5\nold",
            after: "1\n2\n3\n4\n5\nnew",
        };
        let plain = anstream::adapter::strip_str(&diff.to_string()).to_string();
        let expected = "\
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -3,4 +3,4 @@
 3
 4
 5
-old
\\ No newline at end of file
+new
\\ No newline at end of file
";
        assert_eq!(plain, expected);
    }
}
