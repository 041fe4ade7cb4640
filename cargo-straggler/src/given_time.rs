//! Times in `.config/straggler.toml`, which the library reads again.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration as it is written, which is valid.
#[derive(Clone, Debug)]
pub(crate) struct GivenTime(String);

/// A duration as it is written, other than zero, or `none`.
#[derive(Clone, Debug)]
pub(crate) struct GivenTimeout(GivenTime);

impl GivenTime {
    /// As it is written.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The duration as one word: `1s 500ms` is `1s500ms`.
    pub(crate) fn without_spaces(&self) -> String {
        self.0.split_whitespace().collect()
    }
}

impl GivenTimeout {
    /// The value of a variable.
    pub(crate) fn time(&self) -> &GivenTime {
        &self.0
    }
}

impl<'de> Deserialize<'de> for GivenTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(de::Error::custom(format!(
                "expected a duration such as \"250ms\": {error}"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for GivenTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_valid = text == "none"
            || humantime::parse_duration(&text).is_ok_and(|timeout| timeout > Duration::ZERO);
        if is_valid {
            return Ok(Self(GivenTime(text)));
        }
        let message = format!("expected a duration such as \"10s\", or \"none\", got \"{text}\"");
        Err(de::Error::custom(message))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{GivenTime, GivenTimeout};

    #[derive(Deserialize)]
    struct File {
        grace: Option<GivenTime>,
        timeout: Option<GivenTimeout>,
    }

    fn parse(text: &str) -> Result<File, toml_edit::de::Error> {
        toml_edit::de::from_str(text)
    }

    #[test]
    fn timeout_may_be_none() {
        let file = parse("grace = \"1s 500ms\"\ntimeout = \"none\"").unwrap();
        assert_eq!(file.grace.unwrap().without_spaces(), "1s500ms");
        assert_eq!(file.timeout.unwrap().time().text(), "none");
        let file = parse("timeout = \"2m\"").unwrap();
        assert_eq!(file.timeout.unwrap().time().text(), "2m");
    }

    #[test]
    fn other_times_are_errors() {
        for (text, expected) in [
            ("grace = \"none\"", "expected a duration such as \"250ms\""),
            ("timeout = \"0s\"", "or \"none\", got \"0s\""),
            ("timeout = \"long\"", "or \"none\", got \"long\""),
        ] {
            let error = parse(text).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
