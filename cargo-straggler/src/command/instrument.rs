//! `cargo straggler instrument`: writes a tokio with scheduling points.

use std::path::absolute;

use crate::cargo::{Cargo, Lock};
use crate::cli::InstrumentOptions;
use crate::command::{Error, while_doing};
use crate::exit::Exit;
use crate::injection::{Injection, write_instrumented};
use crate::interrupt::Interrupts;
use crate::suite_tokio::SuiteTokio;
use crate::workspace::Workspace;

/// Writes the copy, and prints how to build with it.
///
/// # Errors
///
/// Returns an error if the workspace's tokio cannot have scheduling points, or the copy cannot be written.
pub(crate) fn run(options: &InstrumentOptions) -> Result<Exit, Error> {
    let interrupts = Interrupts::install().map_err(while_doing("could not handle Ctrl-C"))?;
    let cargo = Cargo::new(&options.cargo, &interrupts);
    let graph = cargo.graph(&cargo.host()?, &[], Lock::Free)?;
    let workspace = Workspace::find(&cargo)?;
    let injection = Injection::find(&cargo, &workspace.library())?;
    let suite = SuiteTokio::find(&graph, &injection.floor)?;
    let folder = absolute(&options.folder).map_err(while_doing("could not find the folder"))?;
    write_instrumented(&suite, &folder)?;
    let path = toml_edit::Value::from(folder.to_string_lossy().into_owned());
    anstream::println!(
        "tokio {} with scheduling points is in {}. To build with it:\n\n  \
         RUSTFLAGS=\"--cfg straggler_instrumented\" cargo test --config 'patch.crates-io.tokio.path={path}'",
        suite.version,
        options.folder.display(),
    );
    Ok(Exit::Passed)
}
