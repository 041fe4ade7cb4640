//! Finds what to edit in a workspace, so that its tests use straggler's attribute.
//!
//! Read [`Plan::of`] first. Nothing here writes: `command::init` shows the plan, and then carries it out.

mod arguments;
pub(crate) mod dependency;
pub(crate) mod diff;
mod dropped;
mod edit;
mod files;
pub(crate) mod git;
mod handles;
mod imports;
mod joins;
mod other_tests;
mod outline;
mod parsed;
mod replacement;
mod test_code;
mod tokio_test;

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, Package};

use self::dependency::{Addition, Source, usable};
use self::dropped::Dropped;
use self::files::{Built, Files};
use self::imports::Imports;
use self::outline::Outline;
use self::parsed::Parsed;
use self::test_code::TestCode;
use self::tokio_test::Usable;
use crate::findings::function::Functions;

/// What to do, and what stays.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    pub(crate) additions: Vec<Addition>,
    pub(crate) untouched: Vec<Untouched>,
    /// Only if they are asked for.
    pub(crate) joins: Vec<Join>,
    /// Where handles of tasks are awaited and the results dropped, so that no panic fails the test.
    pub(crate) dropped: Vec<Place>,
}

/// An edited file.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) before: String,
    pub(crate) after: String,
    /// How many attributes are replaced.
    pub(crate) tests: usize,
}

/// Tests, or files, that stay as they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Untouched {
    pub(crate) reason: String,
    pub(crate) places: Vec<Place>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    /// `None` for the whole file.
    pub(crate) line: Option<usize>,
    pub(crate) function: Option<String>,
}

/// A join in test code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) replacement: &'static str,
    /// Why it stays. `None` if it is replaced.
    pub(crate) stays: Option<&'static str>,
}

/// A package, and how its files are looked at.
struct Search<'a> {
    folder: &'a Path,
    usable: Usable,
    /// Whether joins are replaced.
    joins: bool,
}

const GENERATED: &str = "the file is generated";
const OUTSIDE: &str = "the file is outside of its package";
const NOT_BUILT: &str = "no target of the package has the file as a module";

const OTHER_TOKIO: &str = "`tokio` is another crate in its file";

impl Plan {
    /// Finds what to do in the members of a workspace. `clone` is where straggler is, if that is known.
    pub(crate) fn of(members: &Metadata, clone: Option<PathBuf>, joins: bool) -> Self {
        let mut plan = Self::default();
        let source = Source::find(members.workspace_root.as_std_path(), clone);
        for package in members.workspace_packages() {
            plan.package(package, members, &source, joins);
        }
        plan.changes.sort_by(|one, other| one.path.cmp(&other.path));
        plan
    }

    fn package(&mut self, package: &Package, members: &Metadata, source: &Source, joins: bool) {
        let Some(folder) = package.manifest_path.parent() else {
            return;
        };
        let (usable, needs_dependency) = usable(package);
        let search = Search {
            folder: folder.as_std_path(),
            usable,
            joins,
        };
        let files = Files::of(package, members.target_directory.as_std_path());
        let changes = self.changes.len();
        for (path, built) in &files.built {
            self.file(path, *built, &search);
        }
        for path in &files.others {
            let text = fs::read_to_string(path).unwrap_or_default();
            if text.contains("#[tokio::test") {
                self.stays(Place::of_file(path), NOT_BUILT);
            }
        }
        if needs_dependency && self.changes.len() > changes {
            self.additions.push(Addition::new(package, source.clone()));
        }
    }

    fn file(&mut self, path: &Path, built: Built, search: &Search<'_>) {
        // Two targets of different packages may share a file.
        if self.changes.iter().any(|change| change.path == path) {
            return;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self.stays(Place::of_file(path), &format!("could not read it: {error}"));
            }
        };
        let reason = if !is_within(path, search.folder) {
            Some(OUTSIDE)
        } else if text.lines().take(5).any(|line| line.contains("@generated")) {
            Some(GENERATED)
        } else {
            None
        };
        if let Some(reason) = reason {
            if text.contains("tokio::test") {
                self.stays(Place::of_file(path), reason);
            }
            return;
        }
        match Parsed::of(text) {
            Ok(parsed) => self.parsed(path, &parsed, built, search),
            Err(error) => {
                let reason = format!("the file does not parse: {error}");
                self.stays(Place::of_file(path), &reason);
            }
        }
    }

    fn parsed(&mut self, path: &Path, parsed: &Parsed, built: Built, search: &Search<'_>) {
        let outline = Outline::of(parsed);
        let imports = Imports::of(parsed);
        let usable = match &search.usable {
            _ if names_other_tokio(&imports) => Usable::Nowhere(OTHER_TOKIO.to_owned()),
            Usable::InTests if built.tests_only => Usable::Everywhere,
            usable => usable.clone(),
        };
        let functions = Functions::of_syntax(&parsed.syntax);
        let place = |at| Place::new(path, parsed.line(at), &functions);
        let converted = tokio_test::convert(parsed, &outline, &usable);
        let others = other_tests::find(parsed, &imports);
        for (at, reason) in converted.kept.into_iter().chain(others) {
            self.stays(place(at), &reason);
        }
        let tests = TestCode::of(parsed, &outline, built.is_of_tests);
        let dropped = Dropped::of(parsed, &imports);
        let tasks = dropped.tasks.iter().filter(|at| tests.contains(**at));
        self.dropped.extend(tasks.copied().map(place));
        let mut edits = converted.edits;
        if search.joins {
            let source = joins::Source {
                parsed,
                imports: &imports,
                tests: &tests,
                dropped: &dropped,
                everywhere: match usable {
                    Usable::Everywhere => Some(true),
                    Usable::InTests => Some(false),
                    Usable::Nowhere(_) => None,
                },
            };
            for join in joins::find(&source) {
                let stays = join.edits.as_ref().err().copied();
                edits.extend(join.edits.unwrap_or_default());
                self.joins.push(Join {
                    place: place(join.at),
                    name: join.name,
                    replacement: join.replacement,
                    stays,
                });
            }
        }
        if !edits.is_empty() {
            self.changes.push(Change {
                path: path.to_owned(),
                after: edit::apply(&parsed.text, edits),
                before: parsed.text.clone(),
                tests: converted.count,
            });
        }
    }

    fn stays(&mut self, place: Place, reason: &str) {
        let mut known = self.untouched.iter_mut();
        if let Some(untouched) = known.find(|untouched| untouched.reason == reason) {
            // Several packages may have a file as a module.
            if !untouched.places.contains(&place) {
                untouched.places.push(place);
            }
            return;
        }
        self.untouched.push(Untouched {
            reason: reason.to_owned(),
            places: vec![place],
        });
    }
}

/// Whether a file is in a folder, and not only by a link.
fn is_within(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}

/// Whether a file imports a crate of another name as `tokio`.
fn names_other_tokio(imports: &Imports) -> bool {
    imports.named("tokio").any(|import| {
        let last = import.path.last().map(String::as_str);
        !matches!(last, Some("tokio" | "straggler_tokio"))
    })
}

impl Place {
    fn new(file: &Path, line: usize, functions: &Functions) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            function: functions.around(line).map(str::to_owned),
        }
    }

    fn of_file(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            function: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::imports::Imports;
    use super::parsed::Parsed;
    use super::{OUTSIDE, Plan, names_other_tokio};
    use crate::cargo::Cargo;
    use crate::cli::CargoOptions;
    use crate::interrupt::Interrupts;

    const TEST: &str = "#[tokio::test]\nasync fn a() {}\n";

    /// The plan for a workspace with these packages, each with these tests and a file beside them.
    fn plan(root: &Path, packages: &[&str], tests: &str) -> Plan {
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "Cargo.toml",
            &format!("[workspace]\nresolver = \"3\"\nmembers = {packages:?}\n"),
        );
        write("shared.rs", TEST);
        for package in packages {
            let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n");
            write(&format!("{package}/Cargo.toml"), &manifest);
            write(&format!("{package}/src/lib.rs"), "");
            write(&format!("{package}/tests/it.rs"), tests);
        }
        let interrupts = Interrupts::default();
        let options = CargoOptions::of_manifest(root.join("Cargo.toml"));
        let members = Cargo::new(&options, &interrupts).members().unwrap();
        Plan::of(&members, None, false)
    }

    #[test]
    fn every_package_with_a_test_gets_the_dependency() {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(folder.path(), &["a", "b"], TEST);
        assert_eq!(plan.changes.len(), 2);
        let packages = plan.additions.iter().map(|addition| &*addition.package);
        assert_eq!(packages.collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(plan.untouched, []);
        let change = plan.changes.remove(0);
        assert!(change.path.ends_with("a/tests/it.rs"), "{change:?}");
        assert_eq!((change.tests, &*change.before), (1, TEST));
        assert_eq!(change.after, TEST.replace("tokio", "straggler"));
    }

    #[test]
    fn file_outside_of_its_package_stays() {
        let folder = tempfile::tempdir().unwrap();
        let tests = "#[path = \"../../shared.rs\"]\nmod shared;\n";
        let plan = plan(folder.path(), &["a", "b"], tests);
        assert!(
            plan.changes.is_empty() && plan.additions.is_empty(),
            "{plan:?}"
        );
        let [untouched] = &plan.untouched[..] else {
            panic!("{plan:?}");
        };
        // Once, though both packages have it.
        assert_eq!((&*untouched.reason, untouched.places.len()), (OUTSIDE, 1));
    }

    #[cfg(unix)]
    #[test]
    fn linked_file_outside_of_its_package_stays() {
        let folder = tempfile::tempdir().unwrap();
        let tests = folder.path().join("a/tests");
        fs::create_dir_all(&tests).unwrap();
        std::os::unix::fs::symlink("../../shared.rs", tests.join("shared.rs")).unwrap();
        let plan = plan(folder.path(), &["a"], "mod shared;\n");
        assert!(plan.changes.is_empty(), "{plan:?}");
        // It is a target too.
        assert!(
            matches!(&plan.untouched[..], [one] if one.reason == OUTSIDE),
            "{plan:?}"
        );
    }

    #[test]
    fn other_crates_named_tokio_are_seen() {
        for (text, expected) in [
            ("use tokio::time;", false),
            ("use suite::tokio;", false),
            ("use straggler_tokio as tokio;", false),
            ("use tokio_02 as tokio;", true),
            ("mod a { use madsim::runtime as tokio; }", true),
        ] {
            let parsed = Parsed::of(text.to_owned()).unwrap();
            assert_eq!(names_other_tokio(&Imports::of(&parsed)), expected, "{text}");
        }
    }
}
