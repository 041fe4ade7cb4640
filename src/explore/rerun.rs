//! The command that runs one test again.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::trace::place::workspace;

/// The binary of this test, as cargo selects it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    /// The id that nextest gives it.
    Nextest(String),
    /// The command, `cargo test` or one in its place, and its options, each with a space behind it. Without
    /// options if the binary is unknown.
    Cargo(String),
}

impl Binary {
    /// Finds the binary of this process, which has the source file `file`.
    pub(crate) fn current(file: &str) -> Self {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        // `cargo straggler explore` chooses the runner itself.
        let command = variable("STRAGGLER_RERUN");
        let id = variable("NEXTEST").and_then(|_| variable("NEXTEST_BINARY_ID"));
        if let Some(id) = id.filter(|_| command.is_none()) {
            return Self::Nextest(id);
        }
        // cargo sets both for the tests that it runs.
        let package = variable("CARGO_PKG_NAME").zip(variable("CARGO_MANIFEST_DIR"));
        let options = package.and_then(|(name, folder)| {
            let package = Package {
                name,
                folder: PathBuf::from(folder),
            };
            let workspace = workspace().unwrap_or(&package.folder);
            let target = package.target(&env::current_exe().ok()?, &workspace.join(file));
            Some(package.option(workspace) + &target.unwrap_or_default())
        });
        let command = command.unwrap_or_else(|| "cargo test".to_owned());
        Self::Cargo(format!("{command} {}", options.unwrap_or_default()))
    }

    /// Returns the command that runs the test alone.
    pub(crate) fn command(&self, test: &str) -> String {
        match self {
            Self::Nextest(id) => {
                format!("cargo nextest run -E 'binary_id(={id}) & test(={test})'")
            }
            Self::Cargo(command) => format!("{command}{test} -- --exact"),
        }
    }
}

/// The package of the test.
#[derive(Debug)]
struct Package {
    name: String,
    folder: PathBuf,
}

/// A target that cargo finds by itself.
struct Target {
    /// Its crate root, or the folder of that.
    root: PathBuf,
    option: String,
}

impl Package {
    /// Returns the option that selects the package, unless it is the root of the workspace.
    fn option(&self, workspace: &Path) -> String {
        if self.folder == workspace {
            return String::new();
        }
        format!("-p {} ", self.name)
    }

    /// Returns the option that selects the target. Returns `None` if several may have built the executable,
    /// or if the manifest gives the target a path of its own.
    fn target(&self, executable: &Path, file: &Path) -> Option<String> {
        // cargo names it after the crate: `users-0a1b2c3d4e5f6789`.
        let (crate_name, _) = executable.file_stem()?.to_str()?.rsplit_once('-')?;
        let mut targets = self.targets(crate_name);
        if targets.len() > 1 {
            targets.retain(|target| file.starts_with(&target.root));
        }
        (targets.len() == 1).then(|| targets.remove(0).option)
    }

    /// Returns the targets whose crates have this name.
    fn targets(&self, crate_name: &str) -> Vec<Target> {
        let is_crate = |name: &str| name.replace('-', "_") == crate_name;
        let mut targets = Vec::new();
        for (folder, option) in [
            ("tests", "--test"),
            ("src/bin", "--bin"),
            ("examples", "--example"),
        ] {
            for root in crate_roots(&self.folder.join(folder)) {
                let name = root.file_stem().unwrap_or_default().to_string_lossy();
                if is_crate(&name) {
                    let option = format!("{option} {name} ");
                    targets.push(Target { root, option });
                }
            }
        }
        if is_crate(&self.name) {
            let of_package = [
                ("src/lib.rs", "--lib ".to_owned()),
                ("src/main.rs", format!("--bin {} ", self.name)),
            ];
            let found = of_package.map(|(root, option)| Target {
                root: self.folder.join(root),
                option,
            });
            targets.extend(found.into_iter().filter(|target| target.root.is_file()));
        }
        targets
    }
}

/// Returns `users.rs` and the folders with a `main.rs` below a folder.
fn crate_roots(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        is_source || path.join("main.rs").is_file()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs, process};

    use super::{Binary, Package};

    /// The package `my-bank` in a folder of its own.
    struct Bank(Package);

    impl Bank {
        /// Creates its folder with these crate roots.
        fn with(test: &str, roots: &[&str]) -> Self {
            let folder = env::temp_dir().join(format!("straggler-{test}-{}", process::id()));
            for root in roots {
                let root = folder.join(root);
                fs::create_dir_all(root.parent().unwrap()).unwrap();
                fs::write(root, "").unwrap();
            }
            let name = "my-bank".to_owned();
            Self(Package { name, folder })
        }

        /// The option for an executable that has this source file.
        fn target(&self, executable: &str, file: &str) -> Option<String> {
            let executable = format!("/target/debug/deps/{executable}");
            let file = self.0.folder.join(file);
            self.0.target(Path::new(&executable), &file)
        }
    }

    impl Drop for Bank {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0.folder);
        }
    }

    #[test]
    fn target_found_by_crate_name() {
        let bank = Bank::with(
            "targets",
            &[
                "src/lib.rs",
                "src/bin/serve.rs",
                "tests/all-users.rs",
                "tests/accounts/main.rs",
                "tests/common/mod.rs",
                "examples/demo/main.rs",
            ],
        );
        for (executable, option) in [
            ("all_users-0a1b2c3d4e5f6789", Some("--test all-users ")),
            ("accounts-0a1b2c3d4e5f6789", Some("--test accounts ")),
            ("accounts-0a1b2c3d4e5f6789.exe", Some("--test accounts ")),
            ("my_bank-0a1b2c3d4e5f6789", Some("--lib ")),
            ("serve-0a1b2c3d4e5f6789", Some("--bin serve ")),
            ("demo-0a1b2c3d4e5f6789", Some("--example demo ")),
            ("common-0a1b2c3d4e5f6789", None),
            ("rust_out", None),
        ] {
            let found = bank.target(executable, "elsewhere.rs");
            assert_eq!(found.as_deref(), option, "{executable}");
        }
    }

    #[test]
    fn file_decides_between_targets_of_one_name() {
        let roots = [
            "src/lib.rs",
            "src/main.rs",
            "tests/demo/main.rs",
            "examples/demo.rs",
        ];
        let bank = Bank::with("ambiguous", &roots);
        for (executable, file, option) in [
            ("demo-0a1b", "tests/demo/users.rs", Some("--test demo ")),
            ("demo-0a1b", "examples/demo.rs", Some("--example demo ")),
            ("my_bank-0a1b", "src/lib.rs", Some("--lib ")),
            ("my_bank-0a1b", "src/main.rs", Some("--bin my-bank ")),
            // Both crates may have the module.
            ("my_bank-0a1b", "src/users.rs", None),
        ] {
            let found = bank.target(executable, file);
            assert_eq!(found.as_deref(), option, "{executable} {file}");
        }
    }

    #[test]
    fn workspace_member_is_named() {
        let bank = Bank::with("member", &["src/lib.rs"]);
        let package = &bank.0;
        let workspace = package.folder.parent().unwrap();
        assert_eq!(package.option(workspace), "-p my-bank ");
        assert_eq!(package.option(&package.folder), "");
    }

    #[test]
    fn nextest_selects_binary_by_id() {
        let binary = Binary::Nextest("bank::users".to_owned());
        let command = "cargo nextest run -E 'binary_id(=bank::users) & test(=users::race)'";
        assert_eq!(binary.command("users::race"), command);
    }
}
