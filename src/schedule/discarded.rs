//! Why a run shows nothing of its body.

use std::fmt;

/// Why a run counts as nothing: tokio itself could not make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discarded {
    /// A task that had ended inside its spawn was aborted.
    LostOutput,
    /// An operation that was polled by hand found no budget.
    PolledByHand,
}

impl Discarded {
    /// What to do if this becomes of too many runs.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::LostOutput => "Remove `eager_spawns`, or await the task",
            Self::PolledByHand => {
                "Run `cargo straggler explore`, which never makes such a poll yield"
            }
        }
    }
}

impl fmt::Display for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostOutput => {
                "a task that had ended inside its spawn was aborted and lost its output, which tokio would have kept"
            }
            Self::PolledByHand => {
                "an operation that was polled by hand, as by `now_or_never` or `tokio_test::task`, found no budget"
            }
        })
    }
}
