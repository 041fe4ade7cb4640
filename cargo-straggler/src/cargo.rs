//! Runs cargo.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use cargo_metadata::semver::Version;
use cargo_metadata::{Metadata, MetadataCommand};
use shared_child::SharedChild;
use thiserror::Error;

use crate::cli::CargoOptions;
use crate::interrupt::Interrupts;

/// Cargo, with the options that every call gets.
#[derive(Debug)]
pub(crate) struct Cargo<'a> {
    program: OsString,
    options: &'a CargoOptions,
    interrupts: &'a Interrupts,
}

const NO_NEXTEST: &str = "`--nextest` needs cargo-nextest, which is not installed. Install it with \
    `cargo install --locked cargo-nextest`, or run without `--nextest`";

/// A call of cargo that failed.
#[derive(Debug, Error)]
pub(crate) enum CargoError {
    #[error("a signal ended the run")]
    Interrupted,
    #[error("could not run cargo: {0}")]
    NotRun(io::Error),
    /// Cargo's own message.
    #[error("{0}")]
    Failed(String),
    #[error("could not read what `cargo metadata` wrote: {0}")]
    Unreadable(cargo_metadata::Error),
}

/// Whether cargo may change the lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Fixed,
    Free,
}

impl<'a> Cargo<'a> {
    pub(crate) fn new(options: &'a CargoOptions, interrupts: &'a Interrupts) -> Self {
        // Cargo tells its subcommands which cargo they are called by.
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self {
            program,
            options,
            interrupts,
        }
    }

    /// Whether a signal arrived.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupts.is_interrupted()
    }

    /// The triple that cargo builds for by default.
    pub(crate) fn host(&self) -> Result<String, CargoError> {
        let mut command = Command::new(&self.program);
        let version = self.capture(command.args(["version", "--verbose"]))?;
        let mut lines = version.lines();
        let host = lines.find_map(|line| line.strip_prefix("host: "));
        host.map(str::to_owned)
            .ok_or_else(|| CargoError::Failed("`cargo version` names no host".to_owned()))
    }

    /// Checks that nextest is installed.
    pub(crate) fn expect_nextest(&self) -> Result<(), CargoError> {
        let mut command = Command::new(&self.program);
        let version = self.capture(command.args(["nextest", "--version"]));
        version.map(drop).map_err(|error| match error {
            CargoError::Failed(_) => CargoError::Failed(NO_NEXTEST.to_owned()),
            error => error,
        })
    }

    /// The workspace without its dependencies. Neither needs nor changes the lock file.
    pub(crate) fn members(&self) -> Result<Metadata, CargoError> {
        let mut command = MetadataCommand::new();
        let mut command = command.cargo_path(&self.program).no_deps().cargo_command();
        command.args(self.options.of_every_call());
        if let Some(target) = &self.options.target_dir {
            command.env("CARGO_TARGET_DIR", target);
        }
        self.metadata(&mut command)
    }

    /// The workspace with its dependencies for `platform`.
    pub(crate) fn graph(
        &self,
        platform: &str,
        configuration: &[String],
        lock: Lock,
    ) -> Result<Metadata, CargoError> {
        let mut command = MetadataCommand::new();
        let mut command = command.cargo_path(&self.program).cargo_command();
        command.args(["--all-features", "--filter-platform", platform]);
        command.args(self.options.of_every_call());
        command.args(configuration);
        if lock == Lock::Fixed {
            command.arg("--locked");
        }
        self.metadata(&mut command)
    }

    /// A package of its own workspace with its dependencies.
    pub(crate) fn graph_of(&self, manifest: &Path) -> Result<Metadata, CargoError> {
        let mut command = MetadataCommand::new();
        let mut command = command.cargo_path(&self.program).cargo_command();
        command.arg("--manifest-path").arg(manifest);
        command.args(self.options.of_the_network());
        self.metadata(&mut command)
    }

    /// Locks a version of a package, and updates what does not fit it.
    pub(crate) fn update(&self, package: &str, version: &Version) -> Result<(), CargoError> {
        let mut command = Command::new(&self.program);
        command.args(["update", package, "--precise", &version.to_string()]);
        command.args(self.options.of_every_call());
        self.capture(&mut command).map(drop)
    }

    /// Adds a dependency by these arguments of `cargo add`.
    pub(crate) fn add(&self, arguments: &[OsString]) -> Result<(), CargoError> {
        let mut command = self.command(&["add"], &[]);
        self.capture(command.args(arguments)).map(drop)
    }

    /// A command of cargo's, which [`run`](Self::run) runs.
    pub(crate) fn command(&self, subcommand: &[&str], configuration: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(subcommand);
        command.args(self.options.of_every_call());
        command.args(configuration);
        command
    }

    /// Runs a command, and passes it to `attend` while it runs.
    pub(crate) fn run<T>(
        &self,
        command: &mut Command,
        attend: impl FnOnce(&SharedChild) -> T,
    ) -> Result<(ExitStatus, T), CargoError> {
        let ran = self.interrupts.run(command, attend);
        // A signal to both may end the child before this process has handled it.
        let is_killed = matches!(&ran, Ok((status, _)) if status.code().is_none());
        if is_killed || self.is_interrupted() {
            return Err(CargoError::Interrupted);
        }
        ran.map_err(CargoError::NotRun)
    }

    fn metadata(&self, command: &mut Command) -> Result<Metadata, CargoError> {
        let text = self.capture(command)?;
        MetadataCommand::parse(text).map_err(CargoError::Unreadable)
    }

    /// Runs a command and returns its standard output.
    fn capture(&self, command: &mut Command) -> Result<String, CargoError> {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let read = |child: &SharedChild| {
            let (mut output, mut errors) = (String::new(), String::new());
            let (stdout, stderr) = (child.take_stdout(), child.take_stderr());
            thread::scope(|scope| {
                // Both at once: a full pipe would stop the child.
                let reading =
                    scope.spawn(|| stderr.map(|mut pipe| pipe.read_to_string(&mut errors)));
                let read = stdout.map(|mut pipe| pipe.read_to_string(&mut output));
                _ = reading.join();
                read.transpose()
            })?;
            Ok::<_, io::Error>((output, errors))
        };
        let (status, read) = self.run(command, read)?;
        let (output, errors) = read.map_err(CargoError::NotRun)?;
        if status.success() {
            Ok(output)
        } else {
            let message = errors.trim();
            let message = message.strip_prefix("error: ").unwrap_or(message);
            Err(CargoError::Failed(message.to_owned()))
        }
    }
}
