//! Companions of the joins: a lock and a rendezvous that say who holds and who waits.

#[cfg(feature = "tokio")]
pub(crate) mod lock;
pub(crate) mod rendezvous;
