//! `cargo straggler man`: the manual, a page for each subcommand.

use std::fs;

use crate::cli::{self, ManOptions};
use crate::command::{Error, while_doing};
use crate::exit::Exit;

/// Writes the pages into a folder.
///
/// # Errors
///
/// Returns an error if the folder cannot be written.
pub(crate) fn run(options: &ManOptions) -> Result<Exit, Error> {
    let doing = format!("could not write to {}", options.folder.display());
    fs::create_dir_all(&options.folder).map_err(while_doing(&doing))?;
    clap_mangen::generate_to(cli::executable(), &options.folder).map_err(while_doing(&doing))?;
    Ok(Exit::Passed)
}
