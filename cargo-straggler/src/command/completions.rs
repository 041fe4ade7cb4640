//! `cargo straggler completions`: what a shell needs to complete the command.

use std::io::{self, Write as _};

use crate::cli::{self, CompletionsOptions};
use crate::command::{Error, while_doing};
use crate::exit::Exit;

/// Prints the completions of a shell.
///
/// # Errors
///
/// Returns an error if they cannot be written.
pub(crate) fn run(options: &CompletionsOptions) -> Result<Exit, Error> {
    // The generator panics on a closed pipe, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut cli::executable(),
        "cargo-straggler",
        &mut script,
    );
    io::stdout()
        .write_all(&script)
        .map_err(while_doing("could not write the completions"))?;
    Ok(Exit::Passed)
}
