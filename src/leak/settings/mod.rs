//! What a check is asked to do: by its caller, by the environment, and what it allows.

pub(crate) mod environment;
pub(crate) mod rules;

use std::time::Duration;

use self::environment::Timeout;
use self::rules::Rules;

/// How long leftover tasks get to finish after the body, unless a setting says otherwise.
///
/// With more busy threads than processors, clean multi-thread tests needed up to 60 ms. Only a
/// failing test waits for all of it.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// How long a body may take, unless a setting says otherwise. Few tests take a tenth of it, and a
/// test runner would wait forever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of one check.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each setting stands by itself"
)]
pub(crate) struct Settings {
    pub(crate) is_local: bool,
    /// `None` leaves it to the environment.
    pub(crate) grace: Option<Duration>,
    /// `None` leaves it to the environment.
    pub(crate) timeout: Option<Timeout>,
    /// Used where neither the caller nor the environment sets a timeout.
    pub(crate) default_timeout: Duration,
    pub(crate) allows_panics: bool,
    pub(crate) rules: Rules,
    pub(crate) denies_threads: bool,
    /// Gives the body up as soon as nothing in its runtime can run and no timer is left. Only for a
    /// paused clock, where nothing outside of the runtime is known to be waited for.
    pub(crate) ends_when_idle: bool,
    /// Prints a note about each rule that allowed nothing.
    pub(crate) notes_unused_rules: bool,
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
            denies_threads: false,
            ends_when_idle: false,
            notes_unused_rules: true,
        }
    }
}
