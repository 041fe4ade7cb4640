//! The services that straggler's examples run and test.

pub mod imperative;
pub mod registration;
