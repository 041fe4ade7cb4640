//! Places in source code, shortened for reports.

use std::env;
use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

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
}

impl Place {
    pub(crate) fn new(file: &str, line: u32, column: Option<u32>) -> Self {
        Self {
            file: shorten(file),
            line,
            column,
            is_foreign: is_foreign(file),
        }
    }

    /// Whether the place is in a dependency or the standard library.
    pub(crate) fn is_foreign(&self) -> bool {
        self.is_foreign
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

/// Folders of packages that cargo fetched. The number is how many folders lie between them and the
/// package.
const FETCHED: [(&str, usize); 2] = [("/registry/src/", 1), ("/git/checkouts/", 0)];

/// Folders of the standard library's sources.
const STANDARD: [&str; 2] = ["/rustc/", "/lib/rustlib/src/rust/"];

/// Whether a file belongs to a dependency or to the standard library.
pub(crate) fn is_foreign(file: &str) -> bool {
    let file = file.replace('\\', "/");
    let mut folders = FETCHED.iter().map(|(folder, _)| *folder).chain(STANDARD);
    folders.any(|folder| file.contains(folder))
}

/// Whether a file belongs to the standard library, judging by its folder.
pub(crate) fn is_standard(file: &str) -> bool {
    let file = file.replace('\\', "/");
    STANDARD.iter().any(|folder| file.contains(folder))
}

/// Whether a file belongs to tokio's task harness, which runs a task and catches its panic. The folder
/// of a git checkout or a vendored copy has no version.
pub(crate) fn is_tokio_task_file(file: &str) -> bool {
    let file = file.replace('\\', "/");
    file.split_once("/src/runtime/task/")
        .is_some_and(|(package, _)| {
            let folder = package.rsplit('/').next().unwrap_or(package);
            folder == "tokio" || folder.starts_with("tokio-")
        })
}

/// Shortens a path to the part that identifies the file.
fn shorten(file: &str) -> String {
    let file = file.replace('\\', "/");
    for (folder, above) in FETCHED {
        if let Some((_, below)) = file.split_once(folder) {
            return below
                .splitn(above + 1, '/')
                .last()
                .unwrap_or(below)
                .to_owned();
        }
    }
    for folder in STANDARD {
        if let Some((_, below)) = file.split_once(folder) {
            let library = below.find("library/").unwrap_or(0);
            return below[library..].to_owned();
        }
    }
    let root = WORKSPACE.get().and_then(Option::as_ref);
    match root.and_then(|root| file.strip_prefix(root.as_str())) {
        Some(below) => below.trim_start_matches('/').to_owned(),
        None => file.strip_prefix("./").unwrap_or(&file).to_owned(),
    }
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
    use super::{is_foreign, is_standard, is_tokio_task_file, shorten};

    #[test]
    fn tokio_task_files_recognized_in_any_copy() {
        for file in [
            "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/runtime/task/harness.rs",
            r"C:\ada\.cargo\git\checkouts\tokio-0a1b\c2d3\tokio\src\runtime\task\harness.rs",
            "vendor/tokio/src/runtime/task/harness.rs",
        ] {
            assert!(is_tokio_task_file(file) && !is_standard(file), "{file}");
        }
        for file in [
            "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/task/local.rs",
            "/users/ada/.cargo/registry/src/index-0a1b/other-1.0.0/src/runtime/task/harness.rs",
            "src/runtime/task/harness.rs",
        ] {
            assert!(!is_tokio_task_file(file), "{file}");
        }
        assert!(is_standard("/rustc/0a1b2c/library/std/src/panicking.rs"));
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
        assert!(!is_foreign("src/registry/src.rs"));
    }
}
