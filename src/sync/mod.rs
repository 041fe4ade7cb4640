//! Companions of the joins: `Lock`, which knows its holder, and `Rendezvous`, which breaks if one leaves.

pub(crate) mod broken;
#[cfg(feature = "tokio")]
pub(crate) mod lock;
pub(crate) mod rendezvous;
