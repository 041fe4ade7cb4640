//! Writes the results where they are asked for, and where GitHub Actions reads them.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};

use crate::command::{Error, note, while_doing};
use crate::output::format::{Format, Outputs};
use crate::output::results::Results;
use crate::output::{annotations, markdown, render};

/// How many bytes of GitHub's one megabyte for a step this command uses.
const JOB_SUMMARY: usize = 900_000;

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
    publish_on_github(results);
    Ok(())
}

/// Prints annotations, and adds to the summary of the job.
fn publish_on_github(results: &Results) {
    if env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        // The standard output may be a document.
        eprint!("{}", annotations::render(results));
    }
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let text = markdown::render(results, Some(JOB_SUMMARY));
    // The step may have written there before.
    let file = OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        note(&format!(
            "could not add to the summary of the job, in the file that GITHUB_STEP_SUMMARY names: {error}"
        ));
    }
}
