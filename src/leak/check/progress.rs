//! How far a test has come.

/// How far a test has come. Two equal values mean that no recorded task was polled, spawned or
/// ended in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) spawned: usize,
    pub(crate) alive: usize,
    pub(crate) polls_of_tasks: usize,
    pub(crate) polls_of_body: usize,
}
