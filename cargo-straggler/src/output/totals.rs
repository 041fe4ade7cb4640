//! The totals of a run, in words.

use crate::baseline::PATH;
use crate::findings::place::Test;
use crate::output::results::Results;
use crate::output::wording::{count, first, origin_of};

impl Results {
    /// How many tests were checked, and how many have findings.
    pub(crate) fn headline(&self) -> String {
        let checked = count(self.tests.checked.len(), "test");
        let number = self.places.len();
        if number == 0 {
            // Below come the schedules that failed.
            let explored = self.explored.as_ref();
            let fails = explored.is_some_and(|explored| !explored.failed.is_empty());
            let order = if fails { " in tokio's own order" } else { "" };
            return format!("{checked} checked, no findings{order}");
        }
        let (with, places) = (self.tests_with_findings(), count(number, "place"));
        let new = self.new_places().count();
        let accepted = match number - new {
            0 => String::new(),
            accepted => format!(": {new} new, {accepted} accepted"),
        };
        format!("{checked} checked, {with} with findings at {places}{accepted}")
    }

    /// What else there is to say of the tests and of what is accepted, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let tests = &self.tests;
        let mut notes = Vec::new();
        for origin in &self.gone {
            let origin = origin_of(origin);
            notes.push(format!(
                "{origin} is gone: `--prune` removes it from {PATH}"
            ));
        }
        for entry in &self.unmatched {
            notes.push(format!("`{entry}` in {PATH} matches nothing"));
        }
        if self.expected_panics > 0 {
            let panics = count(self.expected_panics, "panic");
            notes.push(format!("{panics} expected by {PATH}"));
        }
        if !tests.failed.is_empty() {
            let (itself, it) = match tests.failed.len() {
                1 => ("itself", "it"),
                _ => ("themselves", "they"),
            };
            let names = first(tests.failed.iter().map(name));
            let tests = count(tests.failed.len(), "test");
            notes.push(format!(
                "{tests} failed by {itself}, so what {it} left running is not listed: {names}"
            ));
        }
        if !tests.skipped.is_empty() {
            let names = first(tests.skipped.iter().map(name));
            let tests = count(tests.skipped.len(), "test");
            notes.push(format!("{tests} not checked, which {PATH} skips: {names}"));
        }
        if !tests.unchecked.is_empty() {
            let names = first(tests.unchecked.iter().map(|name| &**name));
            let tests = count(tests.unchecked.len(), "test");
            notes.push(format!(
                "{tests} not checked, which did not run by `#[tokio::test]`: {names}"
            ));
        }
        if let waited @ 1.. = tests.waited_ms / 100 {
            notes.push(format!(
                "waited {}.{} s for what tests left behind, the grace of each",
                waited / 10,
                waited % 10
            ));
        }
        if tests.doc_tests > 0 {
            let tests = count(tests.doc_tests, "doc test");
            notes.push(format!("{tests} not checked"));
        }
        notes
    }
}

fn name(test: &Test) -> &str {
    &test.name
}
