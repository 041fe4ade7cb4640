//! Runs one check: the body, the grace, the shutdown, and the collection of findings.
//!
//! Start reading at [`run`].

pub(crate) mod blocking;
pub(crate) mod body;
pub(crate) mod body_run;
pub(crate) mod census;
pub(crate) mod deadlock;
pub(crate) mod drain;
pub(crate) mod leftovers;
pub(crate) mod outsiders;
pub(crate) mod post_shutdown;
pub(crate) mod progress;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod scope;
mod sleepers;
pub(crate) mod teardown;
pub(crate) mod threads;
pub(crate) mod watchdog;
pub(crate) mod watched;
