//! The files of a package, written only where they differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use walkdir::WalkDir;

use crate::injection::InjectionError;

/// The files of a package by their paths below its folder.
#[derive(Debug, Default)]
pub(crate) struct Folder(BTreeMap<PathBuf, Vec<u8>>);

/// What a build of a package does not need.
const UNNEEDED: [&str; 6] = [
    "tests",
    "benches",
    "examples",
    ".cargo-ok",
    "Cargo.lock",
    "target",
];

impl Folder {
    /// Sets the content of a file.
    pub(crate) fn set(&mut self, path: &str, content: &impl ToString) {
        self.0.insert(path.into(), content.to_string().into_bytes());
    }

    /// Returns the content of a text file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        str::from_utf8(self.0.get(Path::new(path))?).ok()
    }

    /// Adds all that a build of the package in `from` needs.
    pub(crate) fn add_all(&mut self, from: &Path) -> Result<(), InjectionError> {
        self.add_files(from, Path::new(""))
    }

    /// Adds the file or folder `path` in `root`, as `below`.
    pub(crate) fn add(
        &mut self,
        root: &Path,
        path: &str,
        below: &str,
    ) -> Result<(), InjectionError> {
        self.add_files(&root.join(path), Path::new(below))
    }

    /// Silences the warnings of a library. It has a path, so cargo shows them, and `-D warnings` in
    /// `RUSTFLAGS` makes them errors.
    pub(crate) fn allow_warnings(&mut self) {
        if let Some(library) = self.0.get_mut(Path::new("src/lib.rs")) {
            // In the first line, so that the others keep their numbers.
            library.splice(..0, *b"#![allow(warnings)] ");
        }
    }

    fn add_files(&mut self, from: &Path, below: &Path) -> Result<(), InjectionError> {
        let is_needed = |entry: &walkdir::DirEntry| {
            entry.depth() != 1 || !UNNEEDED.iter().any(|name| entry.file_name() == *name)
        };
        for entry in WalkDir::new(from).into_iter().filter_entry(is_needed) {
            let entry = entry.map_err(|error| failed(from, error.into()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let path = entry.path();
            let content = fs::read(path).map_err(|error| failed(path, error))?;
            let inside = path.strip_prefix(from).unwrap_or(path);
            let place = if inside.as_os_str().is_empty() {
                below.to_owned()
            } else {
                below.join(inside)
            };
            self.0.insert(place, content);
        }
        Ok(())
    }

    /// Makes `folder` hold these files and no others.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), InjectionError> {
        for (path, content) in &self.0 {
            let path = folder.join(path);
            if fs::read(&path).is_ok_and(|found| found == *content) {
                continue;
            }
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, content))
                .map_err(|error| failed(&path, error))?;
        }
        for entry in WalkDir::new(folder) {
            let entry = entry.map_err(|error| failed(folder, error.into()))?;
            let path = entry.path();
            let inside = path.strip_prefix(folder).unwrap_or(path);
            // Cargo locks the packages by themselves once.
            let is_known = self.0.contains_key(inside) || inside == Path::new("Cargo.lock");
            if !entry.file_type().is_dir() && !is_known {
                fs::remove_file(path).map_err(|error| failed(path, error))?;
            }
        }
        Ok(())
    }
}

fn failed(path: &Path, error: io::Error) -> InjectionError {
    InjectionError::Copy {
        path: path.to_owned(),
        error,
    }
}
