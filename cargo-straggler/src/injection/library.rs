//! The sources of straggler: the clone that this command was built in, or else a package from the registry.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::Metadata;
use cargo_metadata::semver::VersionReq;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, table, value};

use crate::cargo::{Cargo, CargoError};
use crate::injection::{InjectionError, manifest, read_manifest};

/// The packages, and their manifests.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) straggler: PathBuf,
    pub(crate) macros: PathBuf,
    manifest: DocumentMut,
    macros_manifest: DocumentMut,
}

impl Library {
    /// Finds the sources. Only without a clone this writes to `folder`, and may need the network.
    pub(crate) fn find(cargo: &Cargo<'_>, folder: &Path) -> Result<Self, InjectionError> {
        if let Some(root) = clone() {
            let macros = root.join("macros");
            Self::of(root, macros)
        } else {
            Self::from_registry(cargo, folder)
        }
    }

    /// Has cargo download the version of straggler that this command belongs to.
    fn from_registry(cargo: &Cargo<'_>, folder: &Path) -> Result<Self, InjectionError> {
        let version = env!("CARGO_PKG_VERSION");
        let failed = |reason: String| InjectionError::NoLibrary {
            version: version.to_owned(),
            reason,
        };
        let path = folder.join("Cargo.toml");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, depends_on_straggler(version).to_string()))
            .map_err(|error| InjectionError::Copy {
                path: path.clone(),
                error,
            })?;
        let graph = cargo.graph_of(&path).map_err(|error| match error {
            CargoError::Interrupted => InjectionError::Interrupted,
            error => failed(error.to_string()),
        })?;
        let found = |name: &str| {
            folder_of(&graph, name).ok_or_else(|| failed(format!("cargo found no package {name}")))
        };
        Self::of(found("straggler")?, found("straggler-macros")?)
    }

    fn of(straggler: PathBuf, macros: PathBuf) -> Result<Self, InjectionError> {
        Ok(Self {
            manifest: read_manifest(&straggler.join("Cargo.toml"))?,
            macros_manifest: read_manifest(&macros.join("Cargo.toml"))?,
            straggler,
            macros,
        })
    }

    /// What straggler requires of tokio.
    pub(crate) fn required_tokio(&self) -> Option<VersionReq> {
        let manifest = self.manifest();
        let tokio = manifest["dependencies"].get("tokio")?;
        let version = tokio
            .as_table_like()
            .map_or(Some(tokio), |tokio| tokio.get("version"));
        version?.as_str()?.parse().ok()
    }

    /// The manifest of straggler outside its workspace.
    pub(crate) fn manifest(&self) -> DocumentMut {
        manifest::alone(&self.manifest, &self.manifest)
    }

    /// The manifest of its macros outside the workspace.
    pub(crate) fn macros_manifest(&self) -> DocumentMut {
        manifest::alone(&self.macros_manifest, &self.manifest)
    }
}

/// The clone that this command was built in, if it is still there.
pub(crate) fn clone() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    root.join("src/lib.rs").is_file().then(|| root.to_owned())
}

/// The manifest of a package that cargo downloads straggler for.
fn depends_on_straggler(version: &str) -> DocumentMut {
    let mut manifest = DocumentMut::new();
    manifest["package"] = table();
    manifest["package"]["name"] = value("straggler-sources");
    manifest["package"]["edition"] = value("2021");
    // It is not built.
    manifest["lib"] = table();
    manifest["lib"]["path"] = value("Cargo.toml");
    manifest["dependencies"] = table();
    let mut straggler = InlineTable::new();
    straggler.insert("version", format!("={version}").into());
    straggler.insert("features", Array::from_iter(["tokio", "macros"]).into());
    manifest["dependencies"]["straggler"] = value(straggler);
    manifest["workspace"] = Item::Table(Table::new());
    manifest
}

fn folder_of(graph: &Metadata, name: &str) -> Option<PathBuf> {
    let package = graph.packages.iter().find(|package| package.name == name)?;
    package.manifest_path.parent().map(Into::into)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::cargo::Cargo;
    use crate::cli::CargoOptions;
    use crate::interrupt::Interrupts;

    use super::Library;

    /// A package as it is in the folder that `cargo vendor` writes.
    fn write_vendored(folder: &Path, name: &str, dependencies: &str) {
        let version = env!("CARGO_PKG_VERSION");
        let folder = folder.join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        fs::write(folder.join(".cargo-checksum.json"), "{\"files\":{}}").unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2024\"\n\n\
             [features]\ntokio = []\nmacros = []\n\n{dependencies}"
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    }

    #[test]
    fn published_packages_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let vendored = folder.path().join("vendored");
        let macros = "[dependencies.straggler-macros]\nversion = \"*\"\n\n[dependencies.tokio]\nversion = \"*\"\n";
        write_vendored(&vendored, "straggler", macros);
        write_vendored(&vendored, "straggler-macros", "");
        write_vendored(&vendored, "tokio", "");
        let path = toml_edit::Value::from(vendored.to_string_lossy().into_owned());
        let options = CargoOptions::with_configuration([
            "source.crates-io.replace-with=\"vendored\"".to_owned(),
            format!("source.vendored.directory={path}"),
        ]);
        let interrupts = Interrupts::default();
        let cargo = Cargo::new(&options, &interrupts);

        let library = Library::from_registry(&cargo, &folder.path().join("library")).unwrap();
        let same = |one: &Path, other: &str| {
            one.canonicalize().unwrap() == vendored.join(other).canonicalize().unwrap()
        };
        assert!(same(&library.straggler, "straggler"), "{library:?}");
        assert!(same(&library.macros, "straggler-macros"), "{library:?}");
        assert_eq!(library.required_tokio().unwrap().to_string(), "*");
        assert!(library.manifest()["package"]["version"].as_str().is_some());

        fs::remove_dir_all(vendored.join("straggler")).unwrap();
        let missing = Library::from_registry(&cargo, &folder.path().join("missing")).unwrap_err();
        assert!(
            missing.to_string().contains("nor in the registry"),
            "{missing}"
        );
    }
}
