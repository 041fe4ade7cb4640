//! The order of events of one test: run the body, wait for the grace, judge what is left.
//!
//! [`run`] is the whole of it.

pub(crate) mod blocking;
pub(crate) mod body;
pub(crate) mod body_run;
pub(crate) mod deadlock;
pub(crate) mod drain;
pub(crate) mod leftovers;
pub(crate) mod post_shutdown;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod scope;
pub(crate) mod teardown;
pub(crate) mod threads;
pub(crate) mod watchdog;
pub(crate) mod watched;
