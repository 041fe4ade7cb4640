//! Where the workspace keeps its files.

use std::path::{Path, PathBuf};

use crate::baseline;
use crate::cargo::{Cargo, CargoError};
use crate::suite_tokio::SuiteTokio;

/// The folders and files of the workspace that the command touches.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The folder that holds everything the command builds and writes.
    pub(crate) folder: PathBuf,
}

impl Workspace {
    /// Finds the workspace that cargo would test.
    pub(crate) fn find(cargo: &Cargo<'_>) -> Result<Self, CargoError> {
        let members = cargo.members()?;
        Ok(Self {
            root: members.workspace_root.into_std_path_buf(),
            folder: members
                .target_directory
                .join("straggler")
                .into_std_path_buf(),
        })
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join("Cargo.lock")
    }

    pub(crate) fn baseline(&self) -> PathBuf {
        self.root.join(baseline::PATH)
    }

    /// What a project has that runs its tests by nextest.
    pub(crate) fn nextest_configuration(&self) -> PathBuf {
        self.root.join(".config/nextest.toml")
    }

    /// Where cargo builds the suite. Apart from the user's, so that neither build undoes the other.
    pub(crate) fn build(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// Where the packages are written that are built into a suite with this tokio. Workspaces that share
    /// a target folder may have different ones.
    pub(crate) fn sources(&self, tokio: &SuiteTokio) -> PathBuf {
        let flag = if tokio.allows_unstable { "" } else { "-stable" };
        self.folder
            .join("sources")
            .join(format!("{}{flag}", tokio.version))
    }

    /// Where cargo downloads the sources of straggler for, if there is no clone of it.
    pub(crate) fn library(&self) -> PathBuf {
        self.folder.join("library")
    }

    /// The report of the last run.
    pub(crate) fn report(&self) -> PathBuf {
        self.folder.join("report.jsonl")
    }

    /// Shortens the path of a file in the workspace.
    pub(crate) fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}
