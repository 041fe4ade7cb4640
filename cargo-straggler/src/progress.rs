//! A line on a terminal that says how far the tests are, below what they print.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Copies the output of `cargo test`, and keeps a line below it while tests run.
///
/// The line is there only after a whole line of output: libtest writes the name of a test that runs
/// alone before its result, and cargo writes between two test binaries.
pub(crate) struct Progress<W> {
    copy: W,
    /// Where tests add what was found in them, a line each.
    report: Option<BufReader<File>>,
    draws_on: fn() -> ProgressDrawTarget,
    bar: Option<ProgressBar>,
    /// The end of the output without a line end.
    line: Vec<u8>,
    counts: Counts,
}

/// What the line shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// The tests of the binary that runs, or `None` between two binaries.
    expected: Option<u64>,
    ended: u64,
    /// The tests of the whole suite.
    checked: usize,
    with_findings: usize,
}

impl<W: Write> Progress<W> {
    /// Shows a line if both outputs are a terminal: elsewhere the output of the tests is enough.
    pub(crate) fn over(copy: W, report: &Path) -> Self {
        let is_shown = io::stdout().is_terminal() && io::stderr().is_terminal();
        let draws_on = if is_shown {
            ProgressDrawTarget::stderr
        } else {
            ProgressDrawTarget::hidden
        };
        Self::drawn(copy, report, draws_on)
    }

    fn drawn(copy: W, report: &Path, draws_on: fn() -> ProgressDrawTarget) -> Self {
        Self {
            copy,
            // Without it the line counts no findings: the report itself is read later.
            report: File::open(report).map(BufReader::new).ok(),
            draws_on,
            bar: None,
            line: Vec::new(),
            counts: Counts::default(),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let Some(expected) = self.counts.expected.filter(|_| self.line.is_empty()) else {
            return Ok(());
        };
        if let Some(report) = &mut self.report {
            self.counts.read(report)?;
        }
        let bar = ProgressBar::with_draw_target(Some(expected), (self.draws_on)());
        let style = ProgressStyle::with_template("straggler: {pos} of {len} tests ended, {msg}");
        bar.set_style(style.map_err(io::Error::other)?);
        let Counts {
            checked,
            with_findings,
            ..
        } = self.counts;
        bar.set_position(self.counts.ended);
        bar.set_message(format!(
            "{with_findings} of {checked} checked so far with findings"
        ));
        bar.force_draw();
        self.bar = Some(bar);
        Ok(())
    }
}

impl<W: Write> Write for Progress<W> {
    fn write(&mut self, output: &[u8]) -> io::Result<usize> {
        self.clear();
        let written = self.copy.write(output)?;
        self.line.extend_from_slice(&output[..written]);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = self.line.drain(..=end).collect();
            self.counts.note(&String::from_utf8_lossy(&line));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.copy.flush()?;
        self.draw()
    }
}

impl<W> Drop for Progress<W> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Counts {
    fn note(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match *words {
            ["running", number, "test" | "tests"] => {
                self.expected = number.parse().ok();
                self.ended = 0;
            }
            ["test", "result:", ..] => self.expected = None,
            ["test", _, ..] if words.contains(&"...") => self.ended += 1,
            _ => {}
        }
    }

    /// Reads the lines that tests added since the last time.
    fn read(&mut self, report: &mut BufReader<File>) -> io::Result<()> {
        let mut line = String::new();
        // A test writes its line in one piece.
        while report.read_line(&mut line)? > 0 {
            self.checked += 1;
            self.with_findings += usize::from(!line.contains(r#""level":"none""#));
            line.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::sync::LazyLock;

    use indicatif::{InMemoryTerm, ProgressDrawTarget, TermLike as _};
    use tempfile::NamedTempFile;

    use super::Progress;

    static TERMINAL: LazyLock<InMemoryTerm> = LazyLock::new(|| InMemoryTerm::new(20, 80));

    /// Writes what the tests print to the same terminal.
    struct Output;

    impl std::io::Write for Output {
        fn write(&mut self, output: &[u8]) -> std::io::Result<usize> {
            TERMINAL.write_str(&String::from_utf8_lossy(output).replace('\n', "\r\n"))?;
            Ok(output.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn draws_on() -> ProgressDrawTarget {
        ProgressDrawTarget::term_like(Box::new(TERMINAL.clone()))
    }

    #[test]
    fn line_is_below_whole_lines_of_output_alone() {
        let report = NamedTempFile::new().unwrap();
        let mut progress = Progress::drawn(Output, report.path(), draws_on);
        let mut print = |text: &str| {
            progress.write_all(text.as_bytes()).unwrap();
            progress.flush().unwrap();
            TERMINAL.contents()
        };
        assert_eq!(print("   Compiling\n"), "   Compiling");
        let shown = print("running 3 tests\ntest pool::fills ... ok\n");
        let expected = "   Compiling\nrunning 3 tests\ntest pool::fills ... ok\n\
                        straggler: 1 of 3 tests ended, 0 of 0 checked so far with findings";
        assert_eq!(shown, expected);

        let lines = "{\"level\":\"none\"}\n{\"level\":\"warning\"}\n";
        fs::write(report.path(), lines).unwrap();
        let shown = print("test pool::empties ... ");
        assert!(shown.ends_with("... ok\ntest pool::empties ..."), "{shown}");
        let shown = print("FAILED\n");
        let expected = "test pool::empties ... FAILED\n\
                        straggler: 2 of 3 tests ended, 1 of 2 checked so far with findings";
        assert!(shown.ends_with(expected), "{shown}");

        let shown = print("test result: FAILED. 1 passed\n");
        assert!(
            shown.ends_with("FAILED\ntest result: FAILED. 1 passed"),
            "{shown}"
        );
    }
}
