//! Turns reports into text, JSON and annotations, and writes them out.
//!
//! [`emit`] is the only place that writes.

mod advice;
mod annotations;
mod blocking;
pub(crate) mod emit;
mod groups;
pub mod json;
mod json_findings;
mod json_run;
mod json_value;
mod locks;
mod notes;
mod repository;
pub(crate) mod summary;
mod tasks;
pub(crate) mod text;
mod threads;
