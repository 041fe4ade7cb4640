//! The settings of single tests, and the variable that passes them to the library.

use serde::Deserialize;
use thiserror::Error;

use crate::given_time::{GivenTime, GivenTimeout};

/// The settings of the tests whose names match.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct TestSettings {
    name: String,
    /// As the library reads it.
    rule: String,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// `*` stands for any text.
    name: String,
    grace: Option<GivenTime>,
    timeout: Option<GivenTimeout>,
    panics: Option<Panics>,
    #[serde(default)]
    skip: bool,
}

/// What panics of tasks are.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Panics {
    Allow,
}

/// An entry that the library could not read.
#[derive(Debug, Error)]
enum Unusable {
    #[error("expected a test such as \"pool::*\" in `name`, got \"{0}\"")]
    Name(String),
    #[error("expected `grace`, `timeout`, `panics = \"allow\"` or `skip = true` beside the `name`")]
    NoSetting,
}

impl TryFrom<Written> for TestSettings {
    type Error = Unusable;

    fn try_from(written: Written) -> Result<Self, Unusable> {
        let Written {
            name,
            grace,
            timeout,
            panics,
            skip,
        } = written;
        let is_separator = |character: char| character.is_whitespace() || character == ';';
        if name.is_empty() || name.contains(is_separator) {
            return Err(Unusable::Name(name));
        }
        let time = |setting: &str, time: &GivenTime| format!("{setting}={}", time.without_spaces());
        let settings = [
            grace.map(|grace| time("grace", &grace)),
            timeout.map(|timeout| time("timeout", timeout.time())),
            panics.map(|Panics::Allow| "panics=allow".to_owned()),
            skip.then(|| "skip".to_owned()),
        ];
        let settings: Vec<_> = settings.into_iter().flatten().collect();
        if settings.is_empty() {
            return Err(Unusable::NoSetting);
        }
        let rule = format!("{name} {}", settings.join(" "));
        Ok(Self { name, rule })
    }
}

/// The value of `STRAGGLER_TESTS`, or `None` if no test has settings of its own.
pub(crate) fn variable(tests: &[TestSettings]) -> Option<String> {
    let rules: Vec<_> = tests.iter().map(|settings| &*settings.rule).collect();
    (!rules.is_empty()).then(|| rules.join("; "))
}

impl TestSettings {
    /// Whether the settings are for the test with this name.
    fn is_for(&self, test: &str) -> bool {
        let mut parts = self.name.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = test.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<_> = parts.collect();
        // The name ends with the last part; the others may come anywhere in between.
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.split_once(part) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// The entries that are for none of these tests, as they are written.
pub(crate) fn unmatched(settings: &[TestSettings], tests: &[&str]) -> Vec<String> {
    let unmatched = settings
        .iter()
        .filter(|settings| !tests.iter().any(|test| settings.is_for(test)));
    unmatched
        .map(|settings| format!("[[test]] name = {:?}", settings.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{TestSettings, unmatched};

    fn settings(name: &str) -> TestSettings {
        toml_edit::de::from_str(&format!("name = \"{name}\"\nskip = true")).unwrap()
    }

    #[test]
    fn star_stands_for_any_text() {
        for (name, test, expected) in [
            ("pool::fills", "pool::fills", true),
            ("pool::fills", "pool::fills_twice", false),
            ("pool::*", "pool::fills", true),
            ("*::fills", "pool::fills", true),
            ("*::fills", "pool::fills::twice", false),
            ("pool::*_*s", "pool::fills_twice_slows", true),
            ("pool::*_*s", "pool::fills", false),
            ("*", "pool::fills", true),
            ("server::*", "pool::fills", false),
        ] {
            assert_eq!(settings(name).is_for(test), expected, "{name} {test}");
        }
    }

    #[test]
    fn entry_for_no_test_is_named() {
        let all = [settings("pool::*"), settings("old::*")];
        let named = unmatched(&all, &["pool::fills"]);
        assert_eq!(named, ["[[test]] name = \"old::*\""]);
    }
}
