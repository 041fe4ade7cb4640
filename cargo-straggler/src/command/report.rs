//! `cargo straggler report`: shows what earlier runs found.

use crate::cargo::{Cargo, CargoError, Lock};
use crate::cli::ReportOptions;
use crate::command::publish::publish;
use crate::command::{Error, read_baseline, while_doing};
use crate::exit::Exit;
use crate::expected_panics;
use crate::exploration::Explored;
use crate::findings::line;
use crate::findings::place::Found;
use crate::findings::sources::Sources;
use crate::interrupt::Interrupts;
use crate::output::format::Outputs;
use crate::output::repository::Repository;
use crate::output::results::{Known, Results};
use crate::suite_output::Ran;
use crate::workspace::Workspace;

/// Prints the findings of all files together.
///
/// # Errors
///
/// Returns an error if a file cannot be read.
pub(crate) fn run(options: &ReportOptions) -> Result<Exit, Error> {
    let interrupts = Interrupts::install().map_err(while_doing("could not handle Ctrl-C"))?;
    let cargo = Cargo::new(&options.cargo, &interrupts);
    let outputs = Outputs::open(&options.output.formats)?;
    let workspace = Workspace::find(&cargo)?;
    let baseline = read_baseline(&workspace)?;
    let mut lines = Vec::new();
    for file in &options.files {
        lines.extend(line::read(file)?);
    }
    // Where the lock file is out of date, only the workspace's own sources are known: the command must
    // not change that file.
    let graph = match cargo.graph(&cargo.host()?, &[], Lock::Fixed) {
        Err(CargoError::Failed(_)) => cargo.members()?,
        graph => graph?,
    };
    let sources = Sources::of(&graph);
    let repository = Repository::around(workspace.root.clone());
    let explored = Explored::of(&lines, &repository);
    let expected_panics = expected_panics::remove(baseline.expected_panics(), &mut lines, &sources);
    let found = Found::by_place(lines, &sources);
    let comparison = baseline.compare(&found.places);
    let has_findings = !comparison.new.is_empty() || !explored.failed.is_empty();
    let results = Results::new(Known {
        found: &found,
        comparison: &comparison,
        explored: Some(explored).filter(|explored| !explored.is_empty()),
        expected_panics: expected_panics.panics,
        unmatched: Vec::new(),
        is_whole: false,
        ran: &Ran::default(),
        sources: &sources,
        repository: &repository,
    });
    publish(&results, outputs)?;
    Ok(if has_findings {
        Exit::Findings
    } else {
        Exit::Passed
    })
}
