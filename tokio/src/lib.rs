//! tokio with tracked spawn functions: a leak check then shows where a task was spawned and where it
//! waits.
//!
//! One line at the root of a crate replaces tokio in the whole crate:
//!
//! ```text
//! extern crate straggler_tokio as tokio;
//! ```
//!
//! [`straggler::tokio`] lists the replaced functions, and says where the line goes. `#[tokio::test]`
//! becomes `#[straggler::test]`, which needs the crate `straggler` as a dependency too.

pub use straggler::tokio::*;
