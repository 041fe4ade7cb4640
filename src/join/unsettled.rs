//! `Unsettled`: the error of a deadline that passed before every future had settled.

use std::fmt;
use std::panic::Location;

use crate::children::State;
use crate::join::names::Names;
use crate::wording::{Label, list, polled, text};

/// The error of futures that did not all settle before the deadline.
///
/// It keeps the outputs of the settled futures and describes each pending one: index, name, polls,
/// and whether anything can still wake it. The pending futures have been dropped.
///
/// `Display` and `Debug` print all of this, because tests `unwrap()` it. They list the
/// first 20 pending and the first 20 settled futures, and count the rest. They do not say where a future
/// waits: a `LeakCheck` with a timeout does.
///
/// It implements `Error` if `O` is `Debug`.
///
/// # Examples
///
/// ```
/// use std::future::{pending, ready};
/// use straggler::settle_all;
///
/// async fn call(name: &str) -> Result<(), &'static str> {
///     match name {
///         "reader" => pending().await,
///         _ => Err("disk full"),
///     }
/// }
///
/// # tokio_test::block_on(async {
/// let names = ["reader", "writer"];
/// let unsettled = settle_all(names.map(call))
///     .named(|index| names[index])
///     .deadline(ready(()))
///     .await
///     .unwrap_err();
///
/// assert_eq!(unsettled.pending()[0].name(), Some("reader"));
/// assert_eq!(unsettled.settled(), [(1, Err("disk full"))]);
/// # });
/// ```
#[derive(thiserror::Error)]
pub struct Unsettled<O> {
    /// In completion order.
    settled: Vec<(usize, O)>,
    /// In input order. Never empty.
    pending: Vec<Pending>,
    names: Names,
    place: &'static Location<'static>,
}

impl<O> Unsettled<O> {
    pub(crate) fn new(
        settled: Vec<(usize, O)>,
        pending: Vec<Pending>,
        names: Names,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            settled,
            pending,
            names,
            place,
        }
    }

    /// Returns the outputs of the settled futures, each with its index, in completion order.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
    /// assert!(settling.await.unwrap_err().settled().is_empty());
    /// # });
    /// ```
    #[must_use]
    pub fn settled(&self) -> &[(usize, O)] {
        &self.settled
    }

    /// Returns the outputs of the settled futures by value, each with its index, in completion order.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
    /// assert!(settling.await.unwrap_err().into_settled().is_empty());
    /// # });
    /// ```
    #[must_use]
    pub fn into_settled(self) -> Vec<(usize, O)> {
        self.settled
    }

    /// Returns the futures that did not settle, in input order. There is at least one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
    /// let unsettled = settling.await.unwrap_err();
    /// assert_eq!(unsettled.pending().len(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }
}

impl<O: fmt::Debug> fmt::Display for Unsettled<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} futures did not settle before the deadline (settle_all at {})",
            self.pending.len(),
            self.pending.len() + self.settled.len(),
            self.place
        )?;
        let lines = self.pending.iter();
        list(f, lines.map(|child| (child.label(), child.progress())))?;
        if self.settled.is_empty() {
            return Ok(());
        }
        write!(f, "\nthese settled, in this order:")?;
        let lines = self.settled.iter();
        list(
            f,
            lines.map(|(index, output)| {
                (self.names.label(*index), text(format_args!("{output:?}")))
            }),
        )
    }
}

impl<O: fmt::Debug> fmt::Debug for Unsettled<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A future that had not settled when the deadline passed: its index, its name and how far it got.
///
/// # Examples
///
/// ```
/// use std::future::{pending, ready};
///
/// # tokio_test::block_on(async {
/// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
/// let unsettled = settling.await.unwrap_err();
/// let child = &unsettled.pending()[0];
///
/// assert_eq!((child.index(), child.name()), (0, None));
/// assert_eq!(child.polls(), 1);
/// assert!(!child.can_be_woken());
/// # });
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pending {
    index: usize,
    name: Option<String>,
    polls: usize,
    state: State,
    /// Whether it runs on its own task. Its polls and wakers then say nothing about the task.
    is_task: bool,
}

impl Pending {
    pub(crate) fn new(label: &Label<'_>, polls: usize, state: State, is_task: bool) -> Self {
        Self {
            index: label.index,
            name: label.name.map(str::to_owned),
            polls,
            state,
            is_task,
        }
    }

    /// Returns the index of the future in the input, from 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
    /// assert_eq!(settling.await.unwrap_err().pending()[0].index(), 0);
    /// # });
    /// ```
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the name of the future, set by [`named`](crate::future::SettleAll::named), if any.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).named(|_| "reader").deadline(ready(()));
    /// assert_eq!(settling.await.unwrap_err().pending()[0].name(), Some("reader"));
    /// # });
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns how often the future was polled.
    ///
    /// It is 0 if a [`limit`](crate::future::SettleAll::limit) kept the future from starting. For a
    /// `spawned` future it counts the polls of the task's handle, not of the task.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
    /// assert_eq!(settling.await.unwrap_err().pending()[0].polls(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn polls(&self) -> usize {
        self.polls
    }

    /// Returns whether anything could still have woken the future.
    ///
    /// - `false` is certain: the future returned `Poll::Pending` and nothing held its waker, so it
    ///   would have hung forever.
    /// - `true` is a guess: the future was already woken, was not started, or something held its
    ///   waker but may never use it. For a `spawned` future it means nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, ready};
    ///
    /// # tokio_test::block_on(async {
    /// let settling = straggler::settle_all([pending::<u8>()]).deadline(ready(()));
    /// assert!(!settling.await.unwrap_err().pending()[0].can_be_woken());
    /// # });
    /// ```
    #[must_use]
    pub fn can_be_woken(&self) -> bool {
        self.state != State::Unwakeable
    }

    pub(crate) fn label(&self) -> Label<'_> {
        Label {
            index: self.index,
            name: self.name(),
        }
    }

    /// How far the future got, in words.
    fn progress(&self) -> String {
        let then = match self.state {
            _ if self.polls == 0 => ": held back by the limit",
            _ if self.is_task => return "its task was still running".to_owned(),
            State::Woken => " and woken again: it was busy, not stuck",
            State::Unwakeable => ", then nothing held its waker: nothing could ever wake it",
            _ => ", then waited to be woken",
        };
        polled(self.polls) + then
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label(), self.progress())
    }
}
