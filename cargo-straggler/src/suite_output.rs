//! What `cargo test` writes: passed on as it comes, and read for the names of the tests that ran.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};

/// The tests that ran, by the names that libtest prints.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The number of tests with each name: test binaries may share one.
    pub(crate) tests: BTreeMap<String, usize>,
    /// Those of them that failed.
    pub(crate) failed: BTreeMap<String, usize>,
    pub(crate) doc_tests: usize,
}

impl Ran {
    /// Copies the output as it comes.
    ///
    /// # Errors
    ///
    /// Returns an error if the output cannot be read or written.
    pub(crate) fn read(output: impl Read, mut copy: impl Write) -> io::Result<Self> {
        let mut ran = Self::default();
        let mut output = BufReader::new(output);
        let mut unread = Vec::new();
        loop {
            let part = output.fill_buf()?;
            if part.is_empty() {
                return Ok(ran);
            }
            // At once: while a test runs alone, libtest has only written the start of its line.
            copy.write_all(part)?;
            copy.flush()?;
            unread.extend_from_slice(part);
            let length = part.len();
            output.consume(length);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = unread.drain(..=end).collect();
                ran.note(&String::from_utf8_lossy(&line));
            }
        }
    }

    fn note(&mut self, line: &str) {
        let test = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "));
        let Some((name, result)) = test.filter(|(_, result)| !result.starts_with("ignored")) else {
            return;
        };
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        if name.contains(" (line ") {
            self.doc_tests += 1;
        } else {
            self.add(name, result.starts_with("FAILED"));
        }
    }

    /// Adds a test that ended.
    pub(crate) fn add(&mut self, name: &str, has_failed: bool) {
        *self.tests.entry(name.to_owned()).or_default() += 1;
        if has_failed {
            *self.failed.entry(name.to_owned()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Ran;

    #[test]
    fn names_are_read_from_libtest() {
        let output = "\
running 5 tests
test pool::fills ... ok
test pool::empties - should panic ... FAILED
test slow ... ignored, takes an hour
test pool::fills ... FAILED
test src/lib.rs - pool (line 3) ... ok
test src/lib.rs - pool (line 9) - compile ... ok

test result: ok. 5 passed; 0 failed
";
        let ran = Ran::read(output.as_bytes(), io::sink()).unwrap();
        let names: Vec<_> = ran
            .tests
            .iter()
            .map(|(name, count)| (&**name, *count))
            .collect();
        assert_eq!(names, [("pool::empties", 1), ("pool::fills", 2)]);
        let failed: Vec<_> = ran.failed.keys().map(|name| &**name).collect();
        assert_eq!(failed, ["pool::empties", "pool::fills"]);
        assert_eq!(ran.failed["pool::fills"], 1);
        assert_eq!(ran.doc_tests, 2);
    }
}
