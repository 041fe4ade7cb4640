//! The top of the stack of woken entries: the index of an entry, or one of the values above.

use super::parent::Which;

/// The top of an empty stack, and the end of each list of entries.
pub(super) const NONE: u32 = u32::MAX;

/// The maximum number of children: the values above have a meaning of their own.
pub(super) const MOST: u32 = u32::MAX - 5;

/// The top of a stack that nobody takes any more. No index is that large.
pub(super) const CLOSED: u32 = MOST;

/// Makes the top of an empty stack whose next push wakes the parent in place `which`, or a clone of
/// it if `clones`.
pub(super) fn asleep(which: Which, clones: bool) -> u32 {
    MOST + 1 + u32::from(which) + 2 * u32::from(clones)
}

/// Returns what [`asleep`] was given, if it made this top.
#[inline]
pub(super) fn sleeper(top: u32) -> Option<(Which, bool)> {
    if top <= MOST || top == NONE {
        return None;
    }
    let bits = top - MOST - 1;
    Some((Which::from(bits & 1 == 1), bits & 2 != 0))
}
