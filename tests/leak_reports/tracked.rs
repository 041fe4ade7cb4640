//! The scenarios, with tracked spawns.

use straggler::tokio;

#[path = "scenarios.rs"]
mod scenarios;
