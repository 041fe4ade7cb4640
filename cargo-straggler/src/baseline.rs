//! `.config/straggler.toml`: the findings that a suite accepts, and its settings.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TomlError, value};

use crate::expected_panics::ExpectedPanic;
use crate::findings::place::{Kind, Place, Test};
use crate::given_time::{GivenTime, GivenTimeout};
use crate::test_settings::{self, TestSettings};

/// Where the file is, below the root of the workspace.
pub(crate) const PATH: &str = ".config/straggler.toml";

/// The comment at the top of a new file.
const HEADER: &str = "\
# What `cargo straggler test` accepts. `--accept` adds what it finds, `--prune` removes what is gone.
# An entry has the most findings that a test may have there, and a reason for people.
";

/// The file as it was read.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    text: String,
    file: File,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    grace: Option<GivenTime>,
    timeout: Option<GivenTimeout>,
    #[serde(default)]
    accept: Vec<Entry>,
    #[serde(default)]
    test: Vec<TestSettings>,
    #[serde(default)]
    expected_panic: Vec<ExpectedPanic>,
}

/// Findings that are accepted.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    /// The most findings of a test.
    most: usize,
    pub(crate) reason: String,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Kind,
    #[serde(rename = "crate")]
    package: Option<String>,
    file: Option<String>,
    function: Option<String>,
    most: usize,
    #[serde(default)]
    reason: String,
}

/// Where accepted findings come from. No line: it changes with every edit above it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) kind: Kind,
    /// The dependency that the file is in.
    pub(crate) package: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) function: Option<String>,
}

/// The file is not valid.
#[derive(Debug, Error)]
#[error("{PATH} is not valid: {0}")]
pub(crate) struct Invalid(String);

/// The findings of a run, compared with a baseline.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) new: Vec<&'a Place>,
    pub(crate) accepted: Vec<(&'a Place, &'a Entry)>,
    /// The entries that matched nothing.
    pub(crate) gone: Vec<&'a Entry>,
}

impl From<Written> for Entry {
    fn from(written: Written) -> Self {
        Self {
            origin: Origin {
                kind: written.kind,
                package: written.package,
                file: written.file,
                function: written.function,
            },
            most: written.most,
            reason: written.reason,
        }
    }
}

impl Baseline {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Returns an error with line and column.
    pub(crate) fn parse(text: String) -> Result<Self, Invalid> {
        let file: File =
            toml_edit::de::from_str(&text).map_err(|error| Invalid(error.to_string()))?;
        Ok(Self { text, file })
    }

    /// The variables that pass the settings of the suite to its tests.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |time: Option<&GivenTime>| Some(time?.text().to_owned());
        let timeout = self.file.timeout.as_ref();
        let settings = [
            ("STRAGGLER_GRACE", text(self.file.grace.as_ref())),
            ("STRAGGLER_TIMEOUT", text(timeout.map(GivenTimeout::time))),
            ("STRAGGLER_TESTS", test_settings::variable(&self.file.test)),
        ];
        let set = settings.into_iter();
        set.filter_map(|(name, setting)| Some((name, setting?)))
    }

    /// The panics that are no findings.
    pub(crate) fn expected_panics(&self) -> &[ExpectedPanic] {
        &self.file.expected_panic
    }

    /// The settings that are for none of these tests, as they are written.
    pub(crate) fn settings_for_none(&self, tests: &[&str]) -> Vec<String> {
        test_settings::unmatched(&self.file.test, tests)
    }

    /// Sorts places into new and accepted ones.
    pub(crate) fn compare<'a>(&'a self, places: &'a [Place]) -> Comparison<'a> {
        let found = counts(places);
        let entry = |origin: &Origin| {
            self.file
                .accept
                .iter()
                .find(|entry| entry.origin == *origin)
        };
        let (mut new, mut accepted) = (Vec::new(), Vec::new());
        for place in places {
            let origin = Origin::of(place);
            match entry(&origin) {
                Some(entry) if found[&origin] <= entry.most => accepted.push((place, entry)),
                _ => new.push(place),
            }
        }
        let entries = self.file.accept.iter();
        Comparison {
            new,
            accepted,
            gone: entries
                .filter(|entry| !found.contains_key(&entry.origin))
                .collect(),
        }
    }

    /// The text of the file that accepts `places` too.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not valid.
    pub(crate) fn accepting(&self, places: &[Place]) -> Result<String, Invalid> {
        let mut document = self.document()?;
        let accept = document
            .entry("accept")
            .or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        let Some(accept) = accept.as_array_of_tables_mut() else {
            return Ok(self.text.clone());
        };
        for (origin, most) in counts(places) {
            if !origin.kind.can_be_accepted() {
                continue;
            }
            let mut entries = self.file.accept.iter();
            let Some(index) = entries.position(|entry| entry.origin == origin) else {
                accept.push(origin.table(most));
                continue;
            };
            if let Some(entry) = accept.get_mut(index)
                && self.file.accept[index].most < most
            {
                entry["most"] = integer(most);
            }
        }
        let header = if self.text.is_empty() { HEADER } else { "" };
        Ok(format!("{header}{document}"))
    }

    /// The text of the file without the entries that match none of `places`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not valid.
    pub(crate) fn pruned(&self, places: &[Place]) -> Result<String, Invalid> {
        let mut document = self.document()?;
        let found = counts(places);
        let mut entries = self.file.accept.iter();
        if let Some(accept) = document
            .get_mut("accept")
            .and_then(Item::as_array_of_tables_mut)
        {
            accept.retain(|_| {
                entries
                    .next()
                    .is_none_or(|entry| found.contains_key(&entry.origin))
            });
        }
        Ok(document.to_string())
    }
}

impl Baseline {
    fn document(&self) -> Result<DocumentMut, Invalid> {
        let parsed = self.text.parse();
        parsed.map_err(|error: TomlError| Invalid(error.to_string()))
    }
}

impl Kind {
    /// Whether a test can pass in spite of such a finding.
    pub(crate) fn can_be_accepted(self) -> bool {
        !matches!(self, Self::Hang | Self::Check)
    }
}

impl Origin {
    pub(crate) fn of(place: &Place) -> Self {
        let file = place.at.file.as_deref();
        let file = match &place.package {
            // Its folder has the version, which the next update changes.
            Some(_) => file
                .and_then(|file| file.split_once('/'))
                .map(|(_, below)| below),
            None => file,
        };
        Self {
            kind: place.kind,
            package: place.package.clone(),
            file: file.map(str::to_owned),
            function: place.function.clone(),
        }
    }

    fn table(&self, most: usize) -> Table {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        table["kind"] = value(self.kind.word());
        let fields = [
            ("crate", &self.package),
            ("file", &self.file),
            ("function", &self.function),
        ];
        for (name, field) in fields {
            if let Some(field) = field {
                table[name] = value(field);
            }
        }
        table["most"] = integer(most);
        table["reason"] = value("");
        table
    }
}

/// The most findings that a test has of each origin.
fn counts(places: &[Place]) -> BTreeMap<Origin, usize> {
    let mut counts: BTreeMap<Origin, BTreeMap<&Test, usize>> = BTreeMap::new();
    for place in places {
        let of_origin = counts.entry(Origin::of(place)).or_default();
        for (test, found) in &place.tests {
            *of_origin.entry(test).or_default() += found.count;
        }
    }
    let most = |tests: BTreeMap<&Test, usize>| tests.into_values().max().unwrap_or(0);
    counts
        .into_iter()
        .map(|(origin, tests)| (origin, most(tests)))
        .collect()
}

fn integer(number: usize) -> Item {
    value(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Baseline, HEADER};
    use crate::findings::line::{At, Line};
    use crate::findings::place::{Found, Place};
    use crate::findings::sources::Sources;

    /// Places of leaks in `file`, where each test has as many as given.
    fn leaks(file: &str, tests: &[usize]) -> Vec<Place> {
        let lines = tests.iter().enumerate().map(|(index, count)| {
            let line = serde_json::json!({
                "test": format!("test_{index}"), "verdict": "leaked",
                "findings": [{"kind": "task", "file": file, "line": 3, "count": count}],
            });
            serde_json::from_value::<Line>(line).unwrap()
        });
        Found::by_place(lines.collect(), &Sources::none()).places
    }

    fn read(text: &str) -> Baseline {
        Baseline::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn accepted_findings_are_not_new() {
        let places = leaks("src/pool.rs", &[1, 2]);
        let accepted = Baseline::default().accepting(&places).unwrap();
        let entry =
            "[[accept]]\nkind = \"leak\"\nfile = \"src/pool.rs\"\nmost = 2\nreason = \"\"\n";
        assert_eq!(accepted, format!("{HEADER}\n{entry}"));

        let baseline = read(&accepted);
        assert!(baseline.compare(&places).new.is_empty());
        assert_eq!(baseline.compare(&leaks("src/pool.rs", &[3])).new.len(), 1);
        let other = leaks("src/other.rs", &[1]);
        let comparison = baseline.compare(&other);
        assert_eq!((comparison.new.len(), comparison.gone.len()), (1, 1));
    }

    #[test]
    fn accepting_keeps_what_people_wrote() {
        let text = "grace = \"1s\" # slow\n\n# Why.\n[[accept]]\nkind = \"leak\"\nfile = \"a.rs\"\n\
            most = 1\nreason = \"by design\"\n";
        let baseline = read(text);
        assert_eq!(baseline.accepting(&leaks("a.rs", &[1])).unwrap(), text);
        let more = baseline.accepting(&leaks("a.rs", &[2])).unwrap();
        assert_eq!(more, text.replace("most = 1", "most = 2"));
        let both = baseline.accepting(&leaks("b.rs", &[1])).unwrap();
        assert!(
            both.starts_with(text) && both.contains("file = \"b.rs\""),
            "{both}"
        );

        assert_eq!(read(&both).pruned(&leaks("a.rs", &[1])).unwrap(), text);
        let settings: Vec<_> = baseline.variables().collect();
        assert_eq!(settings, [("STRAGGLER_GRACE", "1s".to_owned())]);
    }

    #[test]
    fn settings_of_tests_are_one_variable() {
        let text = "[[test]]\nname = \"pool::*\"\ngrace = \"1s 500ms\"\npanics = \"allow\"\n\
            [[test]]\nname = \"old\"\nskip = true\ntimeout = \"2m\"\n";
        let settings: Vec<_> = read(text).variables().collect();
        let expected = "pool::* grace=1s500ms panics=allow; old timeout=2m skip";
        assert_eq!(settings, [("STRAGGLER_TESTS", expected.to_owned())]);
    }

    #[test]
    fn invalid_file_has_line_and_column() {
        for (text, at, wrong) in [
            ("grace = 5", "line 1, column 9", "string"),
            (
                "\ntimeout = \"5\"",
                "line 2, column 11",
                "expected a duration",
            ),
            ("graze = \"1s\"", "line 1, column 1", "`graze`"),
            (
                "[[accept]]\nkind = \"leek\"\nmost = 1",
                "line 2, column 8",
                "`leek`",
            ),
            ("[[accept]]\nkind = \"leak\"", "line 1, column 1", "`most`"),
            (
                "[[accept]]\nkind = \"leak\"\nmost = 1\nline = 3",
                "line 4, column 1",
                "`line`",
            ),
            ("accept =", "line 1, column 9", ""),
            (
                "grace = \"1s\"\n[[test]]\nname = \"old::*\"",
                "line 2, column 1",
                "`skip = true`",
            ),
            (
                "[[test]]\nname = \"old new\"\nskip = true",
                "line 1, column 1",
                "\"old new\"",
            ),
            (
                "[[expected_panic]]\nreason = \"\"",
                "line 1, column 1",
                "`message`",
            ),
            (
                "[[test]]\nname = \"old\"\npanics = \"deny\"",
                "line 3, column 10",
                "`allow`",
            ),
        ] {
            let error = Baseline::parse(text.to_owned()).unwrap_err().to_string();
            assert!(
                error.contains(at) && error.contains(wrong),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn places_of_dependencies_have_no_version() {
        let sources = Sources::none().with_dependency("axum", "0.8.9");
        let line = serde_json::json!({
            "test": "serves", "verdict": "leaked",
            "findings": [{"kind": "task", "file": "axum-0.8.9/src/serve/mod.rs", "line": 3, "count": 1}],
        });
        let places = Found::by_place(vec![serde_json::from_value(line).unwrap()], &sources).places;
        let accepted = Baseline::default().accepting(&places).unwrap();
        assert!(
            accepted.contains("crate = \"axum\"\nfile = \"src/serve/mod.rs\"\n"),
            "{accepted}"
        );
        assert_eq!(
            places[0].at,
            At {
                file: Some("axum-0.8.9/src/serve/mod.rs".to_owned()),
                line: Some(3)
            }
        );
    }
}
