//! The sources of straggler: the clone that this command was built in.

use std::path::{Path, PathBuf};

use cargo_metadata::semver::VersionReq;
use toml_edit::DocumentMut;

use crate::injection::{InjectionError, manifest, read_manifest};

/// The clone, and the manifests in it.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) root: PathBuf,
    manifest: DocumentMut,
    macros: DocumentMut,
}

impl Library {
    pub(crate) fn find() -> Result<Self, InjectionError> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().unwrap_or(package).to_owned();
        if !root.join("src/lib.rs").is_file() {
            return Err(InjectionError::NoLibrary(root));
        }
        let manifest = read_manifest(&root.join("Cargo.toml"))?;
        let macros = read_manifest(&root.join("macros/Cargo.toml"))?;
        Ok(Self {
            root,
            manifest,
            macros,
        })
    }

    /// What straggler requires of tokio.
    pub(crate) fn required_tokio(&self) -> Option<VersionReq> {
        let required = self.manifest["workspace"]["dependencies"]["tokio"].as_str()?;
        required.parse().ok()
    }

    /// The manifest of straggler outside its workspace.
    pub(crate) fn manifest(&self) -> DocumentMut {
        manifest::alone(&self.manifest, &self.manifest)
    }

    /// The manifest of its macros outside the workspace.
    pub(crate) fn macros_manifest(&self) -> DocumentMut {
        manifest::alone(&self.macros, &self.manifest)
    }
}
