//! The tokio that a suite is built with, and whether a tracked one can take its place.

use std::path::PathBuf;

use cargo_metadata::semver::{Version, VersionReq};
use cargo_metadata::{Metadata, Package, Source};
use thiserror::Error;

/// The tokio of a suite.
#[derive(Debug)]
pub(crate) struct SuiteTokio {
    pub(crate) version: Version,
    /// The folder of its sources.
    pub(crate) folder: PathBuf,
    pub(crate) features: Vec<String>,
    /// Whether it builds with `tokio_unstable` set for tokio alone. The features that need that flag have
    /// dependencies which cargo only builds if it is set for all packages.
    pub(crate) allows_unstable: bool,
}

/// The features of tokio that have dependencies only with `tokio_unstable`.
const UNSTABLE_FEATURES: [&str; 3] = ["io-uring", "taskdump", "tracing"];

/// Why a suite cannot be checked.
#[derive(Debug, Error)]
pub(crate) enum Unusable {
    #[error("no package of this workspace depends on tokio, so there is nothing to check")]
    NoTokio,
    #[error(
        "this workspace depends on several versions of tokio: {}. Only tests of one could be checked. \
         Update what depends on the older one: `cargo tree -i tokio@{}` shows it",
        .0.iter().map(Version::to_string).collect::<Vec<_>>().join(", "), .0[0]
    )]
    Several(Vec<Version>),
    #[error(
        "this workspace takes tokio {version} from {from}. Straggler can only take the place of a tokio \
         from the registry. Remove the `[patch]` or the dependency on another source for this run"
    )]
    OtherSource { version: Version, from: String },
    #[error(
        "tokio is a member of this workspace ({0}), so no other can take its place. To check a package that uses \
         it, unpack the published package and run there"
    )]
    TokioMember(String),
    #[error(
        "this workspace locks tokio {version}, and straggler needs {floor}. Run `cargo update tokio`, or \
         pass `--update-tokio` to update it for this run alone"
    )]
    TooOld { version: Version, floor: VersionReq },
    #[error(
        "straggler is a member of this workspace ({0}), so no other can take its place. `cargo test` checks \
         the tests with `#[straggler::test]` already"
    )]
    StragglerMember(String),
}

impl SuiteTokio {
    /// Finds tokio among the packages of a suite. `floor` is what straggler requires of it.
    ///
    /// # Errors
    ///
    /// Returns why there is none that straggler could take the place of.
    pub(crate) fn find(suite: &Metadata, floor: &VersionReq) -> Result<Self, Unusable> {
        let mut found: Vec<_> = named(suite, "tokio").collect();
        found.sort_by(|one, other| one.version.cmp(&other.version));
        let package = match found[..] {
            [] => return Err(Unusable::NoTokio),
            [package] => package,
            _ => {
                let versions = found.into_iter().map(|package| package.version.clone());
                return Err(Unusable::Several(versions.collect()));
            }
        };
        let version = package.version.clone();
        if suite.workspace_members.contains(&package.id) {
            return Err(Unusable::TokioMember(origin(package)));
        }
        if !is_from_registry(package) {
            let from = origin(package);
            return Err(Unusable::OtherSource { version, from });
        }
        if !floor.matches(&version) {
            let floor = floor.clone();
            return Err(Unusable::TooOld { version, floor });
        }
        let folder = package.manifest_path.parent();
        let nodes = suite.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let mut enabled = nodes
            .filter(|node| node.id == package.id)
            .flat_map(|node| &node.features);
        let needs_unstable = enabled.any(|feature| {
            UNSTABLE_FEATURES
                .iter()
                .any(|unstable| **feature == **unstable)
        });
        Ok(Self {
            version,
            folder: folder.map(Into::into).unwrap_or_default(),
            features: package.features.keys().cloned().collect(),
            allows_unstable: !needs_unstable,
        })
    }
}

/// Whether a suite depends on straggler itself.
///
/// # Errors
///
/// Returns an error if straggler is a member of the workspace: cargo would build that one.
pub(crate) fn has_straggler(suite: &Metadata) -> Result<bool, Unusable> {
    let mut found = named(suite, "straggler");
    let is_member = |package: &&Package| suite.workspace_members.contains(&package.id);
    match found.find(is_member) {
        Some(package) => Err(Unusable::StragglerMember(origin(package))),
        None => Ok(named(suite, "straggler").next().is_some()),
    }
}

fn named<'s>(suite: &'s Metadata, name: &str) -> impl Iterator<Item = &'s Package> {
    let packages = suite.packages.iter();
    packages.filter(move |package| package.name == name)
}

fn is_from_registry(package: &Package) -> bool {
    package.source.as_ref().is_some_and(Source::is_crates_io)
}

/// Where a package comes from.
fn origin(package: &Package) -> String {
    match &package.source {
        Some(source) => source.to_string(),
        None => package.manifest_path.to_string(),
    }
}
