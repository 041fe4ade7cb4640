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

impl Progress {
    /// Returns this progress after one more poll of the body.
    pub(crate) fn with_one_poll_more(self) -> Self {
        Self {
            polls_of_body: self.polls_of_body + 1,
            ..self
        }
    }
}
