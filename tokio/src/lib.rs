//! tokio, with the functions that spawn replaced by those of the crate `straggler`, which tracks what
//! they spawn: a leak check then says where a task was spawned and where it waits.
//!
//! One line at the root of a crate makes this stand in for tokio in all of it:
//!
//! ```text
//! extern crate straggler_tokio as tokio;
//! ```
//!
//! What is replaced, and where the line goes, is told at [`straggler::tokio`]. Its `#[tokio::test]` is
//! `#[straggler::test]`, and needs the crate `straggler` among the dependencies too.

pub use straggler::tokio::*;
