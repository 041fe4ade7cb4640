//! Where files are in the repository of the workspace.

use std::path::{Path, PathBuf};

use crate::trace::place::Place;

/// Where the workspace is in its repository: GitHub names files from the repository's root.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// Both are empty if the workspace is unknown. Relative files then count as its own.
    root: PathBuf,
    workspace: PathBuf,
}

impl Repository {
    pub(crate) fn of(workspace: Option<&Path>) -> Self {
        let Some(workspace) = workspace else {
            return Self::default();
        };
        let mut folders = workspace.ancestors();
        let root = folders.find(|folder| folder.join(".git").exists());
        Self {
            root: root.unwrap_or(workspace).to_owned(),
            workspace: workspace.to_owned(),
        }
    }

    /// Returns the file as GitHub names it, or `None` if it is outside the repository.
    pub(super) fn file(&self, place: &Place) -> Option<String> {
        if place.is_foreign() {
            return None;
        }
        // An absolute path replaces the workspace in `join`.
        let file = self.workspace.join(place.file());
        let file = file.strip_prefix(&self.root).ok()?;
        file.is_relative()
            .then(|| file.to_string_lossy().replace('\\', "/"))
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::Repository;
    use crate::trace::place::Place;

    fn file(repository: &Repository, file: &str) -> Option<String> {
        repository.file(&Place::new(file, 7, Some(9)))
    }

    #[test]
    fn file_is_relative_to_repository() {
        let root = env::temp_dir().join(format!("straggler-repository-{}", process::id()));
        let workspace = root.join("services/bank");
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(&workspace).unwrap();
        let repository = Repository::of(Some(&workspace));
        fs::remove_dir_all(&root).unwrap();

        let of_workspace = Some("services/bank/src/lib.rs".to_owned());
        assert_eq!(file(&repository, "src/lib.rs"), of_workspace);
        let beside = root.join("shared/src/lib.rs");
        let of_another = Some("shared/src/lib.rs".to_owned());
        assert_eq!(file(&repository, &beside.to_string_lossy()), of_another);
    }

    #[test]
    fn file_is_relative_to_workspace_without_repository() {
        for repository in [
            Repository::of(None),
            Repository {
                root: "/ada/bank".into(),
                workspace: "/ada/bank".into(),
            },
        ] {
            assert_eq!(
                file(&repository, "src/lib.rs").as_deref(),
                Some("src/lib.rs")
            );
        }
    }

    #[test]
    fn foreign_file_is_outside_repository() {
        for repository in [
            Repository::default(),
            Repository::of(env::current_dir().ok().as_deref()),
        ] {
            for elsewhere in [
                "/ada/.cargo/registry/src/index-0a1b/axum-0.8.9/src/serve/mod.rs",
                "/rustc/59807616e/library/core/src/future/mod.rs",
                "/elsewhere/src/lib.rs",
            ] {
                assert_eq!(file(&repository, elsewhere), None, "{elsewhere}");
            }
        }
    }
}
