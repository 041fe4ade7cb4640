//! Why a run shows nothing of its body.

use std::fmt;

/// Why a run counts as nothing: tokio itself could not make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discarded {
    /// A task that had ended inside its spawn was aborted.
    LostOutput,
}

impl Discarded {
    /// What to do if this becomes of too many runs.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::LostOutput => "Remove `eager_spawns`, or await the task",
        }
    }
}

impl fmt::Display for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostOutput => {
                "a task that had ended inside its spawn was aborted and lost its output, which tokio would have kept"
            }
        })
    }
}
