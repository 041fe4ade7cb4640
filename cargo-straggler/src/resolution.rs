//! Locks the versions of a suite with the packages that are built into it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use cargo_metadata::semver::{Version, VersionReq};
use cargo_metadata::{DependencyKind, Metadata};
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, Table, TomlError};

use crate::cargo::{Cargo, CargoError, Lock};
use crate::injection::Injected;
use crate::lock_file::LockFile;
use crate::suite_tokio::SuiteTokio;

/// What the lock file of the run has other than the suite's.
#[derive(Debug)]
pub(crate) struct Resolution {
    /// The packages that only this run has in another version: name, before, now.
    pub(crate) changed: Vec<(String, String, String)>,
}

/// The versions could not be locked.
#[derive(Debug, Error)]
pub(crate) enum ResolutionError {
    #[error("could not change Cargo.lock: {0}")]
    File(#[from] io::Error),
    #[error("Cargo.lock is not valid: {0}")]
    Lock(#[from] TomlError),
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(
        "cargo found no versions that fit both this suite and straggler. A vendored or offline registry \
         may lack the packages that straggler needs. Run once with the network, or add them to the vendored \
         ones with `cargo vendor --sync {}`. Cargo says:\n\n{message}", manifest.display()
    )]
    NoVersions { message: String, manifest: PathBuf },
    #[error(
        "cargo does not build this suite with the tracked tokio, but with {0}. Nothing was run, since \
         nothing would have been checked"
    )]
    NotUsed(String),
}

/// Locks the versions for a run: the suite's own, with `injected` in place of tokio.
///
/// # Errors
///
/// Returns an error if cargo cannot choose versions, or would not build the suite with the tokio that
/// tracks.
pub(crate) fn resolve(
    cargo: &Cargo<'_>,
    platform: &str,
    lock: &mut LockFile,
    suite: &SuiteTokio,
    injected: &Injected,
) -> Result<Resolution, ResolutionError> {
    let configuration = injected.configuration();
    let before = lock.read()?;
    let locked: DocumentMut = before.parse()?;
    let original = lock.original().unwrap_or_else(|| before.clone()).parse()?;
    let resolve = |freed: &dyn Fn(&str, &Version) -> bool| {
        lock.write(&patched(&locked, suite, freed).to_string())?;
        let graph = cargo.graph(platform, &configuration, Lock::Free);
        graph.map_err(ResolutionError::from)
    };
    // First the versions of the suite, whatever straggler would rather have.
    let mut graph = resolve(&|_, _| false);
    if let Err(ResolutionError::Cargo(CargoError::Failed(_))) = graph {
        // An old lock file has versions that are too old for straggler. Cargo chooses those again, and
        // if they still do not fit, every version that straggler depends on.
        let own = cargo.graph_of(&injected.manifest());
        let own = Requirements::of(own.map_err(|error| no_versions(error, injected))?);
        graph = resolve(&|name, version| own.exclude(name, version));
        if let Err(ResolutionError::Cargo(CargoError::Failed(_))) = graph {
            graph = resolve(&|name, _| own.contain(name));
        }
    }
    let graph = graph.map_err(|error| match error {
        ResolutionError::Cargo(error) => no_versions(error, injected),
        error => error,
    })?;
    check(&graph, &injected.manifest())?;
    lock.settle()?;
    let now = lock.read()?.parse()?;
    Ok(Resolution {
        changed: changes(&original, &now),
    })
}

fn no_versions(error: CargoError, injected: &Injected) -> ResolutionError {
    match error {
        CargoError::Failed(message) => ResolutionError::NoVersions {
            message,
            manifest: injected.manifest(),
        },
        error => error.into(),
    }
}

/// The lock file with tokio at a path, and without the packages that are `freed`.
fn patched(
    locked: &DocumentMut,
    suite: &SuiteTokio,
    freed: &dyn Fn(&str, &Version) -> bool,
) -> DocumentMut {
    let mut locked = locked.clone();
    let version = suite.version.to_string();
    if let Some(packages) = locked["package"].as_array_of_tables_mut() {
        for package in packages.iter_mut() {
            if package["name"].as_str() == Some("tokio")
                && package["version"].as_str() == Some(&version)
            {
                package.remove("source");
                package.remove("checksum");
            }
        }
        packages.retain(|package| {
            let is_foreign = package.get("source").is_some();
            !is_foreign || identity(package).is_none_or(|(name, version)| !freed(name, &version))
        });
    }
    locked
}

/// Whether the suite is built with the package of `manifest` in place of every tokio.
fn check(graph: &Metadata, manifest: &Path) -> Result<(), ResolutionError> {
    let mut packages = graph.packages.iter();
    let other = packages.find(|package| {
        let path = package.manifest_path.as_std_path();
        package.name == "tokio" && !is_same_file(path, manifest)
    });
    match other {
        Some(other) => Err(ResolutionError::NotUsed(other.id.to_string())),
        None if graph.packages.iter().any(|package| package.name == "tokio") => Ok(()),
        None => Err(ResolutionError::NotUsed("none".to_owned())),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The packages of `before` that `now` has in another version only.
pub(crate) fn changes(before: &DocumentMut, now: &DocumentMut) -> Vec<(String, String, String)> {
    let (before, now) = (versions(before), versions(now));
    let mut changes = Vec::new();
    for (package, versions) in &before {
        let Some(current) = now.get(package) else {
            continue;
        };
        let gone = versions.difference(current).last();
        let new = current.difference(versions).last();
        if let (Some(gone), Some(new)) = (gone, new) {
            changes.push((package.0.clone(), gone.to_string(), new.to_string()));
        }
    }
    changes
}

fn versions(lock: &DocumentMut) -> BTreeMap<(String, Line), BTreeSet<Version>> {
    let packages = lock
        .get("package")
        .and_then(|item| item.as_array_of_tables());
    let packages = packages.map(ArrayOfTables::iter).into_iter().flatten();
    let mut versions: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, version) in packages.filter_map(identity) {
        let line = (name.to_owned(), Line::of(&version));
        versions.entry(line).or_default().insert(version);
    }
    versions
}

/// The name and the version of a package in the lock file.
fn identity(package: &Table) -> Option<(&str, Version)> {
    let text = |key| package.get(key).and_then(|item| item.as_str());
    Some((text("name")?, text("version")?.parse().ok()?))
}

/// Versions of a package that are compatible with each other: cargo builds only one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Major(u64),
    Minor(u64),
    Patch(u64),
}

impl Line {
    fn of(version: &Version) -> Self {
        match (version.major, version.minor) {
            (0, 0) => Self::Patch(version.patch),
            (0, minor) => Self::Minor(minor),
            (major, _) => Self::Major(major),
        }
    }
}

/// What straggler requires of its dependencies, and they of theirs.
struct Requirements {
    /// The versions that cargo would choose for straggler alone.
    chosen: Vec<(String, Version)>,
    required: Vec<(String, VersionReq)>,
}

impl Requirements {
    fn of(graph: Metadata) -> Self {
        let mut requirements = Self {
            chosen: Vec::new(),
            required: Vec::new(),
        };
        for package in graph.packages {
            let required = package.dependencies.into_iter();
            let required =
                required.filter(|dependency| dependency.kind != DependencyKind::Development);
            let required = required.map(|dependency| (dependency.name, dependency.req));
            requirements.required.extend(required);
            requirements
                .chosen
                .push((package.name.to_string(), package.version));
        }
        requirements
    }

    /// Whether straggler could not be built while `version` of a package is.
    fn exclude(&self, name: &str, version: &Version) -> bool {
        let line = Line::of(version);
        let mut chosen = self.chosen.iter();
        let chosen = chosen.find(|(other, chosen)| other == name && Line::of(chosen) == line);
        chosen.is_some_and(|(_, chosen)| {
            let mut required = self.required.iter();
            required.any(|(other, required)| {
                other == name && required.matches(chosen) && !required.matches(version)
            })
        })
    }

    /// Whether straggler depends on a package of this name.
    fn contain(&self, name: &str) -> bool {
        self.chosen.iter().any(|(other, _)| other == name)
    }
}
