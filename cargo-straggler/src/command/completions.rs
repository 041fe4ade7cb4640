//! `cargo straggler completions`: what a shell needs to complete the command.

use std::io::{self, Write as _};

use clap_complete::{Shell, generate};

use crate::cli::{self, CompletionsOptions};
use crate::command::{Error, while_doing};
use crate::exit::Exit;

/// The executable.
const NAME: &str = "cargo-straggler";

/// Its name for the script of bash. With a hyphen in it, the functions of clap's script complete no
/// options of subcommands.
const WITHOUT_HYPHEN: &str = "cargo_straggler";

/// Prints the completions of a shell.
///
/// # Errors
///
/// Returns an error if they cannot be written.
pub(crate) fn run(options: &CompletionsOptions) -> Result<Exit, Error> {
    let script = match options.shell {
        Shell::Bash => for_bash(),
        shell => script(shell, NAME),
    };
    io::stdout()
        .write_all(&script)
        .map_err(while_doing("could not write the completions"))?;
    Ok(Exit::Passed)
}

fn script(shell: Shell, name: &str) -> Vec<u8> {
    // The generator panics on a closed pipe, so it writes to memory.
    let mut script = Vec::new();
    generate(shell, &mut cli::executable(), name, &mut script);
    script
}

/// The script of bash, whose last lines name the executable that it completes.
fn for_bash() -> Vec<u8> {
    let script = script(Shell::Bash, WITHOUT_HYPHEN);
    let script = String::from_utf8_lossy(&script);
    let completed = |name| format!(" {name}\n");
    let script = script.replace(&completed(WITHOUT_HYPHEN), &completed(NAME));
    script.into_bytes()
}
