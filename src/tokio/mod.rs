//! tokio with tracked spawn functions.
//!
//! It re-exports all of tokio, so it can replace `tokio` in a module:
//!
//! ```
//! use straggler::tokio;
//!
//! # let report = straggler::LeakCheck::new().run(async {
//! // Tracked: a leak report shows where the task was spawned and where it waits.
//! let task = tokio::spawn(async { tokio::task::yield_now().await });
//! # task.await.unwrap();
//! # });
//! # assert!(report.is_ok());
//! ```
//!
//! To track a whole crate, add the crate `straggler-tokio` and one line at the crate root, such as the top
//! of `tests/it.rs`, or `lib.rs` for its unit tests:
//!
//! ```text
//! #[cfg(test)]
//! extern crate straggler_tokio as tokio;
//! ```
//!
//! Integration tests build your library without `cfg(test)`, so use a feature: make `straggler-tokio` an
//! optional dependency, turn its feature on in a dev-dependency of the crate on itself, and replace
//! `#[cfg(test)]` with the feature's `cfg`. The guide shows the manifest under "Leaked tasks".
//!
//! # What differs from tokio
//!
//! - `spawn`, `task::{spawn, spawn_local, spawn_blocking, JoinSet}` are the tracked versions of
//!   `straggler`. They return tokio's own types. Outside a leak check they do exactly what tokio's do.
//! - `test` is `#[straggler::test]`, so `#[tokio::test]` checks for leaks too. It needs `straggler` itself
//!   as a dependency.
//!
//! # Limits
//!
//! - Spawns through methods (`Handle::spawn`, `Runtime::spawn`, their `spawn_blocking`,
//!   `LocalSet::spawn_local`) are counted but not tracked. Use the functions above instead.
//! - Spawns in dependencies are counted but not tracked.

mod join_set;

pub use ::tokio::*;

pub use crate::leak::record::spawn::spawn;
#[cfg(feature = "macros")]
pub use straggler_macros::leak_check as test;

pub mod task {
    //! `tokio::task` with tracked spawn functions.

    pub use ::tokio::task::*;

    pub use super::join_set::JoinSet;
    pub use crate::leak::record::spawn::{spawn, spawn_blocking, spawn_local};
}
