//! The formats, and where each goes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// How the results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Human,
    Json,
    Junit,
    Sarif,
    Markdown,
    Html,
}

/// Every format with its name.
const NAMES: [(&str, Format); 6] = [
    ("human", Format::Human),
    ("json", Format::Json),
    ("junit", Format::Junit),
    ("sarif", Format::Sarif),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
];

/// A format that is asked for, as `FORMAT` or `FORMAT=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requested {
    format: Format,
    /// `None` for the standard output.
    file: Option<PathBuf>,
}

/// Where the results go.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) standard: Format,
    pub(crate) files: Vec<OutputFile>,
}

/// A file that is open for one format.
#[derive(Debug)]
pub(crate) struct OutputFile {
    pub(crate) format: Format,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

/// A file for a format cannot be written.
#[derive(Debug, Error)]
#[error("could not write to {path}, which `--format` names: {error}")]
pub(crate) struct OutputError {
    path: PathBuf,
    error: io::Error,
}

impl FromStr for Requested {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text
            .split_once('=')
            .map_or((text, None), |(name, file)| (name, Some(file)));
        let format = NAMES.into_iter().find(|(known, _)| *known == name);
        let Some((_, format)) = format else {
            let known = NAMES.map(|(known, _)| known).join("`, `");
            return Err(format!("expected one of `{known}`, got `{name}`"));
        };
        match file {
            Some("") => Err(format!("expected a file after `{name}=`")),
            file => Ok(Self {
                format,
                file: file.map(PathBuf::from),
            }),
        }
    }
}

/// Says which formats would go to the same place, or over one of the files that are read.
pub(crate) fn conflict(requested: &[Requested], read: &[PathBuf]) -> Option<String> {
    let mut files = requested.iter().filter_map(|format| format.file.as_ref());
    if let Some(file) = files.find(|file| read.contains(file)) {
        return Some(format!(
            "{} is read, and a format goes there",
            file.display()
        ));
    }
    let mut requested = requested.iter();
    while let Some(one) = requested.next() {
        if requested.clone().any(|other| other.file == one.file) {
            let place = one.file.as_ref().map_or(
                "standard output: give all but one a file, as in `--format json=FILE`".to_owned(),
                |file| file.display().to_string(),
            );
            return Some(format!("two formats go to {place}"));
        }
    }
    None
}

impl Outputs {
    /// Opens the files, and empties them: what an earlier run wrote there is not of this run.
    ///
    /// # Errors
    ///
    /// Returns an error if a file or its folder cannot be created.
    pub(crate) fn open(requested: &[Requested]) -> Result<Self, OutputError> {
        let mut outputs = Self {
            standard: Format::default(),
            files: Vec::new(),
        };
        for Requested { format, file } in requested {
            match file {
                Some(path) => outputs.files.push(OutputFile {
                    format: *format,
                    path: path.clone(),
                    file: create(path).map_err(|error| OutputError {
                        path: path.clone(),
                        error,
                    })?,
                }),
                None => outputs.standard = *format,
            }
        }
        Ok(outputs)
    }
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Format, Requested, conflict};

    fn requested(text: &str) -> Result<Requested, String> {
        text.parse()
    }

    #[test]
    fn format_may_have_a_file() {
        for (text, file) in [
            ("json", None),
            ("json=target/a=b.json", Some("target/a=b.json")),
        ] {
            let expected = Requested {
                format: Format::Json,
                file: file.map(PathBuf::from),
            };
            assert_eq!(requested(text), Ok(expected));
        }
        for (text, wrong) in [
            ("yaml=x", "`html`, got `yaml`"),
            ("", "got ``"),
            ("json=", "a file after `json=`"),
        ] {
            let error = requested(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn each_format_has_a_place_of_its_own() {
        let read = [PathBuf::from("report.jsonl")];
        let conflict = |texts: &[&str]| {
            let requested: Result<Vec<_>, _> = texts.iter().map(|text| requested(text)).collect();
            conflict(&requested.unwrap(), &read)
        };
        assert_eq!(conflict(&["human", "json=a", "json=b"]), None);
        assert!(
            conflict(&["json=report.jsonl"])
                .unwrap()
                .contains("is read")
        );
        assert!(
            conflict(&["human", "json"])
                .unwrap()
                .contains("standard output")
        );
        assert!(
            conflict(&["human=a", "human", "json=a"])
                .unwrap()
                .ends_with(" to a")
        );
    }
}
