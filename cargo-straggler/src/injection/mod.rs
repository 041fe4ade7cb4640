//! The packages that take the place of tokio in a suite.
//!
//! ```text
//! the suite, hyper, ..  ->  tokio  ->  straggler  ->  straggler-tokio-copy
//! ```
//!
//! `tokio` is a package of exactly the version that the suite locks. It re-exports `straggler::tokio`,
//! whose functions track what they spawn. Straggler itself needs tokio's own sources: they are a copy
//! under another name, since cargo would see a cycle otherwise.

mod folder;
mod instrument;
mod library;
mod manifest;

use std::fs::{self, File};
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use cargo_metadata::semver::{Version, VersionReq};
use thiserror::Error;
use toml_edit::{DocumentMut, TomlError, value};

use self::folder::Folder;
use self::instrument::instrument;
use self::library::Library;
pub(crate) use self::library::clone;
use crate::cargo::Cargo;
use crate::suite_tokio::SuiteTokio;

/// The package with tokio's own sources. `src/trace/package.rs` knows it by this name.
const COPY: &str = "straggler-tokio-copy";

/// The library of the package `tokio`.
const TOKIO: &str = "\
//! tokio with straggler inside: `cargo straggler` builds a suite with it in place of tokio.

pub use straggler::tokio::*;

#[doc(hidden)]
pub use straggler as __straggler;
pub use straggler::__private::tokio_test as test;
";

/// With this flag straggler sees tasks that a method such as `Handle::spawn` spawned, and where.
const UNSTABLE: &str = "tokio_unstable";

/// Tells straggler that the copy of tokio has scheduling points.
const INSTRUMENTED: &str = "straggler_instrumented";

/// The sources of straggler, to be built into a suite.
#[derive(Debug)]
pub(crate) struct Injection {
    library: Library,
    pub(crate) floor: VersionReq,
}

/// The packages for one suite.
#[derive(Debug)]
pub(crate) struct Injected {
    /// The folder of the package `tokio`.
    tokio: PathBuf,
    /// The folder of the package `straggler`.
    straggler: PathBuf,
    /// Whether straggler takes the place of one that the suite depends on.
    pub(crate) replaces_straggler: bool,
    /// Whether its operations have scheduling points.
    pub(crate) has_points: bool,
}

/// The packages could not be written.
#[derive(Debug, Error)]
pub(crate) enum InjectionError {
    #[error(
        "the sources of straggler {version} are neither where this command was built nor in the registry. \
         Install it again from a clone of straggler: `cargo install --path cargo-straggler`. Cargo \
         says:\n\n{reason}"
    )]
    NoLibrary { version: String, reason: String },
    #[error("a signal ended the run")]
    Interrupted,
    #[error("could not copy {path}: {error}")]
    Copy { path: PathBuf, error: io::Error },
    #[error("the manifest {path} is not valid: {error}")]
    Manifest { path: PathBuf, error: TomlError },
    #[error("the manifest of straggler does not say which tokio it needs")]
    NoFloor,
    #[error(
        "tokio {0} is built in a way that straggler does not know, so it cannot get scheduling points. Use \
         the newest tokio: `cargo update tokio`"
    )]
    NoPoints(Version),
    #[error("{0} has files, and is no copy of tokio from an earlier run. Name a new folder")]
    Occupied(PathBuf),
}

impl Injection {
    /// Finds the sources of straggler. Without a clone, cargo downloads them for a package in `folder`.
    ///
    /// # Errors
    ///
    /// Returns an error if they are gone, or no sources of straggler.
    pub(crate) fn find(cargo: &Cargo<'_>, folder: &Path) -> Result<Self, InjectionError> {
        let library = Library::find(cargo, folder)?;
        let floor = library.required_tokio().ok_or(InjectionError::NoFloor)?;
        Ok(Self { library, floor })
    }

    /// The oldest tokio that straggler can be built with.
    pub(crate) fn oldest_tokio(&self) -> Version {
        let required = self.floor.comparators.first();
        required.map_or(Version::new(1, 0, 0), |required| {
            let (minor, patch) = (required.minor.unwrap_or(0), required.patch.unwrap_or(0));
            Version::new(required.major, minor, patch)
        })
    }

    /// Writes the packages for a suite into `folder`. Files that are there already keep their times, so
    /// that cargo does not build them again.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or written.
    pub(crate) fn write(
        &self,
        suite: &SuiteTokio,
        folder: &Path,
    ) -> Result<Injected, InjectionError> {
        let _lock = lock(folder).map_err(|error| InjectionError::Copy {
            path: folder.to_owned(),
            error,
        })?;
        let library = &self.library;
        let mut copy = Folder::default();
        copy.add_all(&suite.folder)?;
        copy.allow_warnings();
        let has_points = instrument(&mut copy);
        let manifest = suite.folder.join("Cargo.toml");
        let mut manifest = manifest::of_copy(&read_manifest(&manifest)?, COPY);
        let unstable = suite.allows_unstable.then_some(UNSTABLE);
        set_flags(&mut copy, &mut manifest, unstable.iter());
        copy.set("Cargo.toml", &manifest);
        // Reports then treat the files as a dependency's, as those of `cargo vendor`.
        copy.set(".cargo-checksum.json", &"{}");
        copy.write(&folder.join("copy"))?;

        let mut macros = Folder::default();
        macros.add(&library.macros, "src", "src")?;
        macros.allow_warnings();
        macros.set("Cargo.toml", &library.macros_manifest());
        macros.set(".cargo-checksum.json", &"{}");
        macros.write(&folder.join("macros"))?;

        let mut straggler = Folder::default();
        for path in ["src", "docs", "README.md"] {
            straggler.add(&library.straggler, path, path)?;
        }
        straggler.allow_warnings();
        let mut manifest = library.manifest();
        let mut needs_tokio = manifest["dependencies"]["tokio"].clone();
        needs_tokio["package"] = value(COPY);
        needs_tokio["path"] = value("../copy");
        if let Some(table) = needs_tokio.as_table_like_mut() {
            table.remove("version");
        }
        manifest["dependencies"]["tokio"] = needs_tokio;
        manifest["dependencies"]["straggler-macros"]["path"] = value("../macros");
        let instrumented = has_points.then_some(INSTRUMENTED);
        set_flags(
            &mut straggler,
            &mut manifest,
            unstable.iter().chain(&instrumented),
        );
        straggler.set("Cargo.toml", &manifest);
        straggler.set(".cargo-checksum.json", &"{}");
        straggler.write(&folder.join("straggler"))?;

        let tokio = folder.join("tokio");
        let mut shim = Folder::default();
        shim.set("src/lib.rs", &TOKIO);
        shim.set("Cargo.toml", &manifest::of_tokio(suite, COPY));
        shim.set(".cargo-checksum.json", &"{}");
        shim.write(&tokio)?;
        Ok(Injected {
            tokio,
            straggler: folder.join("straggler"),
            replaces_straggler: false,
            has_points,
        })
    }
}

/// Gives a package a build script that sets flags for it alone: `RUSTFLAGS` would build the whole suite
/// with them.
fn set_flags<'f>(
    package: &mut Folder,
    manifest: &mut DocumentMut,
    flags: impl Iterator<Item = &'f &'f str>,
) {
    // With one colon: `cargo::` is an error in packages that allow a Rust before 1.77, as tokio does.
    let first = "cargo:rerun-if-changed=build.rs".to_owned();
    let flags = flags.map(|flag| format!("cargo:rustc-cfg={flag}"));
    let lines: Vec<_> = iter::once(first).chain(flags).collect();
    let script = format!("fn main() {{\n    println!({:?});\n}}\n", lines.join("\n"));
    package.set("build.rs", &script);
    // A published manifest says that there is none.
    manifest["package"]["build"] = value("build.rs");
}

/// Writes a copy of tokio that has scheduling points.
///
/// # Errors
///
/// Returns an error if this tokio cannot have any, if other files are in `folder`, or if a file cannot be read or
/// written.
pub(crate) fn write_instrumented(suite: &SuiteTokio, folder: &Path) -> Result<(), InjectionError> {
    let is_empty = fs::read_dir(folder).map_or(true, |mut files| files.next().is_none());
    if !is_empty && !folder.join(instrument::MODULE_FILE).is_file() {
        return Err(InjectionError::Occupied(folder.to_owned()));
    }
    let mut tokio = Folder::default();
    tokio.add_all(&suite.folder)?;
    tokio.allow_warnings();
    if !instrument(&mut tokio) {
        return Err(InjectionError::NoPoints(suite.version.clone()));
    }
    let manifest = read_manifest(&suite.folder.join("Cargo.toml"))?;
    tokio.set("Cargo.toml", &manifest::of_copy(&manifest, "tokio"));
    // Reports then treat the files as a dependency's, as those of `cargo vendor`.
    tokio.set(".cargo-checksum.json", &"{}");
    tokio.write(folder)
}

impl Injected {
    /// The arguments by which cargo builds the packages in place of tokio.
    pub(crate) fn configuration(&self) -> Vec<String> {
        let text = |path: &Path| toml_edit::Value::from(path.to_string_lossy().into_owned());
        let mut configuration = vec![
            "--config".to_owned(),
            format!("patch.crates-io.tokio.path={}", text(&self.tokio)),
            // Reports do not read its lines, which would be a third of each test binary.
            "--config".to_owned(),
            "profile.dev.package.straggler.debug=false".to_owned(),
        ];
        if self.replaces_straggler {
            // A `[patch]` cannot take the place of a path dependency.
            configuration.extend([
                "--config".to_owned(),
                format!("paths=[{}]", text(&self.straggler)),
            ]);
        }
        configuration
    }

    /// The manifest of the package `tokio`.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.tokio.join("Cargo.toml")
    }
}

/// Keeps other runs from writing to the folder: workspaces may share a target folder.
fn lock(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join("lock"))?;
    file.lock()?;
    Ok(file)
}

fn read_manifest(path: &Path) -> Result<DocumentMut, InjectionError> {
    let text = fs::read_to_string(path).map_err(|error| InjectionError::Copy {
        path: path.to_owned(),
        error,
    })?;
    text.parse().map_err(|error| InjectionError::Manifest {
        path: path.to_owned(),
        error,
    })
}
