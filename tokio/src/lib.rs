//! tokio, with the functions that spawn replaced by those of the crate `straggler`.

pub use straggler::tokio::*;
