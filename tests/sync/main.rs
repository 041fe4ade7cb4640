//! The companions of the joins: `Lock` and `Rendezvous`.

#[path = "../common/mod.rs"]
mod common;

mod auto_traits;
#[cfg(feature = "tokio")]
mod lock;
mod rendezvous;
