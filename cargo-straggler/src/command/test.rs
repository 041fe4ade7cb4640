//! `cargo straggler test`: the order of events.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::{ExitStatus, Stdio};

use shared_child::SharedChild;
use tempfile::NamedTempFile;

use crate::baseline::{Baseline, PATH};
use crate::cargo::{Cargo, CargoError, Lock};
use crate::cli::TestOptions;
use crate::command::publish::publish;
use crate::command::{Error, note, read_baseline, while_doing};
use crate::exit::Exit;
use crate::expected_panics::{self, Removed};
use crate::exploration::{Explored, Exploring};
use crate::findings::line;
use crate::findings::place::Found;
use crate::findings::sources::Sources;
use crate::injection::{Injection, InjectionError};
use crate::interrupt::Interrupts;
use crate::lock_file::{LockFile, Recovered, Restored};
use crate::output::format::{Format, Outputs};
use crate::output::repository::Repository;
use crate::output::results::{Known, Results};
use crate::resolution::{Resolution, resolve};
use crate::runner::{Reason, Runner};
use crate::suite_output::Ran;
use crate::suite_tokio::{SuiteTokio, has_straggler};
use crate::turn::{Request, Turn};
use crate::workspace::Workspace;

/// How many changed versions are named.
const NAMED_CHANGES: usize = 5;

/// A suite that ran.
struct Run {
    status: ExitStatus,
    /// `None` if the suite was not explored.
    explored: Option<Explored>,
    ran: Ran,
    found: Found,
    expected_panics: Removed,
    sources: Sources,
    repository: Repository,
}

/// How the tests run.
struct How<'a> {
    runner: Runner,
    /// `None` to run each test once.
    exploring: Option<&'a Exploring>,
    /// Whether what the suite prints goes to standard error: the standard output is for a program.
    is_apart: bool,
}

impl How<'_> {
    /// Where the output of the suite is copied to.
    fn copy(&self) -> Box<dyn Write> {
        if self.is_apart {
            Box::new(io::stderr())
        } else {
            Box::new(io::stdout())
        }
    }
}

/// Runs the tests, and prints what straggler found.
///
/// # Errors
///
/// Returns an error if the suite could not be checked.
pub(crate) fn run(options: &TestOptions, exploring: Option<&Exploring>) -> Result<Exit, Error> {
    let interrupts = Interrupts::install().map_err(while_doing("could not handle Ctrl-C"))?;
    let cargo = Cargo::new(&options.cargo, &interrupts);
    if options.prune && !options.is_whole() {
        return Err(Error::PruneOfPart);
    }
    let outputs = Outputs::open(&options.output.formats)?;
    let workspace = Workspace::find(&cargo)?;
    let injection = Injection::find(&cargo, &workspace.library())?;
    let (runner, reason) = Runner::choose(options, &cargo, &workspace)?;
    print_reason(reason);
    let _turn = take_turn(&cargo, &workspace)?;
    let baseline = read_baseline(&workspace)?;
    recover(&workspace)?;
    ignore_in_git(&workspace).map_err(while_doing("could not write to the target folder"))?;
    let path = workspace.lock_file();
    let mut lock = LockFile::protect(path).map_err(while_doing("could not save Cargo.lock"))?;
    let ran = build_and_run(
        options,
        &How {
            runner,
            exploring,
            is_apart: outputs.standard != Format::Human,
        },
        &cargo,
        &injection,
        &workspace,
        &baseline,
        &mut lock,
    );
    restore(&workspace, lock)?;
    let ran = ran?;
    conclude(options, &workspace, &baseline, &ran, outputs)
}

fn build_and_run(
    options: &TestOptions,
    how: &How<'_>,
    cargo: &Cargo<'_>,
    injection: &Injection,
    workspace: &Workspace,
    baseline: &Baseline,
    lock: &mut LockFile,
) -> Result<Run, Error> {
    let platform = cargo.host()?;
    if options.update_tokio {
        cargo.update("tokio", &injection.oldest_tokio())?;
    }
    let needed = if options.cargo.is_locked() && !options.update_tokio {
        Lock::Fixed
    } else {
        Lock::Free
    };
    let graph = cargo.graph(&platform, &[], needed)?;
    let suite = SuiteTokio::find(&graph, &injection.floor)?;
    let has_straggler = has_straggler(&graph)?;
    let mut injected = injection.write(&suite, &workspace.sources(&suite))?;
    injected.replaces_straggler = has_straggler;
    if has_straggler {
        note(
            "builds the suite with its own copy of straggler, in place of the one that the suite depends on. \
             Cargo warns of that path override",
        );
    }
    if how.exploring.is_some() && !injected.has_points {
        return Err(InjectionError::NoPoints(suite.version).into());
    }
    let resolution = resolve(cargo, &platform, lock, &suite, &injected)?;
    print_changes(&resolution);
    // Of its own, since workspaces may share a target folder.
    let report = NamedTempFile::new_in(&workspace.folder);
    let report = report.map_err(while_doing("could not write to the target folder"))?;
    let mut command = cargo.command(how.runner.subcommand(), &injected.configuration());
    how.runner.prepare(&mut command);
    command
        // The lock file is as it should be: cargo must not change it, nor build anything else.
        .args(["--locked", "--target-dir"])
        .arg(workspace.build())
        .args(&options.passed_on)
        .env("STRAGGLER", "warn")
        .env("STRAGGLER_REPORT", report.path())
        .env("STRAGGLER_REPORT_CLEAN", "true")
        // This command prints one for each place.
        .env("STRAGGLER_ANNOTATIONS", "false")
        .stdout(Stdio::piped());
    if let Some(exploring) = how.exploring {
        command.envs(exploring.variables());
    }
    for (name, setting) in baseline.variables() {
        if env::var_os(name).is_none() {
            command.env(name, setting);
        }
    }
    let read = |suite: &SharedChild| {
        let output = suite.take_stdout();
        output
            .map(|output| how.runner.read(output, how.copy(), report.path()))
            .transpose()
    };
    let (status, ran) = cargo.run(&mut command, read)?;
    let ran = ran.map_err(while_doing("could not read the output of the tests"))?;
    let mut lines = line::read(report.path())?;
    let kept = report.persist(workspace.report());
    kept.map_err(|error| while_doing("could not keep the report")(error.error))?;
    let sources = Sources::of(&graph);
    let repository = Repository::around(workspace.root.clone());
    let exploring = how.exploring;
    let explored = exploring
        .is_some()
        .then(|| Explored::of(&lines, &repository));
    let expected_panics = expected_panics::remove(baseline.expected_panics(), &mut lines, &sources);
    Ok(Run {
        status,
        explored,
        ran: ran.unwrap_or_default(),
        found: Found::by_place(lines, &sources),
        expected_panics,
        sources,
        repository,
    })
}

/// Prints the summary, and updates the baseline if that is asked for.
fn conclude(
    options: &TestOptions,
    workspace: &Workspace,
    baseline: &Baseline,
    run: &Run,
    outputs: Outputs,
) -> Result<Exit, Error> {
    let Run {
        status,
        explored,
        ran,
        found,
        expected_panics,
        sources,
        repository,
    } = run;
    let comparison = baseline.compare(&found.places);
    let tests = found.checked.iter().chain(&found.skipped);
    let tests: Vec<_> = tests.map(|test| &*test.name).collect();
    let settings = baseline.settings_for_none(&tests);
    let unmatched = [settings, expected_panics.unmatched.clone()].concat();
    let results = Results::new(Known {
        found,
        comparison: &comparison,
        explored: explored.clone(),
        expected_panics: expected_panics.panics,
        unmatched,
        is_whole: status.success() && options.is_whole(),
        ran,
        sources,
        repository,
    });
    // After a build error, or a build alone, there is nothing to say.
    let has_run = !found.checked.is_empty() || *ran != Ran::default();
    if has_run || status.success() && !options.passes_on("--no-run") {
        publish(&results, outputs)?;
    }
    let mut fails = !comparison.new.is_empty();
    if options.accept && !found.checked.is_empty() {
        write_baseline(workspace, &baseline.accepting(&found.places)?)?;
        fails = comparison
            .new
            .iter()
            .any(|place| !place.kind.can_be_accepted());
        note(&format!(
            "{PATH} accepts what was found from now on: say why in each `reason`, and check it in"
        ));
    }
    if options.prune {
        if !status.success() {
            return Err(Error::PruneOfPart);
        }
        let accepted = read_baseline(workspace)?;
        write_baseline(workspace, &accepted.pruned(&found.places)?)?;
    }
    Ok(Exit::of_suite(*status, fails))
}

fn write_baseline(workspace: &Workspace, text: &str) -> Result<(), Error> {
    let path = workspace.baseline();
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| fs::write(&path, text))
        .map_err(while_doing("could not write .config/straggler.toml"))
}

fn take_turn(cargo: &Cargo<'_>, workspace: &Workspace) -> Result<Turn, Error> {
    let failed = || while_doing("could not wait for another run");
    match Turn::request(&workspace.root).map_err(failed())? {
        Request::Granted(turn) => Ok(turn),
        Request::Waits(waiting) => {
            note("waiting for another `cargo straggler` in this workspace");
            let turn = waiting.wait(|| cargo.is_interrupted());
            turn.map_err(|error| match error.kind() {
                io::ErrorKind::Interrupted => CargoError::Interrupted.into(),
                _ => failed()(error),
            })
        }
    }
}

fn recover(workspace: &Workspace) -> Result<(), Error> {
    let recovered = LockFile::recover(&workspace.lock_file());
    match recovered.map_err(while_doing("could not restore Cargo.lock"))? {
        Recovered::Nothing => {}
        Recovered::Restored => note("restored Cargo.lock, which a killed run had left changed"),
        Recovered::Replaced => {
            note("a killed run had changed Cargo.lock; it was replaced since, and is kept");
        }
    }
    Ok(())
}

fn restore(workspace: &Workspace, lock: LockFile) -> Result<(), Error> {
    let restored = lock.restore().map_err(while_doing(
        "could not restore Cargo.lock, whose content is in Cargo.lock.before-straggler",
    ))?;
    if let Restored::ChangedMeanwhile(content) = restored {
        let path = workspace.folder.join("Cargo.lock.changed");
        fs::write(&path, content).map_err(while_doing("could not keep the changed Cargo.lock"))?;
        note(&format!(
            "another program changed Cargo.lock during the run. It is as before the run; what that \
             program wrote is in {}",
            workspace.relative(&path).display()
        ));
    }
    Ok(())
}

/// Keeps git from seeing what the command writes, also where the target folder is not ignored.
fn ignore_in_git(workspace: &Workspace) -> io::Result<()> {
    fs::create_dir_all(&workspace.folder)?;
    fs::write(workspace.folder.join(".gitignore"), "*\n")
}

fn print_changes(resolution: &Resolution) {
    if resolution.changed.is_empty() {
        return;
    }
    let mut changes = resolution.changed.iter();
    let first = changes.by_ref().take(NAMED_CHANGES);
    let first: Vec<_> = first
        .map(|(name, before, now)| format!("{name} {before} -> {now}"))
        .collect();
    let rest = match changes.count() {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    note(&format!(
        "for this run alone, some packages are newer than in Cargo.lock: {}{rest}",
        first.join(", ")
    ));
}

fn print_reason(reason: Reason) {
    match reason {
        Reason::Plain => {}
        Reason::Configured => note(
            "runs the tests by nextest, since there is a .config/nextest.toml: `--no-nextest` runs `cargo test`",
        ),
        Reason::ConfiguredInVain => note(
            "runs the tests by `cargo test`: there is a .config/nextest.toml, but cargo-nextest is not installed",
        ),
    }
}
