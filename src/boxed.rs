//! Boxes large futures before they move through functions by value.
//!
//! Without optimization each of these functions has a copy of the future on its stack. The thread of
//! a test has 2 MB, and an overflow aborts the process.

/// The size above which tokio boxes a future that it spawns.
pub(crate) const LARGE: usize = if cfg!(debug_assertions) { 2048 } else { 16384 };

/// Evaluates `$then` with `$future`, a variable of type `F`, in a pinned box if `F` is large.
///
/// The condition is a constant: the compiler leaves out the other branch, with its copies.
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

pub(crate) use boxed_if_large;
