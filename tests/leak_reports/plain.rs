//! The scenarios, with spawns through tokio itself.

use ::tokio;

#[path = "scenarios.rs"]
mod scenarios;
