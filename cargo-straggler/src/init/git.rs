//! Whether git could undo what the command writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The state of the work tree that a folder is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkTree {
    Clean,
    /// These files have changes, or are not known to git.
    Dirty(Vec<PathBuf>),
    /// There is none, or git ignores the folder.
    None,
}

impl WorkTree {
    pub(crate) fn of(folder: &Path) -> Self {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            // Looking changes nothing: git would refresh its index.
            command
                .args(["--no-optional-locks", "-C"])
                .arg(folder)
                .args(arguments)
                .output()
                .ok()
        };
        let succeeds = |output: Option<Output>| output.filter(|output| output.status.success());
        if succeeds(git(&["check-ignore", "--quiet", "."])).is_some() {
            return Self::None;
        }
        let Some(status) = succeeds(git(&["status", "--porcelain", "-z", "--no-renames", "."]))
        else {
            return Self::None;
        };
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        // Two letters, a space and the path.
        let files = status
            .split_terminator('\0')
            .filter_map(|line| line.get(3..));
        let files: Vec<_> = files.map(PathBuf::from).collect();
        if files.is_empty() {
            Self::Clean
        } else {
            Self::Dirty(files)
        }
    }
}
