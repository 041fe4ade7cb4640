//! The settings of a check, from its caller and from the environment.

pub(crate) mod environment;
pub(crate) mod rules;
pub(crate) mod test_rules;

use std::time::Duration;

use self::environment::{Environment, Timeout};
use self::rules::{PlaceRule, Rules};

/// The default grace: how long leftover tasks get to finish after the body.
///
/// On an overloaded machine, clean multi-thread tests needed up to 60 ms. Only a failing test waits
/// for all of it.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// The default timeout of a body. Few tests take a tenth of it, while a test runner without a
/// timeout waits forever.
///
/// It is not round: a test that waits for a minute on purpose, or for a timeout of its own, must not
/// race it. It also ends before a runner that gives up after 75, 90 or 120 seconds.
const TIMEOUT: Duration = Duration::from_secs(73);

/// The settings of one check.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the settings are independent"
)]
pub(crate) struct Settings {
    pub(crate) is_local: bool,
    /// `None` defers to the environment.
    pub(crate) grace: Option<Duration>,
    /// `None` defers to the environment.
    pub(crate) timeout: Option<Timeout>,
    /// Applies if neither the caller nor the environment sets a timeout.
    pub(crate) default_timeout: Duration,
    pub(crate) allows_panics: bool,
    pub(crate) rules: Rules,
    /// Applies the rules of `STRAGGLER_ALLOW` too.
    pub(crate) has_suite_rules: bool,
    pub(crate) denies_threads: bool,
    /// Gives up the body as soon as its runtime is idle with no timer pending. Only for a paused
    /// clock, where the body is not expected to wait for anything outside its runtime.
    pub(crate) ends_when_idle: bool,
    /// Whether the test is a run of an exploration, which repeats what it finds.
    pub(crate) is_explored: bool,
    /// Prints notes on rules that matched nothing, or may have matched too much.
    pub(crate) notes_rules: bool,
}

impl Settings {
    /// Returns the rules of the suite that apply to the check.
    pub(crate) fn suite_rules<'e>(&self, environment: &'e Environment) -> &'e [PlaceRule] {
        if self.has_suite_rules {
            &environment.allow
        } else {
            &[]
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_local: false,
            grace: None,
            timeout: None,
            default_timeout: TIMEOUT,
            allows_panics: false,
            rules: Rules::default(),
            has_suite_rules: true,
            denies_threads: false,
            ends_when_idle: false,
            is_explored: false,
            notes_rules: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TIMEOUT;

    #[test]
    fn default_timeout_is_no_round_number() {
        let seconds = TIMEOUT.as_secs();
        assert!([2, 3, 5].iter().all(|round| seconds % round != 0));
        assert!(
            seconds > 60 + 10,
            "a test that waits for a minute has time to end"
        );
    }
}
