//! Writes the results where they are asked for.

use std::io::{self, Write as _};

use crate::command::{Error, while_doing};
use crate::output::format::{Format, Outputs};
use crate::output::render;
use crate::output::results::Results;

/// Prints the results, and writes the files.
///
/// # Errors
///
/// Returns an error if a file or the standard output cannot be written.
pub(crate) fn publish(results: &Results, outputs: Outputs) -> Result<(), Error> {
    let text = render(outputs.standard, results)?;
    if outputs.standard == Format::Human {
        anstream::print!("{text}");
    } else {
        let written = io::stdout().write_all(text.as_bytes());
        written.map_err(while_doing("could not write to the standard output"))?;
    }
    for mut output in outputs.files {
        let text = render(output.format, results)?;
        let text = if output.format == Format::Human {
            anstream::adapter::strip_str(&text).to_string()
        } else {
            text
        };
        let doing = format!("could not write to {}", output.path.display());
        let written = output.file.write_all(text.as_bytes());
        written.map_err(while_doing(&doing))?;
    }
    Ok(())
}
