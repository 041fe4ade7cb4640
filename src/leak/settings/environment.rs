//! What the environment variables say, which hold for all tests of a process.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::schedule::seed::Seed;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    After(Duration),
    Never,
}

impl Timeout {
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::After(duration) => duration,
            Self::Never => Duration::MAX,
        }
    }
}

/// What is done with a process in which a test blocks its thread for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnHang {
    /// It is aborted.
    Abort,
    /// It is left to whoever runs the tests.
    Wait,
}

/// What the environment variables say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) mode: Mode,
    /// The grace of tests that do not set their own.
    pub(crate) grace: Option<Duration>,
    /// The timeout of tests that do not set their own.
    pub(crate) timeout: Option<Timeout>,
    pub(crate) on_hang: Option<OnHang>,
    /// The one run that explorations make.
    pub(crate) seed: Option<Seed>,
    /// How many runs explorations make.
    pub(crate) runs: Option<usize>,
    /// Whether each test has a process of its own, as under nextest.
    has_process_for_each_test: bool,
}

impl Environment {
    /// Reads the variables, once in a process.
    ///
    /// # Errors
    ///
    /// If a variable cannot be understood: a check must not be lost by a slip of the pen.
    pub(crate) fn read() -> Result<&'static Self, String> {
        static READ: OnceLock<Result<Environment, String>> = OnceLock::new();
        let read = || Self::parse(|name| Some(env::var_os(name)?.to_string_lossy().into_owned()));
        READ.get_or_init(read).as_ref().map_err(String::clone)
    }

    /// What is done with a process in which a test blocks its thread for ever.
    pub(crate) fn on_hang(&self) -> OnHang {
        self.on_hang.unwrap_or(if self.has_process_for_each_test {
            OnHang::Abort
        } else {
            OnHang::Wait
        })
    }

    fn parse(of: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        // One that is empty is as if it was not set.
        let of = |name| of(name).filter(|value| !value.is_empty());
        let mode = match of("STRAGGLER").as_deref() {
            None | Some("deny") => Mode::Deny,
            Some("warn") => Mode::Warn,
            Some("off") => Mode::Off,
            Some(other) => return Err(mistaken("STRAGGLER", "`deny`, `warn` or `off`", other)),
        };
        let time = |name, right, text: String| {
            let time = humantime::parse_duration(&text);
            time.map_err(|error| format!("{}: {error}", mistaken(name, right, &text)))
        };
        let right = "a time such as `250ms`";
        let grace = of("STRAGGLER_GRACE").map(|text| time("STRAGGLER_GRACE", right, text));
        let name = "STRAGGLER_TIMEOUT";
        let right = "a time such as `10s`, or `none`";
        let timeout = match of(name) {
            None => None,
            Some(text) if text == "none" => Some(Timeout::Never),
            Some(text) => match time(name, right, text.clone())? {
                Duration::ZERO => return Err(mistaken(name, right, &text)),
                after => Some(Timeout::After(after)),
            },
        };
        let on_hang = match of("STRAGGLER_ON_HANG").as_deref() {
            None => None,
            Some("abort") => Some(OnHang::Abort),
            Some("wait") => Some(OnHang::Wait),
            Some(other) => return Err(mistaken("STRAGGLER_ON_HANG", "`abort` or `wait`", other)),
        };
        let seed = of("STRAGGLER_SEED").map(|text| {
            let seed = text.parse::<Seed>();
            seed.map_err(|error| format!("the environment variable STRAGGLER_SEED: {error}"))
        });
        let name = "STRAGGLER_RUNS";
        let runs = of(name).map(|text| match text.parse() {
            Ok(0) | Err(_) => Err(mistaken(name, "a number from 1 on, such as `5000`", &text)),
            Ok(runs) => Ok(runs),
        });
        Ok(Self {
            mode,
            grace: grace.transpose()?,
            timeout,
            on_hang,
            seed: seed.transpose()?,
            runs: runs.transpose()?,
            has_process_for_each_test: of("NEXTEST_EXECUTION_MODE").as_deref()
                == Some("process-per-test"),
        })
    }
}

fn mistaken(name: &str, right: &str, text: &str) -> String {
    format!("the environment variable {name} is {right}, and not `{text}`")
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

    use super::{Environment, Mode, OnHang, Outlets, Timeout};

    fn parse(variables: &[(&str, &str)]) -> Result<Environment, String> {
        Environment::parse(|name| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_not_set_or_empty_is_the_default() {
        let names = [
            "STRAGGLER",
            "STRAGGLER_GRACE",
            "STRAGGLER_TIMEOUT",
            "STRAGGLER_ON_HANG",
        ];
        assert_eq!(parse(&[]), Ok(Environment::default()));
        assert_eq!(parse(&names.map(|name| (name, ""))), parse(&[]));
        let default = Environment::default();
        assert_eq!((default.mode, default.grace), (Mode::Deny, None));
        assert_eq!((default.timeout, default.on_hang()), (None, OnHang::Wait));
    }

    #[test]
    fn what_is_set_is_read() {
        for (text, mode) in [
            ("deny", Mode::Deny),
            ("warn", Mode::Warn),
            ("off", Mode::Off),
        ] {
            assert_eq!(parse(&[("STRAGGLER", text)]).unwrap().mode, mode);
        }
        let time = Duration::from_millis(1500);
        let grace = parse(&[("STRAGGLER_GRACE", "1s 500ms")]).unwrap().grace;
        assert_eq!(grace, Some(time));
        for (text, timeout) in [("1s 500ms", Timeout::After(time)), ("none", Timeout::Never)] {
            let read = parse(&[("STRAGGLER_TIMEOUT", text)]).unwrap();
            assert_eq!(read.timeout, Some(timeout));
        }
        for (text, on_hang) in [("abort", OnHang::Abort), ("wait", OnHang::Wait)] {
            let read = parse(&[("STRAGGLER_ON_HANG", text)]).unwrap();
            assert_eq!(read.on_hang(), on_hang);
        }
    }

    #[test]
    fn a_process_that_has_one_test_is_aborted() {
        let nextest = ("NEXTEST_EXECUTION_MODE", "process-per-test");
        assert_eq!(parse(&[nextest]).unwrap().on_hang(), OnHang::Abort);
        let both = [nextest, ("STRAGGLER_ON_HANG", "wait")];
        assert_eq!(parse(&both).unwrap().on_hang(), OnHang::Wait);
    }

    #[test]
    fn a_slip_of_the_pen_is_an_error_that_names_what_would_be_right() {
        for (name, text, right) in [
            ("STRAGGLER", "of", "`deny`, `warn` or `off`, and not `of`"),
            ("STRAGGLER_GRACE", "250", "such as `250ms`, and not `250`"),
            (
                "STRAGGLER_TIMEOUT",
                "10",
                "such as `10s`, or `none`, and not `10`",
            ),
            (
                "STRAGGLER_TIMEOUT",
                "0s",
                "such as `10s`, or `none`, and not `0s`",
            ),
            (
                "STRAGGLER_ON_HANG",
                "kill",
                "`abort` or `wait`, and not `kill`",
            ),
        ] {
            let error = parse(&[(name, text)]).unwrap_err();
            assert!(error.contains(name) && error.contains(right), "{error}");
        }
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
