//! `Broken`: why a rendezvous cannot go on.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

/// The error of a broken [`Rendezvous`](crate::Rendezvous): a participant left, or the rendezvous was dropped before all
/// had joined.
///
/// If several participants left, it names the first in time. `Debug` prints the same as `Display`,
/// because tests `unwrap()` it.
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// let rendezvous = straggler::Rendezvous::new(2);
/// let mut ada = rendezvous.join_named("ada");
/// drop(rendezvous.join_named("bob"));
///
/// let broken = ada.wait().await.unwrap_err();
/// assert_eq!((broken.number(), broken.name()), (Some(1), Some("bob")));
/// assert_eq!((broken.round(), broken.has_panicked()), (0, false));
/// assert_eq!(broken.place().file(), file!());
/// # });
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Broken {
    /// The participant that left, or `None` if the rendezvous was dropped before all had joined.
    pub(super) left: Option<Left>,
    pub(super) round: usize,
    pub(super) place: &'static Location<'static>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) number: usize,
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) has_panicked: bool,
}

impl Broken {
    /// Returns the number of the participant that left, or `None` if the rendezvous was dropped before
    /// all had joined.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        self.left.as_ref().map(|left| left.number)
    }

    /// Returns the name of the participant that left, set by [`join_named`](crate::Rendezvous::join_named), if
    /// any.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.left.as_ref()?.name.as_deref()
    }

    /// Returns where the participant that left had joined.
    ///
    /// If the rendezvous was dropped before all had joined, returns where it was created.
    #[must_use]
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// Returns the number of the round that can no longer complete, from 0.
    #[must_use]
    pub fn round(&self) -> usize {
        self.round
    }

    /// Returns whether the participant was dropped by a panic: its thread was unwinding.
    ///
    /// The panic may be its own, or that of another future in the same task.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.has_panicked)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left, round, place } = self;
        let Some(left) = left else {
            return write!(
                f,
                "the rendezvous created at {place} was dropped before all of its participants had joined"
            );
        };
        write!(f, "participant #{}", left.number)?;
        if let Some(name) = &left.name {
            write!(f, " `{name}`")?;
        }
        let cause = if left.has_panicked {
            "was dropped by a panic"
        } else {
            "left (by an early return or a cancellation)"
        };
        write!(
            f,
            " of the rendezvous (joined at {place}) {cause} before it arrived in round {round}"
        )
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}
