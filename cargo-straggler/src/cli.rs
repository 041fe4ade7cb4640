//! The command line.

use std::env;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser};

use crate::features;
use crate::output::format::{Requested, conflict};

/// `cargo straggler`.
#[derive(Debug, Parser)]
#[command(name = "cargo straggler", bin_name = "cargo straggler", version, about, long_about = None)]
struct Straggler {
    #[command(subcommand)]
    subcommand: Subcommand,
}

/// The exit statuses, for `--help`.
const STATUSES: &str = "\
Exit status:
  0    the suite passes, and every finding is accepted
  10   the suite passes, with findings that are not accepted
  11   the suite could not be checked
  130  Ctrl-C or another signal ended the run
  Otherwise that of `cargo test` or nextest: the build or a test failed.

All other options and names of tests go to `cargo test`, or to nextest.";

/// What the command is asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Run the tests of a workspace, and check every `#[tokio::test]` for leaks
    Test(TestOptions),
    /// Run each `#[tokio::test]` that can be explored in many schedules
    Explore(ExploreOptions),
    /// Use `#[straggler::test]` in a workspace: adds the dev-dependency and replaces `#[tokio::test]`
    Init(InitOptions),
    /// Show the findings in files that `STRAGGLER_REPORT` names, all of them together
    Report(ReportOptions),
    /// Write a copy of the workspace's tokio that has scheduling points, for a `[patch]` of your own
    Instrument(InstrumentOptions),
    /// Print the completions of a shell, for the executable `cargo-straggler`
    Completions(CompletionsOptions),
    /// Write the manual, a page for each subcommand
    Man(ManOptions),
}

/// The options of `cargo straggler completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsOptions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// The options of `cargo straggler man`.
#[derive(Args, Debug)]
pub(crate) struct ManOptions {
    /// Where to write the pages, such as ~/.local/share/man/man1
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// The options of `cargo straggler explore`.
#[derive(Args, Debug)]
#[command(
    override_usage = "cargo straggler explore [OPTIONS] [cargo test's options] [-- the test harness's options]",
    after_help = STATUSES
)]
pub(crate) struct ExploreOptions {
    /// In how many schedules each test runs
    #[arg(long, value_name = "NUMBER", default_value_t = NonZero::new(100).unwrap_or(NonZero::<usize>::MIN))]
    pub(crate) runs: NonZero<usize>,

    /// Explore only this part of the schedules, such as 3/8 on the third of eight machines
    #[arg(long, value_name = "PART/COUNT", value_parser = shard)]
    pub(crate) shard: Option<String>,

    /// Let a spawned task begin before its spawner continues, as another thread may run it. A spawner that holds a lock
    /// of std, which the task locks, then blocks its test
    #[arg(long)]
    pub(crate) eager_spawns: bool,

    #[command(flatten)]
    pub(crate) test: TestOptions,
}

/// Checks a shard, which the tests read.
fn shard(text: &str) -> Result<String, &'static str> {
    let expected = "expected a part and how many there are, such as `3/8`";
    let (part, count) = text.split_once('/').ok_or(expected)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| expected);
    let (part, count) = (number(part)?, number(count)?);
    if (1..=count).contains(&part) {
        Ok(text.to_owned())
    } else {
        Err(expected)
    }
}

/// The options of `cargo straggler instrument`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0   the copy is written
  11  this tokio cannot have scheduling points, or the copy could not be written")]
pub(crate) struct InstrumentOptions {
    /// Where to write it. Files that are there and no part of it are removed
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    pub(crate) cargo: CargoOptions,
}

/// The options of `cargo straggler init`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0   the workspace uses straggler, or would after a run without --dry-run
  11  it could not be edited, and is as before")]
pub(crate) struct InitOptions {
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// List the joins in test code too, and replace those whose types allow it
    #[arg(long)]
    pub(crate) joins: bool,

    /// Write even if git could not undo it
    #[arg(long)]
    pub(crate) allow_dirty: bool,

    #[command(flatten)]
    pub(crate) cargo: CargoOptions,
}

/// The options of `cargo straggler report`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status:
  0   every finding is accepted
  10  there are findings that are not accepted, or schedules that fail
  11  a file could not be read")]
pub(crate) struct ReportOptions {
    /// The files, such as target/straggler/report.jsonl of several machines
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputOptions,

    #[command(flatten)]
    pub(crate) cargo: CargoOptions,
}

/// Where findings go.
#[derive(Args, Debug)]
pub(crate) struct OutputOptions {
    /// Show the findings as human, json, junit, sarif, markdown or html; may be repeated, with a file each
    #[arg(long = "format", value_name = "FORMAT[=FILE]")]
    pub(crate) formats: Vec<Requested>,
}

/// The options of `cargo straggler test`.
#[derive(Args, Debug)]
#[command(
    override_usage = "cargo straggler test [OPTIONS] [cargo test's options] [-- the test harness's options]",
    after_help = STATUSES
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct TestOptions {
    /// Run the tests by `cargo nextest run`, as if the workspace had a .config/nextest.toml
    #[arg(long, conflicts_with = "no_nextest")]
    pub(crate) nextest: bool,

    /// Run the tests by `cargo test`, also if the workspace has a .config/nextest.toml
    #[arg(long)]
    pub(crate) no_nextest: bool,

    /// Update tokio for this run alone, if the locked version is too old
    #[arg(long)]
    pub(crate) update_tokio: bool,

    /// Accept what is found from now on: writes it to .config/straggler.toml
    #[arg(long)]
    pub(crate) accept: bool,

    /// Remove from .config/straggler.toml what the whole suite no longer does
    #[arg(long)]
    pub(crate) prune: bool,

    #[command(flatten)]
    pub(crate) output: OutputOptions,

    #[command(flatten)]
    pub(crate) cargo: CargoOptions,

    /// What is passed to cargo as it is.
    #[arg(skip)]
    pub(crate) passed_on: Vec<OsString>,
}

/// The options of cargo that this command needs to know. It passes on all others unseen.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Options of cargo that this command reads too")]
pub(crate) struct CargoOptions {
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
    /// Directory for all generated artifacts: straggler's are in its folder `straggler`
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) target_dir: Option<PathBuf>,
    /// Fail if Cargo.lock is not up to date
    #[arg(long)]
    locked: bool,
    /// Run without accessing the network
    #[arg(long)]
    offline: bool,
    /// Equivalent to specifying both --locked and --offline
    #[arg(long)]
    frozen: bool,
    /// Override a configuration value
    #[arg(long, value_name = "KEY=VALUE|PATH")]
    config: Vec<OsString>,
    /// Unstable (nightly-only) flags to Cargo
    #[arg(short = 'Z', value_name = "FLAG")]
    unstable: Vec<OsString>,
}

/// Options of cargo that leave no test out.
const OF_THE_WHOLE: [&str; 10] = [
    "--workspace",
    "--all",
    "--all-features",
    "--no-fail-fast",
    "--release",
    "-r",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
];

/// Options of nextest by which it runs tests that were built before.
const OF_EARLIER_BUILDS: [&str; 3] = ["--archive-file", "--binaries-metadata", "--cargo-metadata"];

impl TestOptions {
    /// Says which option asks for tests that this command does not build.
    fn refused(&self) -> Option<String> {
        let mut refused = OF_EARLIER_BUILDS.iter();
        let refused = refused.find(|option| self.passes_on(option))?;
        Some(format!(
            "`{refused}` runs tests from an earlier build, which are not checked. Leave it out: `cargo straggler` \
             builds the tests itself. To share them between machines, pass a `--partition` of nextest to each"
        ))
    }

    /// Whether all tests run that a plain `cargo test` would run.
    pub(crate) fn is_whole(&self) -> bool {
        let mut passed_on = self.passed_on.iter();
        passed_on.all(|argument| OF_THE_WHOLE.iter().any(|known| argument == known))
    }

    /// The options that decide which tests are built, each with a space before it.
    pub(crate) fn of_build(&self) -> String {
        let features = features::among(&self.passed_on);
        if self.update_tokio {
            return " --update-tokio".to_owned() + &features;
        }
        features
    }

    /// Whether an option is among those for cargo.
    pub(crate) fn passes_on(&self, option: &str) -> bool {
        let mut for_cargo = self
            .passed_on
            .iter()
            .take_while(|argument| *argument != "--");
        for_cargo.any(|argument| {
            let argument = argument.to_string_lossy();
            let (name, _) = argument.split_once('=').unwrap_or((&argument, ""));
            name == option
        })
    }
}

impl CargoOptions {
    /// No options but these values of `--config`.
    #[cfg(test)]
    pub(crate) fn with_configuration<const N: usize>(config: [String; N]) -> Self {
        Self {
            config: config.map(Into::into).into(),
            ..Self::default()
        }
    }

    /// No options but the path of a manifest.
    #[cfg(test)]
    pub(crate) fn of_manifest(path: PathBuf) -> Self {
        Self {
            manifest_path: Some(path),
            ..Self::default()
        }
    }

    /// The arguments that every call of cargo in the workspace gets.
    pub(crate) fn of_every_call(&self) -> Vec<OsString> {
        let mut arguments = self.of_the_network();
        if let Some(path) = &self.manifest_path {
            arguments.extend(["--manifest-path".into(), path.into()]);
        }
        arguments
    }

    /// The arguments that say what cargo may fetch, and how.
    pub(crate) fn of_the_network(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        if self.offline || self.frozen {
            arguments.push("--offline".into());
        }
        for config in &self.config {
            arguments.extend(["--config".into(), config.clone()]);
        }
        for flag in &self.unstable {
            arguments.extend(["-Z".into(), flag.clone()]);
        }
        arguments
    }

    /// Whether the lock file of the suite must be up to date.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked || self.frozen
    }
}

impl Subcommand {
    /// The formats that are asked for.
    fn formats(&self) -> &[Requested] {
        match self {
            Self::Test(options) => &options.output.formats,
            Self::Explore(options) => &options.test.output.formats,
            Self::Report(options) => &options.output.formats,
            Self::Init(_) | Self::Instrument(_) | Self::Completions(_) | Self::Man(_) => &[],
        }
    }

    /// Says which of the options for cargo cannot be passed on.
    fn refused(&self) -> Option<String> {
        match self {
            Self::Test(options) => options.refused(),
            Self::Explore(options) => options.test.refused(),
            _ => None,
        }
    }

    /// The files that are read.
    fn reports(&self) -> &[PathBuf] {
        match self {
            Self::Report(options) => &options.files,
            _ => &[],
        }
    }
}

/// The command by the name of its executable: names of files and shell functions have no spaces.
pub(crate) fn executable() -> clap::Command {
    Straggler::command().name("cargo-straggler")
}

/// Reads the arguments of this process. Exits on `--help` and on an error.
pub(crate) fn parse() -> Subcommand {
    // Cargo passes the name of the subcommand first.
    let mut arguments: Vec<_> = env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "straggler") {
        arguments.remove(1);
    }
    let mut command = Straggler::command();
    command.build();
    let (own, passed_on) = split(&command, arguments);
    let parsed = command.try_get_matches_from_mut(own);
    let parsed = parsed.and_then(|matches| Straggler::from_arg_matches(&matches));
    let mut subcommand = parsed.unwrap_or_else(|error| error.exit()).subcommand;
    let (formats, read) = (subcommand.formats(), subcommand.reports());
    if let Some(conflict) = conflict(formats, read) {
        command.error(ErrorKind::ArgumentConflict, conflict).exit();
    }
    match &mut subcommand {
        Subcommand::Test(options) => options.passed_on = passed_on,
        Subcommand::Explore(options) => options.test.passed_on = passed_on,
        Subcommand::Init(_)
        | Subcommand::Report(_)
        | Subcommand::Instrument(_)
        | Subcommand::Completions(_)
        | Subcommand::Man(_) => {}
    }
    if let Some(refused) = subcommand.refused() {
        command.error(ErrorKind::ArgumentConflict, refused).exit();
    }
    subcommand
}

/// Splits the arguments into those that this command defines, and those for cargo.
///
/// Options of both may come in any order, and clap would end at the first one it does not know.
fn split(command: &clap::Command, arguments: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut arguments = arguments.into_iter();
    let mut own: Vec<_> = arguments.by_ref().take(2).collect();
    let subcommand = own.get(1).and_then(|name| command.find_subcommand(name));
    // Only the tests have arguments of others.
    let runs_tests =
        |subcommand: &&clap::Command| ["test", "explore"].contains(&subcommand.get_name());
    let Some(subcommand) = subcommand.filter(runs_tests) else {
        own.extend(arguments);
        return (own, Vec::new());
    };
    let mut passed_on = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            passed_on.push(argument);
            passed_on.extend(arguments);
            break;
        }
        let Some((option, has_value)) = known(subcommand, &argument.to_string_lossy()) else {
            passed_on.push(argument);
            continue;
        };
        own.push(argument);
        if option.get_action().takes_values() && !has_value {
            own.extend(arguments.next());
        }
    }
    (own, passed_on)
}

/// The option that an argument is, and whether it has its value.
fn known<'c>(command: &'c clap::Command, argument: &str) -> Option<(&'c clap::Arg, bool)> {
    command.get_arguments().find_map(|option| {
        if let Some(long) = argument.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            return (option.get_long() == Some(name)).then_some((option, value.is_some()));
        }
        let mut letters = argument.strip_prefix('-')?.chars();
        let is_named = letters.next() == Some(option.get_short()?);
        let has_value = !letters.as_str().is_empty();
        (is_named && (option.get_action().takes_values() || !has_value))
            .then_some((option, has_value))
    })
}
