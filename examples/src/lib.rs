//! The systems that the examples of `straggler` run and test.

pub mod imperative;
pub mod registration;
