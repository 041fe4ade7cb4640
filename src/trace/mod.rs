//! Finds where a future waits: a waker that captures each clone, and names for the captured places.
//! Finds where a blocked thread is: its stack.

pub(crate) mod blocked;
pub(crate) mod call;
pub(crate) mod catcher;
pub(crate) mod frame;
pub(crate) mod function_path;
mod package;
pub(crate) mod place;
pub(crate) mod symbols;
pub(crate) mod thread;
pub(crate) mod wait;
pub(crate) mod waker;
