//! The `STRAGGLER*` environment variables, which apply to every test of the process.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::leak::settings::rules::PlaceRule;
use crate::leak::settings::test_rules::{TestRule, TestSettings};
use crate::schedule::seed::Seed;

/// What a check does with its findings, from `STRAGGLER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Fail the test.
    #[default]
    Deny,
    /// Print them.
    Warn,
    /// Run the test unchecked.
    Off,
}

/// How long a body may run, from `STRAGGLER_TIMEOUT` or a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    After(Duration),
    Never,
}

impl Timeout {
    /// Parses a duration or `none`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the duration, if that can be said.
    pub(crate) fn parse(text: &str) -> Result<Self, Option<humantime::DurationError>> {
        match text {
            "none" => Ok(Self::Never),
            text => match humantime::parse_duration(text)? {
                // No body ends within it: `none` is probably what was meant.
                Duration::ZERO => Err(None),
                after => Ok(Self::After(after)),
            },
        }
    }

    /// The timeout in real time, `Duration::MAX` for none.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::After(duration) => duration,
            Self::Never => Duration::MAX,
        }
    }
}

/// What the watchdog does when a test blocks its thread, from `STRAGGLER_ON_HANG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnHang {
    /// Abort the process.
    Abort,
    /// Print the report and leave the process to the test runner.
    Wait,
}

/// One of several equal parts of the seeds, so that machines can share an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Counts from 1.
    part: u32,
    count: u32,
}

impl Shard {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (part, count) = text.split_once('/')?;
        let (part, count) = (part.parse().ok()?, count.parse().ok()?);
        (1..=count).contains(&part).then_some(Self { part, count })
    }

    /// Returns how many seeds belong to the parts before this one.
    pub(crate) fn before(self) -> u32 {
        self.part - 1
    }

    /// Returns how many seeds belong to other parts after each one of this.
    pub(crate) fn between(self) -> u32 {
        self.count - 1
    }
}

/// The environment variables of the check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) mode: Mode,
    /// The grace of tests that set none.
    pub(crate) grace: Option<Duration>,
    /// The timeout of tests that set none.
    pub(crate) timeout: Option<Timeout>,
    pub(crate) on_hang: Option<OnHang>,
    /// The rules of every test, in addition to its own.
    pub(crate) allow: Vec<PlaceRule>,
    /// The settings of single tests.
    tests: Vec<TestRule>,
    /// The seed every exploration replays, instead of exploring.
    pub(crate) seed: Option<Seed>,
    /// The number of runs of every exploration.
    pub(crate) runs: Option<usize>,
    /// The number of runs of each test that `cargo straggler explore` explores.
    pub(crate) explore: Option<usize>,
    /// Whether it also lets tasks begin inside their spawns.
    pub(crate) eager_spawns: bool,
    /// The part of the seeds that every exploration draws.
    pub(crate) shard: Option<Shard>,
    /// Whether each test has its own process, as under nextest.
    has_process_per_test: bool,
}

impl Environment {
    /// Reads the variables once per process.
    ///
    /// # Errors
    ///
    /// Returns the first invalid variable. A typo must fail the test: ignoring it would silently
    /// switch a setting off.
    pub(crate) fn read() -> Result<&'static Self, String> {
        static READ: OnceLock<Result<Environment, String>> = OnceLock::new();
        let read = || Self::parse(|name| Some(env::var_os(name)?.to_string_lossy().into_owned()));
        READ.get_or_init(read).as_ref().map_err(String::clone)
    }

    /// Returns the settings of the test with this name.
    pub(crate) fn of_test(&self, test: Option<&str>) -> TestSettings {
        TestSettings::of(test, &self.tests)
    }

    /// Whether the test with this name is checked.
    pub(crate) fn checks(&self, test: Option<&str>) -> bool {
        self.mode != Mode::Off && !self.of_test(test).is_skipped
    }

    /// Returns what the watchdog does when a test blocks its thread.
    pub(crate) fn on_hang(&self) -> OnHang {
        // In its own process, a hung test takes no other test down with it.
        self.on_hang.unwrap_or(if self.has_process_per_test {
            OnHang::Abort
        } else {
            OnHang::Wait
        })
    }

    fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        // CI files often clear a variable by setting it to the empty string.
        let get = |name| get(name).filter(|value| !value.is_empty());
        let mode = match get("STRAGGLER").as_deref() {
            None | Some("deny") => Mode::Deny,
            Some("warn") => Mode::Warn,
            Some("off") => Mode::Off,
            Some(other) => return Err(invalid("STRAGGLER", "`deny`, `warn` or `off`", other)),
        };
        let name = "STRAGGLER_GRACE";
        let grace = get(name).map(|text| {
            let parsed = humantime::parse_duration(&text);
            let expected = "a duration such as `250ms`";
            parsed.map_err(|error| format!("{} ({error})", invalid(name, expected, &text)))
        });
        let name = "STRAGGLER_TIMEOUT";
        let expected = "a duration such as `10s`, or `none`";
        let timeout = get(name).map(|text| {
            Timeout::parse(&text).map_err(|error| {
                let reason = error.map_or(String::new(), |error| format!(" ({error})"));
                format!("{}{reason}", invalid(name, expected, &text))
            })
        });
        let on_hang = match get("STRAGGLER_ON_HANG").as_deref() {
            None => None,
            Some("abort") => Some(OnHang::Abort),
            Some("wait") => Some(OnHang::Wait),
            Some(other) => return Err(invalid("STRAGGLER_ON_HANG", "`abort` or `wait`", other)),
        };
        let name = "STRAGGLER_ALLOW";
        let allow = get(name).map(|text| {
            let expected =
                "places and how many leftovers may remain, such as `bb8=1,src/pool.rs=2`";
            let rules = PlaceRule::parse_list(&text);
            rules.map_err(|part| invalid(name, expected, part))
        });
        let name = "STRAGGLER_TESTS";
        let tests = get(name).map(|text| {
            let expected = "tests and their settings, such as `pool::* grace=2s; legacy::* skip`";
            let rules = TestRule::parse_list(&text);
            rules.map_err(|rule| invalid(name, expected, rule))
        });
        let seed = get("STRAGGLER_SEED").map(|text| {
            let seed = text.parse::<Seed>();
            seed.map_err(|error| format!("`STRAGGLER_SEED`: {error}"))
        });
        let number = |name| {
            let parse = |text: String| match text.parse() {
                Ok(0) | Err(_) => Err(invalid(name, "a positive number such as `5000`", &text)),
                Ok(number) => Ok(number),
            };
            get(name).map(parse).transpose()
        };
        let name = "STRAGGLER_EAGER_SPAWNS";
        let eager_spawns = match get(name).as_deref() {
            None => false,
            Some("true") => true,
            Some(other) => return Err(invalid(name, "`true`", other)),
        };
        let name = "STRAGGLER_SHARD";
        let shard = get(name).map(|text| {
            let expected = "a part and how many there are, such as `3/8`";
            Shard::parse(&text).ok_or_else(|| invalid(name, expected, &text))
        });
        Ok(Self {
            mode,
            grace: grace.transpose()?,
            timeout: timeout.transpose()?,
            on_hang,
            allow: allow.transpose()?.unwrap_or_default(),
            tests: tests.transpose()?.unwrap_or_default(),
            seed: seed.transpose()?,
            runs: number("STRAGGLER_RUNS")?,
            explore: number("STRAGGLER_EXPLORE")?,
            eager_spawns,
            shard: shard.transpose()?,
            has_process_per_test: get("NEXTEST_EXECUTION_MODE").as_deref()
                == Some("process-per-test"),
        })
    }
}

fn invalid(name: &str, expected: &str, text: &str) -> String {
    format!("invalid `{name}`: expected {expected}, got `{text}`")
}

/// Where findings go in addition to the report on standard error.
///
/// Read apart from [`Environment`], since an invalid variable there is itself a finding to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlets {
    /// The file that findings are appended to as JSON.
    pub(crate) report: Option<PathBuf>,
    /// Whether that file has a line for each test without findings too.
    pub(crate) reports_clean: bool,
    /// Whether to print annotations, because this runs on GitHub Actions and nobody else prints them.
    pub(crate) annotates: bool,
}

impl Outlets {
    /// Reads the variables once per process.
    pub(crate) fn read() -> &'static Self {
        static READ: OnceLock<Outlets> = OnceLock::new();
        READ.get_or_init(|| {
            Self::parse(
                env::var_os("STRAGGLER_REPORT"),
                env::var_os("STRAGGLER_REPORT_CLEAN"),
                env::var_os("GITHUB_ACTIONS"),
                env::var_os("STRAGGLER_ANNOTATIONS"),
            )
        })
    }

    fn parse(
        report: Option<OsString>,
        report_clean: Option<OsString>,
        github_actions: Option<OsString>,
        annotations: Option<OsString>,
    ) -> Self {
        let is_true = |value: Option<OsString>| value.is_some_and(|value| value == "true");
        Self {
            report: report.filter(|path| !path.is_empty()).map(PathBuf::from),
            reports_clean: is_true(report_clean),
            annotates: is_true(github_actions) && annotations.is_none_or(|value| value != "false"),
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
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn empty_variable_is_the_default() {
        let names = [
            "STRAGGLER",
            "STRAGGLER_GRACE",
            "STRAGGLER_TIMEOUT",
            "STRAGGLER_ON_HANG",
            "STRAGGLER_ALLOW",
            "STRAGGLER_TESTS",
        ];
        assert_eq!(parse(&[]), Ok(Environment::default()));
        assert_eq!(parse(&names.map(|name| (name, ""))), parse(&[]));
        let default = Environment::default();
        assert_eq!((default.mode, default.grace), (Mode::Deny, None));
        assert_eq!((default.timeout, default.on_hang()), (None, OnHang::Wait));
    }

    #[test]
    fn variables_are_read() {
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
    fn on_hang_aborts_under_nextest() {
        let nextest = ("NEXTEST_EXECUTION_MODE", "process-per-test");
        assert_eq!(parse(&[nextest]).unwrap().on_hang(), OnHang::Abort);
        let both = [nextest, ("STRAGGLER_ON_HANG", "wait")];
        assert_eq!(parse(&both).unwrap().on_hang(), OnHang::Wait);
    }

    #[test]
    fn invalid_variable_names_expected_values() {
        for (name, text, expected) in [
            ("STRAGGLER", "of", "`deny`, `warn` or `off`, got `of`"),
            ("STRAGGLER_GRACE", "250", "such as `250ms`, got `250`"),
            (
                "STRAGGLER_TIMEOUT",
                "10",
                "such as `10s`, or `none`, got `10`",
            ),
            (
                "STRAGGLER_TIMEOUT",
                "0s",
                "such as `10s`, or `none`, got `0s`",
            ),
            ("STRAGGLER_ON_HANG", "kill", "`abort` or `wait`, got `kill`"),
            (
                "STRAGGLER_ALLOW",
                "bb8=1,src/pool.rs=many",
                "such as `bb8=1,src/pool.rs=2`, got `src/pool.rs=many`",
            ),
            ("STRAGGLER_RUNS", "0", "such as `5000`, got `0`"),
            ("STRAGGLER_EXPLORE", "many", "such as `5000`, got `many`"),
            ("STRAGGLER_EAGER_SPAWNS", "yes", "`true`, got `yes`"),
            ("STRAGGLER_SHARD", "0/8", "such as `3/8`, got `0/8`"),
            ("STRAGGLER_SHARD", "9/8", "such as `3/8`, got `9/8`"),
            (
                "STRAGGLER_TESTS",
                "pool::* grace=2s; old::*",
                "such as `pool::* grace=2s; legacy::* skip`, got `old::*`",
            ),
        ] {
            let error = parse(&[(name, text)]).unwrap_err();
            assert!(error.contains(name) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn outlets_are_closed_by_default() {
        let parse = |report: Option<&str>, switches: Option<&str>| {
            let [clean, github_actions] = [switches, switches].map(|value| value.map(Into::into));
            Outlets::parse(report.map(Into::into), clean, github_actions, None)
        };
        assert_eq!(parse(None, None), Outlets::default());
        for value in ["", "false", "1", "TRUE"] {
            assert_eq!(parse(Some(""), Some(value)), Outlets::default(), "{value}");
        }
        let all = Outlets {
            report: Some(PathBuf::from("findings.jsonl")),
            reports_clean: true,
            annotates: true,
        };
        assert_eq!(parse(Some("findings.jsonl"), Some("true")), all);
    }
}
