//! The settings of single tests, and the variable that passes them to the library.

use serde::Deserialize;
use thiserror::Error;

use crate::given_time::{GivenTime, GivenTimeout};

/// The settings of the tests whose names match.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct TestSettings(String);

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
        Ok(Self(format!("{name} {}", settings.join(" "))))
    }
}

/// The value of `STRAGGLER_TESTS`, or `None` if no test has settings of its own.
pub(crate) fn variable(tests: &[TestSettings]) -> Option<String> {
    let rules: Vec<_> = tests.iter().map(|settings| &*settings.0).collect();
    (!rules.is_empty()).then(|| rules.join("; "))
}
