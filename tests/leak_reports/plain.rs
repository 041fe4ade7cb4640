//! The scenarios with tokio's own spawns.

use ::tokio;

#[path = "scenarios.rs"]
mod scenarios;
