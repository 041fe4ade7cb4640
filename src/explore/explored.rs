//! The result of an exploration without a failure.

/// An exploration in which no run failed.
///
/// # Examples
///
/// ```
/// use straggler::{Explore, settle_all};
/// use tokio::sync::Mutex;
///
/// let explored = Explore::new().runs(20).find(|| async {
///     let count = Mutex::new(0);
///     let add = async || *count.lock().await += 1;
///     let _ = settle_all([add(), add()]).await;
///     assert_eq!(count.into_inner(), 2);
/// });
/// let explored = explored.unwrap();
/// assert_eq!(explored.runs(), 20);
/// assert!((2..=20).contains(&explored.distinct_schedules()));
/// assert_eq!(explored.note(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    pub(crate) runs: usize,
    pub(crate) distinct_schedules: usize,
    pub(crate) note: Option<String>,
    /// Why the test was not explored, if it was not. The note says it too.
    pub(crate) refusal: Option<String>,
}

impl Explored {
    /// Returns the number of runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Returns a lower bound on the number of distinct schedules among the runs.
    ///
    /// If it is far below the number of runs, more runs would hardly find more. Runs count as distinct
    /// if they differed in the choices they had: two runs that chose differently may count as one.
    #[must_use]
    pub fn distinct_schedules(&self) -> usize {
        self.distinct_schedules
    }

    /// Returns a note on the exploration, or `None` if there is nothing to add.
    ///
    /// The note says that
    /// - the test was not explored, because a timeout fires early on the paused clock beside real I/O,
    /// - a replay diverged from the recorded run,
    /// - a replay passes although its seed was printed for a failing run,
    /// - runs were left for only some of the places of [`cancel`](crate::Explore::cancel), or
    /// - [`require_overlap`](crate::Explore::require_overlap) was not checked, since there was a single
    ///   run.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    pub(crate) fn print_note(&self) {
        if let Some(note) = &self.note {
            eprintln!("explore: note: {note}");
        }
    }
}
