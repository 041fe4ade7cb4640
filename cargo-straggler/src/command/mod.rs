//! The subcommands. Only they print.

pub(crate) mod test;

use thiserror::Error;

use crate::baseline::Invalid;
use crate::cargo::CargoError;
use crate::exit::Exit;
use crate::findings::line::ReadError;
use crate::injection::InjectionError;
use crate::resolution::ResolutionError;
use crate::suite_tokio::Unusable;

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
    #[error(
        "`--prune` needs a passing run of the whole suite: an entry that a part of it does not match is not \
         gone"
    )]
    PruneOfPart,
    #[error("{doing}: {error}")]
    System {
        doing: String,
        error: std::io::Error,
    },
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Cargo(CargoError::Interrupted)
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
