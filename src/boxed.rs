//! Keeps large futures off the stack.
//!
//! Without optimization, each function that takes or returns a future by value has a copy of it on
//! its stack. The thread of a test has 2 MB, and an overflow aborts the process.

/// The size above which a future is large. Tokio boxes a future of that size when it spawns it.
pub(crate) const LARGE: usize = if cfg!(debug_assertions) { 2048 } else { 16384 };

/// Evaluates `$then` with `$future`, a variable of type `F`, in a pinned box if `F` is large.
///
/// The condition is a constant: the compiler leaves out the other branch, with its copies.
#[cfg(feature = "tokio")]
macro_rules! boxed_if_large {
    ($future:ident: $F:ty => $then:expr) => {
        if const { size_of::<$F>() > $crate::boxed::LARGE } {
            let $future = ::std::boxed::Box::pin($future);
            $then
        } else {
            $then
        }
    };
}

#[cfg(feature = "tokio")]
pub(crate) use boxed_if_large;
