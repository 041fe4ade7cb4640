//! The dependency on straggler that a package needs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Dependency, DependencyKind, Package};
use toml_edit::DocumentMut;

use crate::init::tokio_test::Usable;

/// Where `cargo add` finds straggler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The root of the workspace has it in its `[workspace.dependencies]`.
    Workspace,
    /// A clone.
    Path(PathBuf),
    Version(&'static str),
}

/// A dependency that has to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addition {
    pub(crate) package: String,
    source: Source,
}

impl Source {
    /// Finds straggler for the workspace at `root`.
    pub(crate) fn find(root: &Path, clone: Option<PathBuf>) -> Self {
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
        let manifest: DocumentMut = manifest.parse().unwrap_or_default();
        let dependencies = manifest
            .get("workspace")
            .and_then(|workspace| workspace.get("dependencies"));
        if dependencies.is_some_and(|dependencies| dependencies.get("straggler").is_some()) {
            return Self::Workspace;
        }
        clone.map_or(Self::Version(env!("CARGO_PKG_VERSION")), Self::Path)
    }
}

impl Addition {
    pub(crate) fn new(package: &Package, source: Source) -> Self {
        let package = package.name.to_string();
        Self { package, source }
    }

    /// The arguments of `cargo add`.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let name = match &self.source {
            Source::Version(version) => format!("straggler@{version}"),
            Source::Workspace | Source::Path(_) => "straggler".to_owned(),
        };
        let package = self.package.clone();
        let mut arguments: Vec<OsString> = vec!["--package".into(), package.into()];
        arguments.extend(["--dev".into(), name.into()]);
        if let Source::Path(path) = &self.source {
            arguments.extend(["--path".into(), path.into()]);
        }
        arguments
    }
}

/// Where a package can name straggler, and whether it needs another dependency for that.
pub(crate) fn usable(package: &Package) -> (Usable, bool) {
    if package.name == "straggler" {
        let reason = "it is one of straggler's own";
        return (Usable::Nowhere(reason.to_owned()), false);
    }
    if let Some(old) = tokio_before_1(package) {
        let reason = format!(
            "its package depends on tokio {}, which straggler cannot run",
            old.req
        );
        return (Usable::Nowhere(reason), false);
    }
    let mut dependencies = package.dependencies.iter();
    let straggler: Vec<_> = dependencies
        .by_ref()
        .filter(|dependency| dependency.name == "straggler" && !dependency.optional)
        .filter(|dependency| dependency.kind != DependencyKind::Build)
        .collect();
    let Some(first) = straggler.first() else {
        return (Usable::InTests, true);
    };
    if let Some(name) = &first.rename {
        let reason = format!("its package names straggler `{name}`");
        return (Usable::Nowhere(reason), false);
    }
    let has_macros = |dependency: &&Dependency| {
        dependency.uses_default_features || dependency.features.iter().any(|name| name == "macros")
    };
    if !straggler.iter().any(has_macros) {
        let reason = "its package depends on straggler without the feature `macros`";
        return (Usable::Nowhere(reason.to_owned()), false);
    }
    let is_normal = |dependency: &&Dependency| dependency.kind == DependencyKind::Normal;
    if straggler.iter().any(is_normal) {
        (Usable::Everywhere, false)
    } else {
        (Usable::InTests, false)
    }
}

/// The dependency that `tokio::test` is from, if it is of a tokio before 1.0.
fn tokio_before_1(package: &Package) -> Option<&Dependency> {
    let mut dependencies = package.dependencies.iter();
    dependencies.find(|dependency| {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        let mut comparators = dependency.req.comparators.iter();
        name == "tokio" && comparators.any(|comparator| comparator.major == 0)
    })
}
