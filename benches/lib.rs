//! What straggler costs: the benches stand beside this file, which is what they share.

pub mod joining;
mod medians;

pub use self::medians::medians;
