//! What a run found, as a value, and each format that shows it.

pub(crate) mod annotations;
pub(crate) mod format;
mod html;
mod human;
mod json;
mod junit;
pub(crate) mod markdown;
pub(crate) mod repository;
pub(crate) mod results;
mod rules;
#[cfg(test)]
mod sample;
mod sarif;
mod spans;
mod text;
mod totals;
pub(crate) mod wording;

use thiserror::Error;

use crate::output::format::Format;
use crate::output::human::Human;
use crate::output::results::Results;

/// The results could not be written in a format.
#[derive(Debug, Error)]
#[error("could not write the findings as {format}: {error}")]
pub(crate) struct RenderError {
    format: &'static str,
    error: String,
}

/// Writes the results in a format. Colors are for [`Format::Human`] alone.
///
/// # Errors
///
/// Returns an error if a name or a message has no form in the format.
pub(crate) fn render(format: Format, results: &Results) -> Result<String, RenderError> {
    match format {
        Format::Human => Ok(Human(results).to_string()),
        Format::Json => json::render(results).map_err(failed("JSON")),
        Format::Junit => junit::render(results).map_err(failed("JUnit")),
        Format::Markdown => Ok(markdown::render(results, None)),
        Format::Html => Ok(html::render(results)),
        Format::Sarif => sarif::render(results).map_err(failed("SARIF")),
    }
}

fn failed<E: ToString>(format: &'static str) -> impl FnOnce(E) -> RenderError {
    move |error| RenderError {
        format,
        error: error.to_string(),
    }
}
