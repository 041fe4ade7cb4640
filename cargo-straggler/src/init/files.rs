//! The source files that a package is built of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use cargo_metadata::camino::Utf8Path;
use cargo_metadata::{Package, Target, TargetKind};
use walkdir::{DirEntry, WalkDir};

use crate::init::outline::{Module, Outline};
use crate::init::parsed::Parsed;

/// The files of a package.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Those of the targets, by path.
    pub(crate) built: BTreeMap<PathBuf, Built>,
    /// Those beside them that no target includes, such as the input of a compile test.
    pub(crate) others: BTreeSet<PathBuf>,
}

/// How a file is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Whether it is built with the dev-dependencies each time.
    pub(crate) tests_only: bool,
    /// Whether a test target includes it.
    pub(crate) is_of_tests: bool,
}

impl Built {
    fn with(self, other: Self) -> Self {
        Self {
            tests_only: self.tests_only && other.tests_only,
            is_of_tests: self.is_of_tests || other.is_of_tests,
        }
    }
}

/// A file whose modules are to be followed.
struct Next {
    path: PathBuf,
    /// Whether its modules are beside it, as with `lib.rs`, and not in a folder of its name.
    is_root: bool,
    built: Built,
}

impl Files {
    pub(crate) fn of(package: &Package, target_folder: &Path) -> Self {
        let root = package.manifest_path.parent().map(Utf8Path::as_std_path);
        let Some(root) = root else {
            return Self::default();
        };
        let mut files = Self::default();
        // A build script has no dev-dependencies and no tests.
        let is_script = |target: &&Target| target.kind.contains(&TargetKind::CustomBuild);
        let targets = package.targets.iter().filter(|target| !is_script(target));
        for target in targets.clone() {
            files.follow(Next {
                path: target.src_path.clone().into(),
                is_root: true,
                built: built(target),
            });
        }
        for target in targets {
            let folder = target.src_path.parent().map(Utf8Path::as_std_path);
            // Everything may be below the folder of the package.
            if let Some(folder) = folder.filter(|folder| *folder != root) {
                files.add_others(folder, target_folder);
            }
        }
        files
    }

    fn follow(&mut self, first: Next) {
        let mut nexts = vec![first];
        while let Some(next) = nexts.pop() {
            let known = self.built.get(&next.path).copied();
            let built = known.map_or(next.built, |known| known.with(next.built));
            if known == Some(built) {
                continue;
            }
            self.built.insert(next.path.clone(), built);
            let text = fs::read_to_string(&next.path).unwrap_or_default();
            // What does not parse is named where it would be edited.
            if let Ok(parsed) = Parsed::of(text) {
                let modules = Outline::of(&parsed).modules;
                let modules = modules
                    .iter()
                    .filter_map(|module| file(&next, module, built));
                nexts.extend(modules);
            }
        }
    }

    fn add_others(&mut self, folder: &Path, target_folder: &Path) {
        let is_ours = |entry: &DirEntry| {
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            let is_package = entry.path().join("Cargo.toml").exists();
            entry.depth() == 0 || !is_hidden && !is_package && entry.path() != target_folder
        };
        let entries = WalkDir::new(folder).into_iter().filter_entry(is_ours);
        for entry in entries.filter_map(Result::ok) {
            let path = entry.into_path();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            if is_rust && !self.built.contains_key(&path) {
                self.others.insert(path);
            }
        }
    }
}

fn built(target: &Target) -> Built {
    let is = |kind| target.kind.contains(&kind);
    Built {
        tests_only: is(TargetKind::Test) || is(TargetKind::Bench) || is(TargetKind::Example),
        is_of_tests: is(TargetKind::Test),
    }
}

/// The file of a module, if there is one.
fn file(of: &Next, module: &Module, built: Built) -> Option<Next> {
    let folder = of.path.parent()?;
    let own = if of.is_root {
        folder.to_owned()
    } else {
        folder.join(of.path.file_stem()?)
    };
    let around: PathBuf = module.around.iter().collect();
    let inside = own.join(&around);
    let candidates = match &module.path {
        // Beside the file, unless it is in a module of that file.
        Some(path) if module.around.is_empty() => vec![folder.join(path)],
        Some(path) => vec![inside.join(path)],
        None => vec![
            inside.join(format!("{}.rs", module.name)),
            inside.join(&module.name).join("mod.rs"),
        ],
    };
    let path = candidates.into_iter().find(|path| path.is_file())?;
    let is_root = module.path.is_some() || path.file_name()? == "mod.rs";
    Some(Next {
        path: without_dots(&path),
        is_root,
        built: Built {
            tests_only: built.tests_only || module.tests_only,
            is_of_tests: built.is_of_tests,
        },
    })
}

/// A path without `..`, so that a file has one path only.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::cargo::Cargo;
    use crate::cli::CargoOptions;
    use crate::interrupt::Interrupts;

    use super::{Built, Files};

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The files of the package at `root`.
    fn files(root: &Path) -> Files {
        let interrupts = Interrupts::default();
        let options = CargoOptions::of_manifest(root.join("Cargo.toml"));
        let members = Cargo::new(&options, &interrupts).members().unwrap();
        let target_folder = members.target_directory.as_std_path();
        Files::of(members.workspace_packages()[0], target_folder)
    }

    #[test]
    fn modules_of_targets_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (path, text) in [
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\nedition = \"2024\"\n\n[workspace]\n",
            ),
            ("build.rs", "fn main() {}"),
            (
                "src/lib.rs",
                "mod a; mod b; #[cfg(test)] mod tests; mod c { mod d; mod gone; } #[path = \"odd/name.rs\"] mod renamed;",
            ),
            (
                "src/a.rs",
                "#[cfg(test)] mod tests; #[path = \"../tests/shared.rs\"] mod shared;",
            ),
            ("src/a/tests.rs", ""),
            ("src/b/mod.rs", "mod inner;"),
            ("src/b/inner.rs", ""),
            ("src/c/d.rs", ""),
            ("src/odd/name.rs", "mod beside;"),
            ("src/odd/beside.rs", ""),
            ("src/tests/mod.rs", ""),
            ("src/unused.rs", ""),
            ("tests/one.rs", "mod common; mod shared;"),
            ("tests/common/mod.rs", "mod server;"),
            ("tests/common/server.rs", ""),
            ("tests/shared.rs", ""),
            ("tests/ui/fails.rs", ""),
            ("tests/nested/Cargo.toml", ""),
            ("tests/nested/src/lib.rs", ""),
            ("tests/.hidden/a.rs", ""),
        ] {
            write(&root, path, text);
        }
        let files = files(&root);
        let built: Vec<_> = files
            .built
            .iter()
            .map(|(path, built)| {
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap();
                let Built {
                    tests_only,
                    is_of_tests,
                } = *built;
                (path, tests_only, is_of_tests)
            })
            .collect();
        let expected = [
            ("src/a/tests.rs", true, false),
            ("src/a.rs", false, false),
            ("src/b/inner.rs", false, false),
            ("src/b/mod.rs", false, false),
            ("src/c/d.rs", false, false),
            ("src/lib.rs", false, false),
            ("src/odd/beside.rs", false, false),
            ("src/odd/name.rs", false, false),
            ("src/tests/mod.rs", true, false),
            ("tests/common/mod.rs", true, true),
            ("tests/common/server.rs", true, true),
            ("tests/one.rs", true, true),
            ("tests/shared.rs", false, true),
        ];
        assert_eq!(built, expected);
        let others = files
            .others
            .iter()
            .map(|path| path.strip_prefix(&root).unwrap());
        let others: Vec<_> = others.collect();
        assert_eq!(
            others,
            [Path::new("src/unused.rs"), Path::new("tests/ui/fails.rs")]
        );
    }
}
