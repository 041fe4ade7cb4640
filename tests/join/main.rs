//! The joins: `settle_all`, `barrier`, their macros, and what can be added to them.
//!
//! Tests that change the whole process have a binary of their own beside this one: the allocator in
//! `join_allocations.rs`, the panic hook in `join_model.rs` and `join_panic_hook.rs`.

#[path = "../common/mod.rs"]
mod common;

mod auto_traits;
#[cfg(feature = "tokio")]
mod coop;
mod deadline;
mod drops;
mod inputs;
#[cfg(feature = "tokio")]
mod joined;
mod macros;
mod order;
mod panics;
mod parent_wakers;
mod reports;
mod settled;
#[cfg(feature = "tokio")]
mod spawned;
mod start_together;
mod stress;
#[cfg(feature = "tokio")]
mod timeout;
mod wakers;
