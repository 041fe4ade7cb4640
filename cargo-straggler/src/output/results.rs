//! What a run found, as every format shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::{Comparison, Origin};
use crate::exploration::Explored;
use crate::findings::line::{At, Call, Finding};
use crate::findings::place::{Found, Kind, Place, Test};
use crate::findings::sources::Sources;
use crate::output::repository::Repository;
use crate::output::wording;
use crate::suite_output::Ran;

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// New ones first, then the place that concerns most tests.
    pub(crate) places: Vec<ReportedPlace>,
    /// `None` if no test was explored.
    pub(crate) explored: Option<Explored>,
    pub(crate) tests: TestOutcomes,
    /// How many panics are no findings.
    pub(crate) expected_panics: usize,
    /// What is accepted, and no longer found by the whole suite.
    pub(crate) gone: Vec<Origin>,
}

/// A place with findings.
#[derive(Clone, Debug)]
pub(crate) struct ReportedPlace {
    /// What identifies it, whatever its line is.
    pub(crate) origin: Origin,
    pub(crate) at: At,
    /// The first place of it that is in the repository: its own, a call, or the test.
    pub(crate) in_repository: Option<At>,
    /// What is wrong, such as `a task outlives 2 tests`.
    pub(crate) title: String,
    /// Where and how, a line each. Code is in backticks.
    pub(crate) facts: Vec<String>,
    pub(crate) called_at: Option<Call>,
    /// The message of a panic or an error.
    pub(crate) message: Option<String>,
    pub(crate) advice: String,
    /// How many findings each test has here.
    pub(crate) tests: BTreeMap<Test, usize>,
    /// `None` if it is new, else why it is accepted.
    pub(crate) accepted: Option<String>,
}

/// What became of the tests.
#[derive(Debug, Default)]
pub(crate) struct TestOutcomes {
    pub(crate) checked: BTreeSet<Test>,
    /// Those of the checked ones that failed by themselves.
    pub(crate) failed: BTreeSet<Test>,
    /// Those that ran unchecked since a setting says so.
    pub(crate) skipped: BTreeSet<Test>,
    /// The names of those that did not run by `#[tokio::test]`.
    pub(crate) unchecked: Vec<String>,
    pub(crate) doc_tests: usize,
}

/// What is known about a run.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(crate) found: &'a Found,
    pub(crate) comparison: &'a Comparison<'a>,
    pub(crate) explored: Option<Explored>,
    pub(crate) expected_panics: usize,
    /// Whether all tests ran, so that an entry without a finding is gone.
    pub(crate) is_whole: bool,
    pub(crate) ran: &'a Ran,
    pub(crate) sources: &'a Sources,
    pub(crate) repository: &'a Repository,
}

impl ReportedPlace {
    pub(crate) fn kind(&self) -> Kind {
        self.origin.kind
    }

    pub(crate) fn is_new(&self) -> bool {
        self.accepted.is_none()
    }
}

impl Results {
    pub(crate) fn new(known: Known<'_>) -> Self {
        let Comparison {
            new,
            accepted,
            gone,
        } = known.comparison;
        let new = new.iter().map(|place| reported(place, None, &known));
        let accepted = accepted
            .iter()
            .map(|(place, entry)| reported(place, Some(entry.reason.clone()), &known));
        let gone = gone.iter().filter(|_| known.is_whole);
        Self {
            places: new.chain(accepted).collect(),
            tests: TestOutcomes {
                checked: known.found.checked.clone(),
                failed: known.found.failed.clone(),
                skipped: known.found.skipped.clone(),
                unchecked: unchecked(known.found, known.ran),
                doc_tests: known.ran.doc_tests,
            },
            expected_panics: known.expected_panics,
            gone: gone.map(|entry| entry.origin.clone()).collect(),
            explored: known.explored,
        }
    }

    pub(crate) fn new_places(&self) -> impl Iterator<Item = &ReportedPlace> {
        self.places.iter().filter(|place| place.is_new())
    }

    /// How many tests have findings.
    pub(crate) fn tests_with_findings(&self) -> usize {
        let tests = self.places.iter().flat_map(|place| place.tests.keys());
        tests.collect::<BTreeSet<_>>().len()
    }
}

/// Describes a place.
fn reported(place: &Place, accepted: Option<String>, known: &Known<'_>) -> ReportedPlace {
    let Finding {
        called_at, message, ..
    } = &place.example;
    let call = called_at.as_ref().map(|call| &call.at);
    let tests = place.tests.keys().map(|test| &test.at);
    let places = [&place.at].into_iter().chain(call).chain(tests);
    ReportedPlace {
        origin: Origin::of(place),
        at: place.at.clone(),
        in_repository: known.repository.first(places),
        title: wording::title(place),
        facts: wording::facts(place, known.sources),
        called_at: called_at.clone(),
        message: message.as_deref().map(wording::plain),
        advice: wording::advice(place),
        tests: place.tests.clone(),
        accepted,
    }
}

/// The names of the tests that ran unchecked, though nothing skips them.
fn unchecked(found: &Found, ran: &Ran) -> Vec<String> {
    let checked = |name: &str| {
        let checked = found.checked.iter().chain(&found.skipped);
        checked.filter(|test| test.name == name).count()
    };
    let ran = ran.tests.iter();
    ran.flat_map(|(name, ran)| vec![name.clone(); ran.saturating_sub(checked(name))])
        .collect()
}
