//! What the environment variables say, which hold for all tests of a process.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// What is done with what a check finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The test fails.
    #[default]
    Deny,
    /// It is printed.
    Warn,
    /// There is no check.
    Off,
}

/// What the environment variables say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) mode: Mode,
    /// The grace of tests that do not set their own.
    pub(crate) grace: Option<Duration>,
}

impl Environment {
    /// Reads the variables, once in a process.
    ///
    /// # Errors
    ///
    /// If a variable cannot be understood: a check must not be lost by a slip of the pen.
    pub(crate) fn read() -> Result<Self, String> {
        static READ: OnceLock<Result<Environment, String>> = OnceLock::new();
        let read = || {
            let of = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
            Self::parse(of("STRAGGLER").as_deref(), of("STRAGGLER_GRACE").as_deref())
        };
        READ.get_or_init(read).clone()
    }

    fn parse(mode: Option<&str>, grace: Option<&str>) -> Result<Self, String> {
        let mode = match mode {
            None | Some("" | "deny") => Mode::Deny,
            Some("warn") => Mode::Warn,
            Some("off") => Mode::Off,
            Some(other) => {
                return Err(format!(
                    "the environment variable STRAGGLER is `deny`, `warn` or `off`, and not `{other}`"
                ));
            }
        };
        let grace = match grace {
            None | Some("") => None,
            Some(text) => Some(humantime::parse_duration(text).map_err(|error| {
                format!(
                    "the environment variable STRAGGLER_GRACE is a time such as `250ms`, \
                     and not `{text}`: {error}"
                )
            })?),
        };
        Ok(Self { mode, grace })
    }
}

/// Where findings of tests go, besides what is printed for people.
///
/// It is read on its own: that a variable for the check itself cannot be understood is a finding too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlets {
    /// The file to which findings are appended as JSON.
    pub(crate) report: Option<PathBuf>,
    /// Whether this runs on GitHub Actions, which makes annotations of what is printed.
    pub(crate) annotates: bool,
}

impl Outlets {
    /// Reads the variables, once in a process.
    pub(crate) fn read() -> &'static Self {
        static READ: OnceLock<Outlets> = OnceLock::new();
        READ.get_or_init(|| {
            Self::parse(
                env::var_os("STRAGGLER_REPORT"),
                env::var_os("GITHUB_ACTIONS"),
            )
        })
    }

    fn parse(report: Option<OsString>, github_actions: Option<OsString>) -> Self {
        Self {
            report: report.filter(|path| !path.is_empty()).map(PathBuf::from),
            annotates: github_actions.is_some_and(|value| value == "true"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Environment, Mode, Outlets};

    fn parse(mode: &str, grace: &str) -> Result<Environment, String> {
        Environment::parse(Some(mode), Some(grace))
    }

    #[test]
    fn what_is_not_set_or_empty_is_the_default() {
        assert_eq!(Environment::parse(None, None), Ok(Environment::default()));
        assert_eq!(parse("", ""), Ok(Environment::default()));
        assert_eq!(Environment::default().mode, Mode::Deny);
    }

    #[test]
    fn what_is_set_is_read() {
        let grace = Some(Duration::from_millis(1500));
        for (text, mode) in [
            ("deny", Mode::Deny),
            ("warn", Mode::Warn),
            ("off", Mode::Off),
        ] {
            assert_eq!(parse(text, "1s 500ms"), Ok(Environment { mode, grace }));
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_an_error_that_names_what_would_be_right() {
        let error = parse("of", "").unwrap_err();
        assert!(
            error.contains("`deny`, `warn` or `off`, and not `of`"),
            "{error}"
        );
        let error = parse("deny", "250").unwrap_err();
        assert!(error.contains("such as `250ms`, and not `250`"), "{error}");
    }

    #[test]
    fn outlets_are_open_only_where_the_variables_say_so() {
        let parse = |report: Option<&str>, github_actions: Option<&str>| {
            Outlets::parse(report.map(Into::into), github_actions.map(Into::into))
        };
        assert_eq!(parse(None, None), Outlets::default());
        for value in ["", "false", "1", "TRUE"] {
            assert_eq!(parse(Some(""), Some(value)), Outlets::default(), "{value}");
        }
        let both = Outlets {
            report: Some(PathBuf::from("findings.jsonl")),
            annotates: true,
        };
        assert_eq!(parse(Some("findings.jsonl"), Some("true")), both);
    }
}
