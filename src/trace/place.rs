//! Places in source code, shortened for reports.

use std::env;
use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::trace::package::{Package, is_absolute};

/// A line of source code.
///
/// The [`file`](Self::file) is relative to the root of the workspace. In a dependency it starts with the
/// package's name and version, such as `axum-0.8.9/src/serve/mod.rs`. `Display` writes
/// `file:line:column`.
///
/// # Examples
///
/// ```
/// use straggler::LeakCheck;
///
/// let line = line!() + 1;
/// let report = LeakCheck::new().run(async { drop(straggler::spawn(std::future::pending::<()>())) });
/// let report = report.unwrap_err();
/// let place = report.tasks()[0].place();
/// assert!(place.file().ends_with(".rs"));
/// assert_eq!(place.line(), line);
///
/// let column = place.column().unwrap();
/// assert_eq!(place.to_string(), format!("{}:{line}:{column}", place.file()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    file: String,
    line: u32,
    column: Option<u32>,
    is_foreign: bool,
    package: Option<Box<str>>,
}

impl Place {
    pub(crate) fn new(file: &str, line: u32, column: Option<u32>) -> Self {
        let source = Source::of(file, workspace());
        Self {
            file: source.shown,
            line,
            column,
            is_foreign: source.owner != Owner::User,
            package: source.package.map(String::into_boxed_str),
        }
    }

    /// The name of the dependency that the place is in.
    pub(crate) fn package(&self) -> Option<&str> {
        self.package.as_deref()
    }

    /// Whether the place is in a dependency or the standard library.
    pub(crate) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Whether the place is in the standard library.
    pub(crate) fn is_standard(&self) -> bool {
        self.is_foreign && self.file.starts_with("library/")
    }

    /// Returns the shortened path of the file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the line, counted from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns the column, counted from 1, or `None` if it is unknown.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        self.column
    }
}

impl From<&Location<'_>> for Place {
    fn from(location: &Location<'_>) -> Self {
        Self::new(location.file(), location.line(), Some(location.column()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match self.column {
            Some(column) => write!(f, ":{column}"),
            None => Ok(()),
        }
    }
}

/// A source file, by the package it belongs to.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    owner: Owner,
    /// The path that reports show.
    shown: String,
    /// The name of the package, for a dependency.
    package: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Standard,
    Dependency,
    /// The user's workspace, or a path dependency.
    User,
}

impl Source {
    fn of(file: &str, root: Option<&Path>) -> Self {
        let file = file.replace('\\', "/");
        let source = |owner, shown: &str| Self {
            owner,
            shown: shown.to_owned(),
            package: None,
        };
        if let Some(below) = standard(&file) {
            return source(Owner::Standard, below);
        }
        if let Some(below) = fetched(&file) {
            return Self {
                package: package_of_fetched(&file, below),
                ..source(Owner::Dependency, below)
            };
        }
        // A vendored copy has no version in its folder; its manifest has.
        let package = Package::of(&file, root).filter(|package| package.is_vendored);
        if let Some(package) = package {
            let shown = format!("{}/{}", package.title(), package.below(&file));
            return Self {
                package: Some(package.name.clone()),
                ..source(Owner::Dependency, &shown)
            };
        }
        let root = root.map(|root| root.to_string_lossy().replace('\\', "/"));
        let below = root.and_then(|root| file.strip_prefix(&root)?.strip_prefix('/'));
        let shown = below.unwrap_or_else(|| file.strip_prefix("./").unwrap_or(&file));
        source(Owner::User, shown)
    }
}

/// The path of a file of the standard library below the folder of its sources.
fn standard(file: &str) -> Option<&str> {
    // The compiler writes such paths itself: they are at the root even on Windows.
    if let Some(library) = file.strip_prefix("/rustc/") {
        let (revision, below) = library.split_once('/')?;
        let is_revision = is_hash(revision) || revision.starts_with(|c: char| c.is_ascii_digit());
        let below = below.trim_start_matches('/');
        return (is_revision && below.starts_with("library/")).then_some(below);
    }
    if let Some(below) = file.strip_prefix("/rust/deps/") {
        return Some(below);
    }
    let toolchain = "/lib/rustlib/src/rust/";
    let (_, below) = file.split_once(toolchain).filter(|_| is_absolute(file))?;
    below.starts_with("library/").then_some(below)
}

/// The path of a file that cargo fetched, from the package on: cargo unpacks to
/// `registry/src/<index>-<hash>/<package>-<version>/` and checks out to
/// `git/checkouts/<name>-<hash>/<revision>/`. Cargo compiles those by their absolute paths. So a crate of
/// the user's in a folder called `registry` is not one of them.
fn fetched(file: &str) -> Option<&str> {
    if !is_absolute(file) {
        return None;
    }
    let has_hash = |folder: &str| {
        folder
            .rsplit_once('-')
            .is_some_and(|(_, hash)| is_hash(hash))
    };
    let mut unpacked = file.match_indices("/registry/src/").filter_map(|(at, of)| {
        let (index, below) = file[at + of.len()..].split_once('/')?;
        let (package, _) = below.split_once('/')?;
        (has_hash(index) && split_version(package).is_some()).then_some(below)
    });
    let mut checked_out = file
        .match_indices("/git/checkouts/")
        .filter_map(|(at, of)| {
            let below = &file[at + of.len()..];
            let (name, rest) = below.split_once('/')?;
            let (revision, _) = rest.split_once('/')?;
            (has_hash(name) && is_hash(revision)).then_some(below)
        });
    unpacked.next().or_else(|| checked_out.next())
}

/// The name of the package of a file that cargo fetched. A repository may have several packages.
fn package_of_fetched(file: &str, below: &str) -> Option<String> {
    let (folder, _) = below.split_once('/')?;
    if let Some((name, _)) = split_version(folder) {
        return Some(name.to_owned());
    }
    let package = Package::of(file, None).map(|package| package.name.clone());
    let repository = folder.rsplit_once('-').map(|(name, _)| name.to_owned());
    package.or(repository)
}

fn is_hash(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Splits `<package>-<version>`, the name of a folder.
fn split_version(folder: &str) -> Option<(&str, &str)> {
    let mut dashes = folder.match_indices('-');
    dashes.find_map(|(at, _)| {
        let (name, version) = (&folder[..at], &folder[at + 1..]);
        let (major, rest) = version.split_once('.')?;
        let is_version = !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit());
        (is_version && rest.starts_with(|c: char| c.is_ascii_digit())).then_some((name, version))
    })
}

/// Whether a file belongs to a dependency or to the standard library.
pub(crate) fn is_foreign(file: &str) -> bool {
    Source::of(file, workspace()).owner != Owner::User
}

/// Whether a file belongs to the standard library, judging by its folder.
pub(crate) fn is_standard(file: &str) -> bool {
    standard(&file.replace('\\', "/")).is_some()
}

/// The path of a file of tokio below the folder of the package, such as `src/sync/mutex.rs`: in cargo's
/// cache, a vendored or patched copy, or a member of the workspace. `function` is the path of the
/// function, which may be empty.
pub(crate) fn tokio_file(file: &str, function: &str) -> Option<String> {
    let file = file.replace('\\', "/");
    let unpacked = fetched(&file).and_then(|below| below.split_once('/'));
    let unpacked = unpacked.and_then(|(folder, below)| Some((split_version(folder)?.0, below)));
    if let Some((name, below)) = unpacked {
        return (name == "tokio").then(|| below.to_owned());
    }
    if let Some(package) = Package::of(&file, workspace()) {
        let below = package.below(&file);
        return (package.name == "tokio").then(|| below.to_owned());
    }
    // The sources are not on this machine: the name of the folder or of the function has to do.
    let (folder, below) = file.split_once("/src/")?;
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    let name = split_version(folder).map_or(folder, |(name, _)| name);
    (name == "tokio" || function.starts_with("tokio::")).then(|| format!("src/{below}"))
}

/// Shortens a path to the part that identifies the file.
#[cfg(test)]
fn shorten(file: &str) -> String {
    Source::of(file, workspace()).shown
}

/// The root of the workspace. cargo calls the compiler there, so paths in debug information start at it.
static WORKSPACE: OnceLock<Option<String>> = OnceLock::new();

/// Finds the root of the workspace: the folder that the path of `known` is relative to.
///
/// Tests run in the folder of their package, so the root is that folder or one above it.
pub(crate) fn find_workspace(known: &Location<'_>) {
    WORKSPACE.get_or_init(|| {
        let here = env::current_dir().ok()?;
        let is_root = |folder: &&Path| folder.join(known.file()).is_file();
        let root = here.ancestors().find(is_root).map(PathBuf::from)?;
        Some(root.to_string_lossy().replace('\\', "/"))
    });
}

/// The root of the workspace, once [`find_workspace`] found it.
pub(crate) fn workspace() -> Option<&'static Path> {
    WORKSPACE.get()?.as_deref().map(Path::new)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::{env, fs, process};

    use super::{Owner, Source, is_foreign, is_standard, shorten, tokio_file};

    #[test]
    fn tokio_files_recognized_in_any_copy() {
        let below = Some("src/runtime/task/harness.rs".to_owned());
        for file in [
            "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/runtime/task/harness.rs",
            r"C:\ada\.cargo\git\checkouts\tokio-0a1b\c2d3\tokio\src\runtime\task\harness.rs",
            "/elsewhere/vendor/tokio/src/runtime/task/harness.rs",
            "/elsewhere/vendor/tokio-1.54.1/src/runtime/task/harness.rs",
        ] {
            assert_eq!(tokio_file(file, ""), below, "{file}");
            assert!(!is_standard(file), "{file}");
        }
        for file in [
            "/users/ada/.cargo/registry/src/index-0a1b/other-1.0.0/src/runtime/task/harness.rs",
            "/elsewhere/tokio-bank/src/runtime/task/harness.rs",
            "src/runtime/task/harness.rs",
        ] {
            assert_eq!(tokio_file(file, ""), None, "{file}");
        }
        let fork = "/elsewhere/fork/src/runtime/task/harness.rs";
        assert_eq!(tokio_file(fork, "tokio::runtime::task::poll"), below);
        assert_eq!(tokio_file(fork, "bank::poll"), None);
        assert!(is_standard("/rustc/0a1b2c/library/std/src/panicking.rs"));
    }

    /// A folder with the files of a package in `at`.
    struct Sources(PathBuf);

    impl Sources {
        fn new(test: &str, at: &str, manifest: &str) -> (Self, PathBuf) {
            let root = env::temp_dir().join(format!("straggler-{test}-{}", process::id()));
            let package = root.join(at);
            fs::create_dir_all(package.join("src/sync")).unwrap();
            fs::create_dir_all(package.join("tests")).unwrap();
            fs::write(package.join("Cargo.toml"), manifest).unwrap();
            (Self(root), package)
        }
    }

    impl Drop for Sources {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn vendored_package_is_a_dependency() {
        let manifest = "[package]\nname = \"axum\"\nversion = \"0.8.9\"\n";
        let (sources, package) = Sources::new("vendored", "vendor/axum", manifest);
        fs::write(package.join(".cargo-checksum.json"), "{}").unwrap();
        let absolute = package.join("src/sync/mod.rs");
        for file in [&*absolute.to_string_lossy(), "vendor/axum/src/sync/mod.rs"] {
            let source = Source::of(file, Some(&sources.0));
            assert_eq!(source.owner, Owner::Dependency, "{file}");
            assert_eq!(source.shown, "axum-0.8.9/src/sync/mod.rs", "{file}");
        }
    }

    #[test]
    fn member_in_folder_called_vendor_is_users() {
        let manifest = "[package]\nname = \"bank\"\nversion.workspace = true\n";
        let (sources, package) = Sources::new("member", "vendor/registry/src/bank", manifest);
        let absolute = package.join("src/sync/mod.rs");
        let member = "vendor/registry/src/bank/src/sync/mod.rs";
        for file in [&*absolute.to_string_lossy(), member] {
            let source = Source::of(file, Some(&sources.0));
            assert_eq!((source.owner, &*source.shown), (Owner::User, member));
        }
    }

    #[test]
    fn patched_tokio_recognized_by_manifest() {
        let manifest = "[package]\nname = \"tokio\"\nversion = \"1.54.1\"\n";
        let (_sources, package) = Sources::new("patched", "fork", manifest);
        let below = |file: &str| tokio_file(&package.join(file).to_string_lossy(), "");
        assert_eq!(below("src/lib.rs").as_deref(), Some("src/lib.rs"));
        assert_eq!(
            below("src/sync/mutex.rs").as_deref(),
            Some("src/sync/mutex.rs")
        );
        assert_eq!(
            below("tests/sync_mutex.rs").as_deref(),
            Some("tests/sync_mutex.rs")
        );
        // The folder `tokio` of this workspace is another package's.
        assert_eq!(
            tokio_file(concat!(env!("CARGO_MANIFEST_DIR"), "/tokio/src/lib.rs"), ""),
            None
        );
    }

    #[test]
    fn copy_made_by_cargo_straggler_is_tokio() {
        let manifest = "[package]\nname = \"straggler-tokio-copy\"\nversion = \"1.54.1\"\n";
        let (sources, package) = Sources::new("copied", "target/straggler/sources/copy", manifest);
        fs::write(package.join(".cargo-checksum.json"), "{}").unwrap();
        let file = package.join("src/sync/mutex.rs");
        let file = file.to_string_lossy();
        assert_eq!(tokio_file(&file, "").as_deref(), Some("src/sync/mutex.rs"));
        let source = Source::of(&file, Some(&sources.0));
        assert_eq!(source.owner, Owner::Dependency);
        assert_eq!(source.shown, "tokio-1.54.1/src/sync/mutex.rs");
    }

    #[test]
    fn dependency_paths_start_at_package() {
        let fetched = "/users/ada/.cargo/registry/src/index-0a1b/axum-0.8.9/src/serve/mod.rs";
        assert_eq!(shorten(fetched), "axum-0.8.9/src/serve/mod.rs");
        assert!(is_foreign(fetched));
        let checked_out = r"C:\ada\.cargo\git\checkouts\axum-0a1b\c2d3\src\lib.rs";
        assert_eq!(shorten(checked_out), "axum-0a1b/c2d3/src/lib.rs");
        assert!(is_foreign(checked_out));
    }

    #[test]
    fn std_paths_start_at_library() {
        for file in [
            "/rustc/59807616e/library/core/src/future/mod.rs",
            "/toolchain/lib/rustlib/src/rust/library/core/src/future/mod.rs",
        ] {
            assert_eq!(shorten(file), "library/core/src/future/mod.rs");
            assert!(is_foreign(file));
        }
    }

    #[test]
    fn workspace_files_are_not_foreign() {
        assert_eq!(shorten("./src/lib.rs"), "src/lib.rs");
        assert_eq!(shorten("examples/tests/all.rs"), "examples/tests/all.rs");
        for file in [
            "src/registry/src.rs",
            "crates/registry/src/lib.rs",
            "crates/registry/src/index-0a1b/axum-0.8.9/src/lib.rs",
            "crates/git/checkouts/bank-0a1b/c2d3/src/lib.rs",
            "crates/rustc/0a1b/library/lib.rs",
            "/users/ada/bank/crates/registry/src/lib.rs",
            "/users/ada/bank/crates/registry/src/index/pool/mod.rs",
            "/users/ada/git/checkouts/bank/src/lib.rs",
            "/users/ada/rustc/bank/src/lib.rs",
            "/rustc/bank/src/lib.rs",
            r"C:\ada\bank\crates\registry\src\lib.rs",
        ] {
            assert!(!is_foreign(file), "{file}");
            assert_eq!(shorten(file), file.replace('\\', "/"));
        }
    }
}
