//! What a poll asks of a schedule: whom to poll next, and how much it may do.
//!
//! [`crate::explore`] makes the runs; here is what steers one of them.

pub(crate) mod budget;
pub(crate) mod checkpoint;
pub(crate) mod decisions;
pub(crate) mod recorder;
pub(crate) mod seed;
pub(crate) mod steering;
pub(crate) mod strategy;
