//! Where a future waits: a waker that notes who clones it, and names for the places it was cloned at.

pub(crate) mod place;
pub(crate) mod symbols;
pub(crate) mod wait;
pub(crate) mod waker;
