//! The settings of single tests, from `STRAGGLER_TESTS`: `pool::* grace=2s; legacy::* skip`.

use std::time::Duration;

use crate::leak::settings::environment::Timeout;

/// Settings for the tests whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestRule {
    /// The path of the test, where `*` stands for any text.
    pattern: String,
    settings: TestSettings,
}

/// The settings of one test. `None` and `false` leave a setting as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestSettings {
    pub(crate) grace: Option<Duration>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) allows_panics: bool,
    /// Runs the test unchecked.
    pub(crate) is_skipped: bool,
}

impl TestRule {
    /// Parses the rules of a suite.
    ///
    /// # Errors
    ///
    /// Returns the first part that is not a rule.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, &str> {
        let rules = text.split(';').map(str::trim);
        rules
            .filter(|rule| !rule.is_empty())
            .map(Self::parse)
            .collect()
    }

    fn parse(text: &str) -> Result<Self, &str> {
        let mut words = text.split_whitespace();
        let pattern = words.next().unwrap_or_default().to_owned();
        let mut settings = TestSettings::default();
        for word in words {
            settings.set(word).ok_or(text)?;
        }
        // A rule that sets nothing is probably two rules without the `;`, or a pattern with a space.
        if settings == TestSettings::default() {
            return Err(text);
        }
        Ok(Self { pattern, settings })
    }
}

impl TestSettings {
    /// Returns the settings of the test with this name. Of several rules the first that has a setting
    /// decides on it.
    pub(crate) fn of(test: Option<&str>, rules: &[TestRule]) -> Self {
        let mut settings = Self::default();
        let Some(test) = test else {
            return settings;
        };
        let rules = rules.iter().filter(|rule| is_match(&rule.pattern, test));
        for rule in rules.map(|rule| rule.settings) {
            settings.grace = settings.grace.or(rule.grace);
            settings.timeout = settings.timeout.or(rule.timeout);
            settings.allows_panics |= rule.allows_panics;
            settings.is_skipped |= rule.is_skipped;
        }
        settings
    }

    /// Adds a setting as it is written.
    fn set(&mut self, word: &str) -> Option<()> {
        match word.split_once('=') {
            None if word == "skip" => self.is_skipped = true,
            Some(("panics", "allow")) => self.allows_panics = true,
            Some(("grace", text)) => self.grace = Some(humantime::parse_duration(text).ok()?),
            Some(("timeout", text)) => self.timeout = Some(Timeout::parse(text).ok()?),
            _ => return None,
        }
        Some(())
    }
}

/// Whether a pattern matches the whole of a text.
fn is_match(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TestRule, TestSettings, Timeout, is_match};

    #[test]
    fn star_matches_any_text() {
        for (pattern, text, expected) in [
            ("pool::one", "pool::one", true),
            ("pool::one", "pool::one_more", false),
            ("pool::*", "pool::one", true),
            ("pool::*", "spool::one", false),
            ("*::slow", "a::b::slow", true),
            ("*::slow", "a::b::slower", false),
            ("*slow*", "a::slow_one", true),
            ("a*a", "a", false),
            ("a*b*c", "a_b_c", true),
            ("a*b*c", "a_c", false),
            ("*", "", true),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn first_rule_with_a_setting_decides() {
        let rules =
            "pool::slow grace=2s timeout=none; pool::* grace=1s panics=allow;; old::* skip;";
        let rules = TestRule::parse_list(rules).unwrap();
        let slow = TestSettings::of(Some("pool::slow"), &rules);
        let expected = TestSettings {
            grace: Some(Duration::from_secs(2)),
            timeout: Some(Timeout::Never),
            allows_panics: true,
            is_skipped: false,
        };
        assert_eq!(slow, expected);
        assert!(TestSettings::of(Some("old::one"), &rules).is_skipped);
        for test in [Some("other"), None] {
            assert_eq!(TestSettings::of(test, &rules), TestSettings::default());
        }
    }

    #[test]
    fn invalid_rule_is_returned() {
        for text in [
            "pool::*",
            "pool::* grace=2",
            "pool::* grace",
            "pool::* timeout=0s",
            "pool::* panics=deny",
            "pool::* skip=true",
        ] {
            let list = format!("old::* skip; {text}");
            assert_eq!(TestRule::parse_list(&list), Err(text));
        }
    }
}
