//! The joins: wait for every future, keep every result, and record which came first.

pub(crate) mod aggregate_error;
pub(crate) mod barrier;
pub(crate) mod deadline;
#[cfg(feature = "tokio")]
pub(crate) mod joined;
pub(crate) mod macros;
pub(crate) mod names;
pub(crate) mod on_panic;
pub(crate) mod origin;
pub(crate) mod settle_all;
pub(crate) mod settled;
#[cfg(feature = "tokio")]
pub(crate) mod spawned;
pub(crate) mod start_together;
#[cfg(feature = "tokio")]
pub(crate) mod step;
pub(crate) mod turn;
pub(crate) mod unsettled;
