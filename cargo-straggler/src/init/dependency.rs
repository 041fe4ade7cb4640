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
    if let Some(other) = other_tokio(package) {
        let reason = format!(
            "`tokio` is {} {} in its package, which straggler cannot run",
            other.name, other.req
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

/// The dependency that `tokio::test` is from, if that is another crate, or a tokio before 1.0.
fn other_tokio(package: &Package) -> Option<&Dependency> {
    let mut dependencies = package.dependencies.iter();
    dependencies.find(|dependency| {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        let mut comparators = dependency.req.comparators.iter();
        let is_old = comparators.any(|comparator| comparator.major == 0);
        name == "tokio" && (dependency.name != "tokio" || is_old)
    })
}

#[cfg(test)]
mod tests {
    use cargo_metadata::Package;

    use super::{Addition, Source, usable};
    use crate::init::tokio_test::Usable;

    /// A package with these dependencies: name, requirement and further fields of `cargo metadata`.
    fn package(dependencies: &[(&str, &str, serde_json::Value)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, requirement, fields)| {
            let mut dependency = serde_json::json!({
                "name": name, "req": requirement, "kind": null, "optional": false,
                "uses_default_features": true, "features": [],
            });
            for (key, value) in fields.as_object().into_iter().flatten() {
                dependency[key] = value.clone();
            }
            dependency
        });
        let package = serde_json::json!({
            "name": "suite", "version": "0.1.0", "id": "suite", "targets": [], "features": {},
            "manifest_path": "/suite/Cargo.toml", "dependencies": dependencies.collect::<Vec<_>>(),
        });
        serde_json::from_value(package).unwrap()
    }

    #[test]
    fn package_without_straggler_needs_it() {
        let tokio = ("tokio", "^1.40", serde_json::json!({}));
        assert_eq!(usable(&package(&[tokio])), (Usable::InTests, true));
        let optional = ("straggler", "*", serde_json::json!({ "optional": true }));
        assert_eq!(usable(&package(&[optional])), (Usable::InTests, true));
    }

    #[test]
    fn straggler_that_is_there_stays() {
        let of_tests = ("straggler", "*", serde_json::json!({ "kind": "dev" }));
        let normal = ("straggler", "*", serde_json::json!({}));
        assert_eq!(usable(&package(&[of_tests])), (Usable::InTests, false));
        assert_eq!(usable(&package(&[normal])), (Usable::Everywhere, false));
    }

    #[test]
    fn unusable_packages_say_why() {
        let no_macros = serde_json::json!({ "kind": "dev", "uses_default_features": false });
        let renamed = serde_json::json!({ "kind": "dev", "rename": "leaks" });
        let other_tokio = serde_json::json!({ "rename": "tokio" });
        for (name, requirement, fields, expected) in [
            ("straggler", "*", no_macros, "without the feature `macros`"),
            ("straggler", "*", renamed, "names straggler `leaks`"),
            (
                "tokio",
                "^0.2",
                serde_json::json!({}),
                "`tokio` is tokio ^0.2",
            ),
            (
                "madsim-tokio",
                "^0.2",
                other_tokio,
                "`tokio` is madsim-tokio",
            ),
        ] {
            let (usable, needs_dependency) = usable(&package(&[(name, requirement, fields)]));
            assert!(!needs_dependency);
            assert!(
                matches!(&usable, Usable::Nowhere(reason) if reason.contains(expected)),
                "{usable:?}"
            );
        }
    }

    #[test]
    fn cargo_adds_from_where_straggler_is() {
        let package = package(&[]);
        for (source, expected) in [
            (
                Source::Path("../clone".into()),
                "--package suite --dev straggler --path ../clone",
            ),
            (
                Source::Version("0.1.0"),
                "--package suite --dev straggler@0.1.0",
            ),
            (Source::Workspace, "--package suite --dev straggler"),
        ] {
            let arguments = Addition::new(&package, source).arguments();
            let arguments: Vec<_> = arguments
                .iter()
                .map(|each| each.to_string_lossy())
                .collect();
            assert_eq!(arguments.join(" "), expected);
        }
    }

    #[test]
    fn dependency_of_the_workspace_is_inherited() {
        let folder = tempfile::tempdir().unwrap();
        let clone = || Some("/clone".into());
        assert_eq!(
            Source::find(folder.path(), clone()),
            Source::Path("/clone".into())
        );
        let manifest = "[workspace.dependencies]\nstraggler = \"0.1\"\n";
        std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        assert_eq!(Source::find(folder.path(), clone()), Source::Workspace);
    }
}
