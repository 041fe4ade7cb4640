//! `settle_all`: waits for every future, even if others fail or panic, and keeps every output.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::children::{Children, List, Slots, Turn};
use crate::join::names::{Named, Names};
use crate::join::on_panic::{Catch, OnPanic, Resume};
use crate::join::origin::Origin;
use crate::join::settled::Settled;
use crate::join::turn::turn;
use crate::join::unsettled::{Pending, Unsettled};

/// Waits for every future and returns every output, in input order.
///
/// An error or a panic in one future does not drop the others: `Err` is an output like any other,
/// and a panic resumes only after all futures have settled. When `settle_all` returns, none of its
/// futures is still running.
///
/// - Without futures it returns an empty [`Settled`] at the first poll.
/// - The futures run concurrently on the task that awaits them. `spawned` runs each on its own task.
/// - The first poll starts them in input order. After that, only woken futures are polled, in the
///   order of their wake-ups. Each future is dropped as soon as it finishes.
/// - "First" means first in time. [`Settled::completion_order`], [`Settled::first_error`] and
///   [`Settled::into_result`] use the order in which the futures finished.
/// - One poll of `settle_all` polls at most 128 futures, each at most once, then yields to the
///   executor. With the feature `tokio` it also yields when tokio's cooperative budget is used up.
///   So a future that wakes itself in a loop or uses up the budget does not starve the others.
/// - A future that returns `Poll::Pending` and never wakes its waker makes `settle_all` hang.
///   [`deadline`](SettleAll::deadline) or `timeout` gives up and names that future.
///
/// The items are anything that is [`IntoFuture`], borrowed futures included, and all have one type.
/// For different types use [`settle!`](crate::settle!), or box the futures. For the values alone or
/// the first error use [`barrier`](crate::barrier()).
///
/// The output is a [`Settled`], not a `Result`. For `?` and `unwrap` call
/// [`into_result`](Settled::into_result) on it.
///
/// # Panics
///
/// `settle_all` itself panics only if the iterator or an item's `into_future` panics. It drops the
/// futures collected so far, unpolled.
///
/// The returned future panics when polled
/// - if a future panicked, while it was polled or dropped. After all have settled, the first panic in
///   time resumes with its original payload, and the other outputs are dropped. The panic hook ran
///   once, when the panic happened. [`catch_unwind`](SettleAll::catch_unwind) turns panics into
///   outputs instead.
/// - if it is polled again after it was ready.
///
/// With `panic = "abort"` the process aborts at the first panic: nothing can contain it.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the returned future drops every pending future and every output. All of
/// them are dropped, even if some panic in `drop`. Then the first panic resumes, whether one of these
/// or an earlier one that was held back, unless the thread is already unwinding. To resume later, keep
/// the future and pass `&mut` to it.
///
/// # Examples
///
/// ```
/// use straggler::settle_all;
///
/// async fn parse(text: &str) -> Result<u8, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// # tokio_test::block_on(async {
/// let settled = settle_all([parse("7"), parse("x"), parse("9")]).await;
///
/// assert_eq!(settled.len(), 3);
/// assert_eq!(settled[2], Ok(9));
/// assert_eq!(settled.err_count(), 1);
/// # });
/// ```
#[inline]
#[track_caller]
pub fn settle_all<I>(futures: I) -> SettleAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    SettleAll {
        children: Some(Children::new(List::collect(futures))),
        origin: Origin::new(Location::caller()),
        on_panic: PhantomData,
    }
}

/// Future for the [`settle_all`] function.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct SettleAll<F: Future, P = Resume> {
    /// `None` once the output was returned.
    children: Option<Children<List<F>>>,
    pub(crate) origin: Origin,
    on_panic: PhantomData<fn() -> P>,
}

/// Future for the [`catch_unwind`](SettleAll::catch_unwind) method.
///
/// It is a [`SettleAll`] whose outputs are `Result<F::Output, Panic>`.
pub type CatchUnwind<F> = SettleAll<F, Catch>;

impl<F: Future> SettleAll<F> {
    /// Turns a panic in a future into an output: `Err` with the [`Panic`](crate::Panic).
    ///
    /// A future that finishes and then panics when dropped counts as panicked. Its output is dropped.
    ///
    /// If the futures return `Result`s, the outputs are nested. [`err_count`](Settled::err_count),
    /// [`first_error`](Settled::first_error) and [`into_result`](Settled::into_result) then see only
    /// the panics.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([1, 0].map(|divisor| async move { 6 / divisor }))
    ///     .catch_unwind()
    ///     .await;
    ///
    /// assert_eq!(settled[0].as_ref().unwrap(), &6);
    /// let panic = settled.first_error().unwrap();
    /// assert_eq!(panic.message(), Some("attempt to divide by zero"));
    /// # });
    /// ```
    pub fn catch_unwind(mut self) -> CatchUnwind<F> {
        if let Some(children) = &mut self.children {
            children.catch_panics();
        }
        SettleAll {
            children: self.children,
            origin: self.origin,
            on_panic: PhantomData,
        }
    }
}

impl<F: Future, P: OnPanic> SettleAll<F, P> {
    /// Limits how many futures are in flight at once: started and not finished.
    ///
    /// They start in input order, the next one as soon as one finishes. By default, and with a limit
    /// of at least the number of futures, all start at the first poll. The limit holds back the tasks
    /// of `spawned`, but not tasks that you spawned before.
    ///
    /// # Panics
    ///
    /// If the futures [start together](Self::start_together) and `at_most` is below their number. They
    /// are dropped, unpolled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    ///
    /// # tokio_test::block_on(async {
    /// let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    /// let calls = (0..10).map(|_| async {
    ///     most.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
    ///     tokio::task::yield_now().await;
    ///     now.fetch_sub(1, Relaxed);
    /// });
    ///
    /// let two = NonZeroUsize::new(2).unwrap();
    /// let settled = straggler::settle_all(calls).limit(two).await;
    /// assert_eq!((settled.len(), most.into_inner()), (10, 2));
    /// # });
    /// ```
    #[track_caller]
    pub fn limit(mut self, at_most: NonZeroUsize) -> Self {
        if let Some(children) = &mut self.children {
            children.limit(at_most.get());
        }
        self.assert_may_start_together();
        self
    }

    /// Panics if the futures start together but a limit keeps some of them from starting.
    #[track_caller]
    pub(crate) fn assert_may_start_together(&self) {
        let is_limited = self.children.as_ref().is_some_and(Children::is_limited);
        assert!(
            !(self.origin.starts_together && is_limited),
            "the futures of the `settle_all` at {} cannot start together: its `limit` is below \
             their number",
            self.origin.place
        );
    }

    /// How many futures there are, or 0 once the output was returned.
    pub(crate) fn len(&self) -> usize {
        self.children.as_ref().map_or(0, Children::len)
    }

    /// Names each future for reports, by its index.
    ///
    /// Calls `name` at once for each future. It returns a `&'static str` or a `String`.
    /// Without names, reports show indices only.
    ///
    /// # Panics
    ///
    /// If `name` panics. The futures are dropped, unpolled.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let users = ["ada", "bob"];
    /// let settled = straggler::settle_all(users.map(|user| async { user.len() }))
    ///     .named(|index| users[index])
    ///     .await;
    /// assert_eq!(settled.name(1), Some("bob"));
    /// # });
    /// ```
    pub fn named<L>(mut self, name: impl FnMut(usize) -> L) -> Self
    where
        L: Into<Cow<'static, str>>,
    {
        self.origin.names = Names::Given((0..self.len()).map(name).map(Into::into).collect());
        self
    }

    /// Replaces each future with the result of `wrap` on it and its name. Returns `None`, and drops the
    /// futures, if one of them was polled: a polled future must not move.
    pub(crate) fn wrap<G: Future>(
        self,
        mut wrap: impl FnMut(Pin<Box<F>>, Option<&str>) -> G,
    ) -> Option<SettleAll<G, P>> {
        let origin = self.origin;
        let wrap = |(index, future)| wrap(future, origin.names.get(index));
        Some(SettleAll {
            children: Some(self.children?.wrap(wrap)?),
            origin,
            on_panic: PhantomData,
        })
    }

    /// Where the combinator was made.
    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.origin.place
    }

    /// Makes the next turn begin a batch of every future woken so far and every future that may start
    /// now. No other future starts after that.
    pub(crate) fn begin_last_batch(&mut self) {
        if let Some(children) = &mut self.children {
            children.begin_last_batch();
        }
    }

    /// Polls the woken futures, as far as one turn goes.
    pub(crate) fn turn(&mut self, context: &mut Context<'_>) -> Turn {
        let Some(children) = &mut self.children else {
            panic!(
                "the `settle_all` or `barrier` at {} was polled again after it was ready",
                self.origin.place
            );
        };
        turn(
            Pin::new(children),
            context,
            &self.origin.names,
            Some(self.origin.place),
        )
    }

    /// Takes the outputs. Every future has settled.
    pub(crate) fn settled(&mut self) -> Settled<P::Output<F::Output>> {
        let names = mem::take(&mut self.origin.names);
        self.end(|children| {
            let mut children = Pin::new(children);
            let outputs = children.as_mut().slots_mut().take_all(P::output);
            Settled::new(outputs, children.take_order(), names)
        })
    }

    /// Takes the outputs so far and drops the pending futures. Returns `Ok` if these drops settle the
    /// rest: a future that panics in `drop` has settled by that panic.
    pub(crate) fn give_up(&mut self) -> Deadlined<F, P> {
        let mut pending = Vec::new();
        if let Some(children) = &mut self.children {
            // Describe them before they are dropped: a drop releases the wakers a future holds, and
            // another one would look as if nothing could wake it.
            pending.extend((0..children.len()).filter_map(|index| {
                let state = children.state(index);
                let polls = children.polls(index);
                (!state.is_settled()).then(|| {
                    Pending::new(
                        &self.origin.names.label(index),
                        polls,
                        state,
                        self.origin.is_spawned,
                    )
                })
            }));
            Pin::new(&mut *children).abandon();
            pending.retain(|child| !children.state(child.index()).is_settled());
        }
        if pending.is_empty() {
            return Ok(self.settled());
        }
        let (names, place) = (mem::take(&mut self.origin.names), self.origin.place);
        self.end(|children| {
            let order = Pin::new(&mut *children).take_order();
            let settled = order
                .iter()
                .filter_map(|index| Some((index, take_output::<F, P>(children, index)?)))
                .collect();
            Err(Unsettled::new(settled, pending, names, place))
        })
    }

    /// Takes the output out of the children and drops them. Resumes the panic that outranks it, if
    /// there is one.
    #[inline]
    fn end<R>(&mut self, take: impl FnOnce(&mut Children<List<F>>) -> R) -> R {
        /// Drops the children, even if a panic resumes.
        struct Last<'a, C>(&'a mut Option<C>);
        impl<C> Drop for Last<'_, C> {
            fn drop(&mut self) {
                *self.0 = None;
            }
        }

        let last = Last(&mut self.children);
        let Some(children) = last.0 else {
            unreachable!("the turn before found the children");
        };
        Pin::new(&mut *children).first_panic().resume();
        take(children)
    }
}

/// The output of a [`Deadline`](crate::future::Deadline).
pub(crate) type Deadlined<F, P> = Result<
    Settled<<P as OnPanic>::Output<<F as Future>::Output>>,
    Unsettled<<P as OnPanic>::Output<<F as Future>::Output>>,
>;

fn take_output<F: Future, P: OnPanic>(
    children: &mut Children<List<F>>,
    index: usize,
) -> Option<P::Output<F::Output>> {
    let slot = Pin::new(children).slots_mut().slot_mut(index);
    slot.take_outcome().map(P::output)
}

impl<F: Future, P: OnPanic> Future for SettleAll<F, P> {
    type Output = Settled<P::Output<F::Output>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.turn(context) {
            Turn::Settled => Poll::Ready(self.settled()),
            Turn::Waiting | Turn::Paused => Poll::Pending,
        }
    }
}

impl<F: Future, P> fmt::Debug for SettleAll<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = &self.origin.names;
        let children = self.children.as_ref();
        let children = children.map(|children| Named { children, names });
        f.debug_struct("SettleAll")
            .field("place", &format_args!("{}", self.origin.place))
            .field("children", &children)
            .finish()
    }
}
