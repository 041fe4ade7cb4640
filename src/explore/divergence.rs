//! What is said of a body that depends on more than its schedule.

use std::fmt;

use crate::schedule::seed::Seed;

/// What no seed repeats.
const UNSTEERED: &str = "a `select!` that draws its branches by chance (`biased;` helps), what a `static` \
                         keeps from one run to the next, I/O, threads, real time, the order of a hash map";

/// Of a repeated run that was another.
pub(crate) fn another_course(seed: &Seed) -> String {
    format!(
        "the run of the seed {seed} took another course than before: the body has changed, or depends \
         on more than its schedule ({UNSTEERED})"
    )
}

/// Of a repeated run that does not fail any more.
pub(crate) fn passes_now(seed: &Seed, takes_another: bool) -> String {
    let how = if takes_another {
        ", and took another course than before"
    } else {
        ""
    };
    format!(
        "the seed {seed} was printed for a run that failed; it passes now{how}: what failed is repaired, or \
         depends on more than the schedule ({UNSTEERED})"
    )
}

/// What came of repeating a run that failed.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    /// How often it was repeated.
    pub(crate) of: usize,
    /// How often it failed in the same way.
    pub(crate) failures: usize,
    /// How often it took another course.
    pub(crate) others: usize,
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            of,
            failures,
            others,
        } = self;
        match others {
            0 => f.write_str("the same seed took the same course")?,
            _ if others == of => f.write_str("the same seed took another course")?,
            others => write!(
                f,
                "the same seed took another course in {others} of {of} cases"
            )?,
        }
        f.write_str(" when it was repeated, ")?;
        match failures {
            0 => f.write_str("but did not fail again")?,
            failures if failures == of => f.write_str("and failed again")?,
            failures => write!(f, "and failed again in {failures} of {of} cases")?,
        }
        write!(
            f,
            ": the body depends on more than its schedule ({UNSTEERED})"
        )
    }
}
