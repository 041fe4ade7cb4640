//! Companions of the joins: a lock that knows its holder, and a rendezvous that knows who left.

#[cfg(feature = "tokio")]
pub(crate) mod lock;
pub(crate) mod rendezvous;
