//! A copy of a workspace, and the command on it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// A workspace of its own. Drop removes it.
pub(crate) struct Fixture {
    pub(crate) root: PathBuf,
}

/// How the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Fixture {
    /// The suite in `tests/fixtures/suite`, with the versions that this repository locks.
    pub(crate) fn suite(test: &str) -> Self {
        let fixture = Self::empty(test);
        let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/suite");
        copy(&suite, &fixture.root);
        // Cargo tells packages in a shared target folder apart by name, not by the folder around them.
        let manifest = fixture.read("Cargo.toml");
        let named =
            format!("name = \"suite-{test}\"\nedition = \"2024\"\n\n[lib]\nname = \"suite\"\n");
        let manifest = manifest.replace("name = \"suite\"\nedition = \"2024\"\n", &named);
        fixture.write("Cargo.toml", &manifest);
        fixture.lock();
        fixture
    }

    /// A package with a manifest that ends like this, an empty library, and no lock file.
    pub(crate) fn package(test: &str, manifest: &str) -> Self {
        let fixture = Self::empty(test);
        let package = "[package]\nname = \"suite\"\nedition = \"2024\"\n\n[workspace]\n";
        fixture.write("Cargo.toml", &format!("{package}\n{manifest}"));
        fixture.write("src/lib.rs", "");
        fixture
    }

    fn empty(test: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("fixtures")
            .join(test);
        _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self { root }
    }

    /// Locks the versions of this repository, as far as the workspace has those packages.
    pub(crate) fn lock(&self) {
        let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        fs::copy(locked, self.root.join("Cargo.lock")).unwrap();
        let ended = self.cargo(&["metadata", "--format-version=1", "--quiet"]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// The content and the time of every file.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let modified = entry.metadata().unwrap().modified().unwrap();
                let content = fs::read(entry.path()).unwrap();
                files.insert(entry.path(), (content, modified));
            }
        }
        files
    }

    /// Runs `cargo straggler` to its end.
    pub(crate) fn straggler(&self, arguments: &[&str]) -> Ended {
        end(&mut self.command(arguments))
    }

    /// `cargo straggler` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_cargo-straggler");
        let mut command = self.program(program);
        // Cargo calls it like this.
        command.arg("straggler").args(arguments);
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures-target");
        command.env("CARGO_TARGET_DIR", target);
        // As many suites do in CI. It must not fail the packages that the command adds.
        command.env("RUSTFLAGS", "-Dwarnings");
        // Only tests that leak wait for it.
        command.env("STRAGGLER_GRACE", "100ms");
        command
    }

    /// Runs cargo in the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Ended {
        end(self.program(env!("CARGO")).args(arguments))
    }

    fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        // What the run of these tests sets.
        for variable in [
            "RUSTFLAGS",
            "RUST_BACKTRACE",
            "STRAGGLER",
            "CARGO_TARGET_DIR",
            "GITHUB_ACTIONS",
            "GITHUB_STEP_SUMMARY",
        ] {
            command.env_remove(variable);
        }
        command.env("CARGO", env!("CARGO"));
        command
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.root);
    }
}

/// Runs a command to its end.
pub(crate) fn end(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}
