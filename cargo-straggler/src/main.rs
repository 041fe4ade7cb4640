//! `cargo straggler`: checks every `#[tokio::test]` of a workspace for leaks, without an edit.
//!
//! A suite is built with a tokio of the same version that contains straggler. Read [`command::test`]
//! first: it is the order of events. Everything below it answers with a value; only [`command`] prints,
//! and only `main` exits.

mod baseline;
mod cargo;
mod cli;
mod command;
mod exit;
mod expected_panics;
mod exploration;
mod features;
mod findings;
mod given_time;
mod init;
mod injection;
mod interrupt;
mod lock_file;
mod nextest_output;
mod output;
mod progress;
mod resolution;
mod runner;
mod suite_output;
mod suite_tokio;
mod test_settings;
mod turn;
mod workspace;

use std::process::ExitCode;

use crate::cli::Subcommand;

fn main() -> ExitCode {
    let exit = match cli::parse() {
        Subcommand::Test(options) => command::test::run(&options, None),
        Subcommand::Explore(options) => {
            command::test::run(&options.test, Some(&options.exploring()))
        }
        Subcommand::Init(options) => command::init::run(&options),
        Subcommand::Report(options) => command::report::run(&options),
        Subcommand::Instrument(options) => command::instrument::run(&options),
        Subcommand::Completions(options) => command::completions::run(&options),
        Subcommand::Man(options) => command::man::run(&options),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => command::print_error(&error).into(),
    }
}
