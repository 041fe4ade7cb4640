//! The result of an exploration without a failure.

use std::fmt;

use crate::schedule::fairness::PASSED_OVER;
use crate::wording::count;

/// An exploration in which no run failed.
///
/// `Display` says in one line what was run, such as `all 312 schedules pass`.
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
    pub(crate) discarded: usize,
    pub(crate) distinct_schedules: usize,
    pub(crate) extent: Extent,
    /// At how many places an operation was cancelled in the plain order. 0 if the runs do not cancel.
    pub(crate) places: usize,
    pub(crate) note: Option<String>,
    /// Why the test was not explored, if it was not. The note says it too.
    pub(crate) refusal: Option<String>,
}

/// Which part of all schedules the runs were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A sample, or a replay.
    Sample,
    /// All, within the bounds. `is_bounded` says whether one of them ruled out a schedule.
    All { is_bounded: bool },
    /// The first ones.
    Part,
    /// All that straggler decides, but the body uses something that no schedule decides.
    Undecided(&'static str),
}

impl Explored {
    /// Returns the number of runs, without those that were [discarded](Self::discarded).
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Returns how many more runs were made that count as nothing, because tokio itself could not make them.
    ///
    /// Such a run does not fail the test, and is no run, no schedule and no overlap. Another one takes its place, until
    /// as many were discarded as were asked for. If at most half of those count, a [note](Self::note) says why. In
    /// an [exhaustive](crate::Explore::exhaustive) exploration a discarded run counts towards the limit.
    ///
    /// A run is discarded
    /// - if a task that had ended [inside its spawn](crate::Explore::eager_spawns) is aborted, or
    /// - if an operation that the test polls by hand, with a waker of its own as by `now_or_never`, finds no budget.
    ///   With scheduling points none does.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::Explore;
    ///
    /// let explored = Explore::new().runs(20).eager_spawns().find(|| async {
    ///     let task = straggler::spawn(async {});
    ///     task.abort();
    ///     _ = task.await;
    /// });
    /// let explored = explored.unwrap();
    /// assert_eq!(explored.runs(), 20);
    /// assert!(explored.discarded() > 0);
    /// ```
    #[must_use]
    pub fn discarded(&self) -> usize {
        self.discarded
    }

    /// Returns a lower bound on the number of distinct schedules among the runs, or their number if the
    /// exploration is [exhaustive](crate::Explore::exhaustive).
    ///
    /// If it is far below the number of runs, more runs would hardly find more. Runs count as distinct
    /// if they differed in the choices they had: two runs that chose differently may count as one.
    #[must_use]
    pub fn distinct_schedules(&self) -> usize {
        self.distinct_schedules
    }

    /// Returns at how many places a run of [`cancel`](crate::Explore::cancel) cancelled an operation, or 0 if the runs
    /// do not cancel.
    ///
    /// Few places may mean that little was tested: a lock of another crate that is free, for one, is no place.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, cancellable};
    /// use tokio::task::yield_now;
    ///
    /// let explored = Explore::new().cancel().find(|| async {
    ///     cancellable(yield_now()).await;
    /// });
    /// let explored = explored.unwrap();
    /// assert!(explored.places() >= 3, "before, at and after the yield");
    /// assert!(explored.to_string().contains(" places"));
    /// ```
    #[must_use]
    pub fn places(&self) -> usize {
        self.places
    }

    /// Returns whether the runs were all schedules of the body, within the bounds of
    /// [`Explore::exhaustive`](crate::Explore::exhaustive).
    ///
    /// It is `false` if the limit was reached, if the body uses something that no schedule decides, and for any other
    /// exploration.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Explore, settle_all};
    ///
    /// let body = || async { _ = settle_all([(); 3].map(|()| async {})).await };
    /// let explored = Explore::new().exhaustive(1_000).find(body).unwrap();
    /// assert!(explored.is_exhaustive());
    /// assert_eq!(explored.distinct_schedules(), 6);
    /// assert_eq!(explored.to_string(), "all 6 schedules pass");
    ///
    /// let explored = Explore::new().exhaustive(4).find(body).unwrap();
    /// assert!(!explored.is_exhaustive());
    /// assert!(explored.to_string().contains("of more than"));
    /// ```
    #[must_use]
    pub fn is_exhaustive(&self) -> bool {
        matches!(self.extent, Extent::All { .. })
    }

    /// Returns a note on the exploration, or `None` if there is nothing to add.
    ///
    /// The note says that
    /// - the test was not explored, because a timeout fires early on the paused clock beside real I/O,
    /// - nothing was explored, or less than was asked for, because many runs were [discarded](Self::discarded),
    /// - a replay shows nothing, because its run would be discarded,
    /// - a replay diverged from the recorded run,
    /// - a replay passes although its seed was printed for a failing run,
    /// - a replay has no place at which its seed cancels,
    /// - runs were left for only some of the places of [`cancel`](crate::Explore::cancel), or none to draw a schedule
    ///   with [`cancel_in_schedules`](crate::Explore::cancel_in_schedules), or
    /// - [`require_overlap`](crate::Explore::require_overlap) was not checked, since there was a single
    ///   run.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Whether the runs are a sample of the schedules, or a replay.
    pub(crate) fn is_sample(&self) -> bool {
        self.extent == Extent::Sample
    }

    /// Prints what an exhaustive exploration states, or how many places were cancelled at, and the note.
    pub(crate) fn print(&self) {
        if !self.is_sample() || self.places > 0 {
            eprintln!("explore: {self}");
        }
        if let Some(note) = &self.note {
            eprintln!("explore: note: {note}");
        }
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schedules = count(self.distinct_schedules, "schedule");
        let pass = match self.distinct_schedules {
            1 => "passes",
            _ => "pass",
        };
        match self.extent {
            Extent::Sample => {
                write!(f, "{} without a failure", count(self.runs, "run"))?;
                match self.places {
                    0 => Ok(()),
                    places => write!(f, ", cancelled at {}", count(places, "place")),
                }
            }
            Extent::All { is_bounded: false } if self.distinct_schedules == 1 => {
                write!(f, "the only schedule passes")
            }
            Extent::All { is_bounded: false } => write!(f, "all {schedules} {pass}"),
            Extent::All { is_bounded: true } => write!(
                f,
                "all {schedules} {pass} in which nothing that can run is passed over more than {PASSED_OVER} times \
                 in a row"
            ),
            Extent::Part => {
                let tried = self.distinct_schedules;
                write!(f, "{tried} of more than {schedules} {pass}")
            }
            Extent::Undecided(what) => {
                write!(f, "{schedules} {pass}, but no schedule decides {what}")
            }
        }?;
        match self.discarded {
            0 => Ok(()),
            discarded => write!(f, ", {discarded} discarded"),
        }
    }
}
