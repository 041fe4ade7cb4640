//! Locks the versions of a suite with the packages that are built into it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use cargo_metadata::Metadata;
use cargo_metadata::semver::Version;
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, TomlError};

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
         may lack the packages that straggler needs: run once with network and crates.io. Cargo says:\n\n{0}"
    )]
    NoVersions(String),
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
    // First the versions of the suite, whatever straggler would rather have.
    lock.write(&patched(&locked, suite, &BTreeSet::new()).to_string())?;
    let graph = match cargo.graph(platform, &configuration, Lock::Free) {
        Err(CargoError::Failed(_)) => {
            // An old lock file has versions that are too old for straggler. Cargo chooses those again
            // which straggler depends on.
            let manifest = injected.manifest();
            let own = cargo.dependencies_of(&manifest.to_string_lossy());
            let own = own.map_err(no_versions)?.into_iter().collect();
            lock.write(&patched(&locked, suite, &own).to_string())?;
            cargo
                .graph(platform, &configuration, Lock::Free)
                .map_err(no_versions)?
        }
        graph => graph?,
    };
    check(&graph, &injected.manifest())?;
    lock.settle()?;
    let now = lock.read()?.parse()?;
    Ok(Resolution {
        changed: changes(&original, &now),
    })
}

fn no_versions(error: CargoError) -> ResolutionError {
    match error {
        CargoError::Failed(message) => ResolutionError::NoVersions(message),
        error => error.into(),
    }
}

/// The lock file with tokio at a path, and without the packages called `freed`.
fn patched(locked: &DocumentMut, suite: &SuiteTokio, freed: &BTreeSet<String>) -> DocumentMut {
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
            let name = package["name"].as_str().unwrap_or_default();
            name == "tokio" || package.get("source").is_none() || !freed.contains(name)
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
fn changes(before: &DocumentMut, now: &DocumentMut) -> Vec<(String, String, String)> {
    let (before, now) = (versions(before), versions(now));
    let mut changes = Vec::new();
    for (name, versions) in &before {
        let Some(current) = now.get(name) else {
            continue;
        };
        let gone = versions.difference(current).last();
        let new = current.difference(versions).last();
        if let (Some(gone), Some(new)) = (gone, new) {
            changes.push((name.clone(), gone.to_string(), new.to_string()));
        }
    }
    changes
}

fn versions(lock: &DocumentMut) -> BTreeMap<String, BTreeSet<Version>> {
    let packages = lock
        .get("package")
        .and_then(|item| item.as_array_of_tables());
    let packages = packages.map(ArrayOfTables::iter).into_iter().flatten();
    let mut versions: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for package in packages {
        let text = |key| package.get(key).and_then(|item| item.as_str());
        if let (Some(name), Some(version)) = (text("name"), text("version"))
            && let Ok(version) = version.parse()
        {
            versions.entry(name.to_owned()).or_default().insert(version);
        }
    }
    versions
}
