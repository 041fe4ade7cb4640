//! Joins, the futures that they are given, and who drives them.

pub mod driver;
pub mod joins;
mod signal;
pub mod workloads;

pub use self::signal::Waits;
