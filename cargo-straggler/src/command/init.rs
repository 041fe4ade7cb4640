//! `cargo straggler init`: edits a workspace, so that its tests use straggler's attribute.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anstyle::{AnsiColor, Style};
use cargo_metadata::Metadata;

use crate::cargo::{Cargo, Lock};
use crate::cli::InitOptions;
use crate::command::{Error, while_doing};
use crate::exit::Exit;
use crate::init::diff::Diff;
use crate::init::git::WorkTree;
use crate::init::{Join, Place, Plan};
use crate::injection;
use crate::interrupt::Interrupts;
use crate::resolution::changes;

const STRONG: Style = Style::new().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// How many places of a reason are named, and how many changed files of a work tree.
const NAMED: usize = 3;

/// Shows what changes, and changes it.
///
/// # Errors
///
/// Returns an error if git could not undo the changes, or if the workspace could not be edited. Then it is as
/// before.
pub(crate) fn run(options: &InitOptions) -> Result<Exit, Error> {
    let interrupts = Interrupts::install().map_err(while_doing("could not handle Ctrl-C"))?;
    let cargo = Cargo::new(&options.cargo, &interrupts);
    let members = cargo.members()?;
    let root = members.workspace_root.as_std_path();
    let plan = Plan::of(&members, injection::clone(), options.joins);
    let writes = !options.dry_run && !plan.changes.is_empty();
    if writes && !options.allow_dirty {
        expect_clean(root)?;
    }
    print_changes(&plan, root);
    let updates = if writes {
        write(&plan, &cargo, &members, options)?
    } else {
        Vec::new()
    };
    print_findings(&plan, root);
    print_summary(&plan, &updates, root, options);
    Ok(Exit::Passed)
}

fn expect_clean(root: &Path) -> Result<(), Error> {
    let reason = match WorkTree::of(root) {
        WorkTree::Clean => return Ok(()),
        WorkTree::None => "the workspace is not in a git work tree".to_owned(),
        WorkTree::Dirty(files) => {
            let names = files.iter().map(|file| file.display().to_string());
            let names: Vec<_> = names.collect();
            format!(
                "there are changes that are not committed: {}",
                first(&names)
            )
        }
    };
    Err(Error::NotUndoable(reason))
}

/// Carries the plan out. Returns what cargo had to update in the lock file.
fn write(
    plan: &Plan,
    cargo: &Cargo<'_>,
    members: &Metadata,
    options: &InitOptions,
) -> Result<Vec<String>, Error> {
    let before = Before::of(members).map_err(while_doing("could not read the manifests"))?;
    let written = add_dependencies(plan, cargo, options).and_then(|()| {
        let mut changes = plan.changes.iter();
        changes
            .try_for_each(|change| fs::write(&change.path, &change.after))
            .map_err(while_doing("could not write the tests"))
    });
    if written.is_err() {
        before
            .restore()
            .map_err(while_doing("could not restore the manifests"))?;
        for change in &plan.changes {
            fs::write(&change.path, &change.before)
                .map_err(while_doing("could not restore the tests"))?;
        }
    }
    written.map(|()| before.updates(members.workspace_root.as_std_path()))
}

fn add_dependencies(plan: &Plan, cargo: &Cargo<'_>, options: &InitOptions) -> Result<(), Error> {
    if plan.additions.is_empty() {
        return Ok(());
    }
    for addition in &plan.additions {
        cargo.add(&addition.arguments())?;
    }
    let lock = if options.cargo.is_locked() {
        Lock::Fixed
    } else {
        Lock::Free
    };
    // Cargo may find no versions that fit, which must not be found out after the tests are edited.
    cargo.graph(&cargo.host()?, &[], lock)?;
    Ok(())
}

/// The manifests and the lock file before the run. `None` for one that was not there.
struct Before(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Before {
    fn of(members: &Metadata) -> io::Result<Self> {
        let root = &members.workspace_root;
        let packages = members.workspace_packages().into_iter();
        let manifests = packages.map(|package| package.manifest_path.clone());
        let paths = manifests.chain([root.join("Cargo.toml"), root.join("Cargo.lock")]);
        let read = |path: PathBuf| match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path, None)),
            content => Ok((path, Some(content?))),
        };
        let files = paths.map(Into::into).map(read);
        files.collect::<io::Result<_>>().map(Self)
    }

    /// The packages that are now locked in another version only.
    fn updates(&self, root: &Path) -> Vec<String> {
        let path = root.join("Cargo.lock");
        let before = self.0.get(&path).and_then(Option::as_deref);
        let before = before.map(String::from_utf8_lossy).unwrap_or_default();
        let now = fs::read_to_string(path).unwrap_or_default();
        let (Ok(before), Ok(now)) = (before.parse(), now.parse()) else {
            return Vec::new();
        };
        let changes = changes(&before, &now).into_iter();
        let changes = changes.map(|(name, before, now)| format!("{name} {before} -> {now}"));
        changes.collect()
    }

    fn restore(&self) -> io::Result<()> {
        for (path, content) in &self.0 {
            match content {
                Some(content) => fs::write(path, content)?,
                None if path.exists() => fs::remove_file(path)?,
                None => {}
            }
        }
        Ok(())
    }
}

fn print_changes(plan: &Plan, root: &Path) {
    for change in &plan.changes {
        let diff = Diff {
            path: relative(&change.path, root),
            before: &change.before,
            after: &change.after,
        };
        anstream::print!("{diff}");
    }
    if !plan.changes.is_empty() {
        anstream::println!();
    }
}

/// Prints the joins, and the tests that cannot fail.
fn print_findings(plan: &Plan, root: &Path) {
    for join in &plan.joins {
        anstream::println!("{}", join_line(join, root));
    }
    for place in &plan.dropped {
        anstream::println!(
            "{NOTE}cannot fail{NOTE:#}: {}: the `JoinError` of a panicked task is dropped",
            shown(place, root)
        );
    }
    if !plan.joins.is_empty() || !plan.dropped.is_empty() {
        anstream::println!();
    }
}

fn print_summary(plan: &Plan, updates: &[String], root: &Path, options: &InitOptions) {
    anstream::println!("{STRONG}straggler:{STRONG:#} {}", outcome(plan, options));
    for addition in &plan.additions {
        let arguments = addition.arguments();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        anstream::println!("  cargo add {}", arguments.join(" "));
    }
    if !updates.is_empty() {
        anstream::println!("  updated in Cargo.lock: {}", first(updates));
    }
    for untouched in &plan.untouched {
        let places = untouched.places.iter();
        let places: Vec<_> = places.map(|place| line(place, root)).collect();
        anstream::println!(
            "  {QUIET}not touched ({}): {}: {}{QUIET:#}",
            places.len(),
            untouched.reason,
            first(&places)
        );
    }
}

/// What the run did, or would do.
fn outcome(plan: &Plan, options: &InitOptions) -> String {
    let tests = plan.changes.iter().map(|change| change.tests).sum();
    let replaced = plan
        .joins
        .iter()
        .filter(|join| join.stays.is_none())
        .count();
    if plan.changes.is_empty() {
        return "nothing to do".to_owned();
    }
    let would = if options.dry_run {
        "would replace"
    } else {
        "replaced"
    };
    let joins = match replaced {
        0 => String::new(),
        number => format!(" and {}", count(number, "join")),
    };
    let files = count(plan.changes.len(), "file");
    format!(
        "{would} {}{joins} in {files}",
        count(tests, "test attribute")
    )
}

fn join_line(join: &Join, root: &Path) -> String {
    let place = shown(&join.place, root);
    let Join {
        name, replacement, ..
    } = join;
    match join.stays {
        None => format!("join: {place}: `{name}` becomes `{replacement}`"),
        Some(reason) => format!("join: {place}: `{name}` stays, since {reason}"),
    }
}

/// A place with its function.
fn shown(place: &Place, root: &Path) -> String {
    let line = line(place, root);
    match &place.function {
        Some(function) => format!("{line} in `{function}`"),
        None => line,
    }
}

fn line(place: &Place, root: &Path) -> String {
    let file = relative(&place.file, root);
    match place.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}

/// The path of a file in the workspace, as git writes it.
fn relative(path: &Path, root: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.display().to_string().replace('\\', "/")
}

/// The first names, and how many more there are.
fn first(names: &[String]) -> String {
    let rest = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    let names = &names[..names.len().min(NAMED)];
    format!("{}{rest}", names.join(", "))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
