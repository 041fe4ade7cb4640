//! The subcommands. Only they print.

pub(crate) mod completions;
pub(crate) mod init;
pub(crate) mod instrument;
pub(crate) mod man;
mod publish;
pub(crate) mod report;
pub(crate) mod test;

use std::{fs, io};

use thiserror::Error;

use crate::baseline::{Baseline, Invalid};
use crate::cargo::CargoError;
use crate::exit::Exit;
use crate::findings::line::ReadError;
use crate::injection::InjectionError;
use crate::output::RenderError;
use crate::output::format::OutputError;
use crate::resolution::ResolutionError;
use crate::suite_tokio::Unusable;
use crate::workspace::Workspace;

/// Why a subcommand could not do what it was asked for.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error(transparent)]
    Injection(#[from] InjectionError),
    #[error(transparent)]
    Resolution(#[from] ResolutionError),
    #[error(transparent)]
    Report(#[from] ReadError),
    #[error(transparent)]
    Baseline(#[from] Invalid),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(
        "`--prune` needs a passing run of the whole suite: an entry that a part of it does not match is not \
         gone"
    )]
    PruneOfPart,
    #[error(
        "git could not undo what this would write: {0}. Commit first, look at it with `--dry-run`, or pass \
         `--allow-dirty`"
    )]
    NotUndoable(String),
    #[error("{doing}: {error}")]
    System { doing: String, error: io::Error },
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Cargo(CargoError::Interrupted)
            | Self::Injection(InjectionError::Interrupted)
            | Self::Resolution(ResolutionError::Cargo(CargoError::Interrupted)) => {
                Exit::Interrupted
            }
            _ => Exit::NotChecked,
        }
    }
}

/// Prints an error, and returns how the command ends.
pub(crate) fn print_error(error: &Error) -> Exit {
    anstream::eprintln!("straggler: error: {error}");
    error.exit()
}

/// Prints a note for people.
fn note(text: &str) {
    anstream::eprintln!("straggler: {text}");
}

/// Reads the baseline of a workspace. Without a file nothing is accepted.
pub(crate) fn read_baseline(workspace: &Workspace) -> Result<Baseline, Error> {
    let text = match fs::read_to_string(workspace.baseline()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(while_doing("could not read .config/straggler.toml"))?,
    };
    Ok(Baseline::parse(text)?)
}

/// Adds to an error of the system what failed.
pub(crate) fn while_doing(doing: &str) -> impl FnOnce(io::Error) -> Error + use<> {
    let doing = doing.to_owned();
    |error| Error::System { doing, error }
}
