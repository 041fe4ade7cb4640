//! tokio with the functions that spawn replaced by tracked ones.
//!
//! Everything of tokio is here under its own name, so that it can stand in for `tokio` in a module:
//!
//! ```
//! use straggler::tokio;
//!
//! # let report = straggler::LeakCheck::new().run(async {
//! // Tracked: a leak check says where this was spawned and where it waits.
//! let task = tokio::spawn(async { tokio::task::yield_now().await });
//! # task.await.unwrap();
//! # });
//! # assert!(report.is_ok());
//! ```
//!
//! or, by the crate `straggler-tokio`, in a whole crate with one line at its root, with no other
//! edit: at the top of `tests/it.rs`, or in a `lib.rs` for its unit tests:
//!
//! ```text
//! #[cfg(test)]
//! extern crate straggler_tokio as tokio;
//! ```
//!
//! Tests in `tests/` link the library as it is without `cfg(test)`. To track it there too, make
//! `straggler-tokio` an optional dependency, and put the line behind its feature instead.
//!
//! `spawn`, `task::{spawn, spawn_local, spawn_blocking, JoinSet}` are those of `straggler`. They
//! return tokio's own types, and outside of a leak check do just what tokio's do. `test` is
//! `#[leak_check]`, so `#[tokio::test]` checks too; it needs `straggler` itself among the dependencies.
//!
//! Not tracked, and so only counted, are spawns by methods: `Handle::spawn`, `Runtime::spawn`, their
//! `spawn_blocking` and `LocalSet::spawn_local`; and those of dependencies.

mod join_set;

pub use ::tokio::*;

pub use crate::leak::record::spawn::spawn;
#[cfg(feature = "macros")]
pub use straggler_macros::leak_check as test;

pub mod task {
    //! `tokio::task` with the functions that spawn replaced by tracked ones.

    pub use ::tokio::task::*;

    pub use super::join_set::JoinSet;
    pub use crate::leak::record::spawn::{spawn, spawn_blocking, spawn_local};
}
