//! The files of a repository. Services such as GitHub name them from its root.

use std::path::PathBuf;

use crate::findings::line::At;

/// Where the workspace is in its repository.
#[derive(Debug)]
pub(crate) struct Repository {
    root: PathBuf,
    workspace: PathBuf,
}

impl Repository {
    /// The repository of a workspace. Without one, the workspace stands for it.
    pub(crate) fn around(workspace: PathBuf) -> Self {
        let mut folders = workspace.ancestors();
        let root = folders.find(|folder| folder.join(".git").exists());
        Self {
            root: root.unwrap_or(&workspace).to_owned(),
            workspace,
        }
    }

    /// The first place whose file is in the repository, with the file's path from the root.
    pub(crate) fn first<'a>(&self, places: impl IntoIterator<Item = &'a At>) -> Option<At> {
        places.into_iter().find_map(|at| self.locate(at))
    }

    fn locate(&self, at: &At) -> Option<At> {
        // An absolute path replaces the workspace in `join`.
        let file = self.workspace.join(at.file.as_deref()?);
        // A dependency has a relative path too: the name of its package comes first.
        let in_repository = file.strip_prefix(&self.root).ok()?;
        file.is_file().then(|| At {
            file: Some(in_repository.to_string_lossy().replace('\\', "/")),
            line: at.line,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Repository;
    use crate::findings::line::At;

    fn at(file: &str) -> At {
        At {
            file: Some(file.to_owned()),
            line: Some(7),
        }
    }

    #[test]
    fn path_starts_at_root_of_repository() {
        let root = tempfile::tempdir().unwrap();
        let workspace = root.path().join("services/bank");
        for file in ["services/bank/src/lib.rs", "shared/lib.rs"] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        fs::create_dir(root.path().join(".git")).unwrap();
        let repository = Repository::around(workspace.clone());

        let beside = root.path().join("shared/lib.rs");
        let outside = tempfile::NamedTempFile::new().unwrap();
        for (file, expected) in [
            ("src/lib.rs", Some("services/bank/src/lib.rs")),
            (beside.to_str().unwrap(), Some("shared/lib.rs")),
            (outside.path().to_str().unwrap(), None),
            ("axum-0.8.9/src/lib.rs", None),
        ] {
            assert_eq!(repository.first([&at(file)]), expected.map(at), "{file}");
        }
        let places = [
            &At::default(),
            &at("axum-0.8.9/src/lib.rs"),
            &at("src/lib.rs"),
        ];
        assert!(repository.first(places).is_some());
    }

    #[test]
    fn workspace_stands_for_missing_repository() {
        let workspace = tempfile::tempdir().unwrap();
        fs::write(workspace.path().join("lib.rs"), "").unwrap();
        let repository = Repository::around(workspace.path().to_owned());
        // Where the temporary folder is in a repository, the path is longer.
        let found = repository.first([&at("lib.rs")]).unwrap();
        assert!(found.file.unwrap().ends_with("lib.rs"));
    }
}
