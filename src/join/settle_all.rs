//! `settle_all`: waits for every future, whatever becomes of the others, and keeps every output.

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

/// Waits for every future to come to its end, and returns every output in input order.
///
/// No future is dropped half-way because of another: an `Err` is an output like any other, and a
/// panic goes on only when all have settled. So when `settle_all` is done, nothing that it was
/// given is still at work.
///
/// - Of no futures it is ready at once, with no outputs.
/// - The futures run concurrently on the task that awaits them (`spawned` gives each a task of its
///   own), and start at the first poll. Each is polled once, in input order; from then on only those
///   that were woken are polled, in the order in which they were woken. Each is dropped as soon as it
///   is done.
/// - "First" means first in time: [`Settled::completion_order`], [`Settled::first_error`] and
///   [`Settled::into_result`] go by the order in which the futures came to their ends.
/// - One poll polls at most 128 of the futures before it lets the executor go on, and each of
///   them once; with the feature `tokio` it also ends when tokio's cooperative budget is spent.
///   So neither a future that wakes itself for ever nor one that uses up the budget starves the
///   others.
/// - A future that returns `Poll::Pending` and never wakes its waker keeps `settle_all` waiting,
///   as it would keep anybody waiting who awaits it; [`deadline`](SettleAll::deadline) and
///   `timeout` end that and say which one it was.
///
/// The items of the input may be anything that is [`IntoFuture`], also borrowed. They have one
/// type; for futures of different types there is [`settle!`](crate::settle!), or box each of them.
/// To go on with the values alone, or the first error, there is [`barrier`](crate::barrier()).
///
/// The output is a [`Settled`], which is no `Result`: for `?` and `unwrap` call
/// [`into_result`](Settled::into_result) on it.
///
/// # Panics
///
/// `settle_all` itself panics only if the iterator does, or the `into_future` of an item; the
/// futures that are there by then are dropped, unpolled.
///
/// The returned future panics when polled
/// - if one of the futures panicked, while it was polled or while it was dropped: after all have
///   settled, the panic that was first in time goes on with its original payload. The panic hook
///   ran once, when it happened. The outputs of the others are dropped.
///   [`catch_unwind`](SettleAll::catch_unwind) turns panics into values instead.
/// - if it is polled again after it was ready.
///
/// With `panic = "abort"` no panic can be contained: the process aborts at the first.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the returned future drops every future that is still pending, and
/// the outputs of those that are done. All of them are dropped, also if some panic in `drop`. The
/// first panic goes on, be it one of these or one that was held back until all had settled, unless
/// the thread unwinds already. A future that is kept elsewhere and passed as `&mut` can be gone on
/// with.
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
    /// `None` once the future was ready.
    children: Option<Children<List<F>>>,
    pub(crate) origin: Origin,
    on_panic: PhantomData<fn() -> P>,
}

/// Future for the [`catch_unwind`](SettleAll::catch_unwind) method: a [`SettleAll`] whose outputs
/// are `Result<F::Output, Panic>`.
pub type CatchUnwind<F> = SettleAll<F, Catch>;

impl<F: Future> SettleAll<F> {
    /// Turns a panic in one of the futures into an output: `Err` with the [`Panic`](crate::Panic).
    ///
    /// A future counts as panicked also if it was done and then panicked when it was dropped; its
    /// output is dropped.
    ///
    /// If the futures return `Result`s the outputs are nested, and
    /// [`err_count`](Settled::err_count), [`first_error`](Settled::first_error) and
    /// [`into_result`](Settled::into_result) go by the panics alone.
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
    /// Lets at most `at_most` futures be in flight at once: started and not at their end.
    ///
    /// They are started in input order, the next one as soon as one has ended. By default all are
    /// started at the first poll, and so they are if `at_most` is not below their number. A task
    /// that was spawned before is in flight already: a limit does not hold it back, as it does those
    /// of `spawned`.
    ///
    /// # Panics
    ///
    /// If they are to [start together](Self::start_together), and `at_most` is below their number. They
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

    /// Panics if the futures are to start together, and may not all be in flight at once.
    #[track_caller]
    pub(crate) fn assert_may_start_together(&self) {
        let is_limited = self.children.as_ref().is_some_and(Children::is_limited);
        assert!(
            !(self.origin.starts_together && is_limited),
            "the futures of the `settle_all` at {} cannot start together: its `limit` lets only some of \
             them be in flight",
            self.origin.place
        );
    }

    /// How many futures there are.
    pub(crate) fn len(&self) -> usize {
        self.children.as_ref().map_or(0, Children::len)
    }

    /// Gives each future a name for reports, by its index.
    ///
    /// The names are made at once, and kept: of a list of `String`s return a clone. By default
    /// there are none, and reports tell the futures apart by their indices.
    ///
    /// # Panics
    ///
    /// If `name` does. The futures are dropped, unpolled.
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

    /// The same with the futures that `wrap` makes of these, by their names. If one of them was polled
    /// there is no such thing, and they are dropped.
    pub(crate) fn wrap<G: Future>(
        self,
        mut wrap: impl FnMut(F, Option<&str>) -> G,
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

    /// Makes the next turn begin a batch of all futures that are woken by then, and of those that may
    /// start by now. From here on no other future may.
    pub(crate) fn begin_last_batch(&mut self) {
        if let Some(children) = &mut self.children {
            children.begin_last_batch();
        }
    }

    /// Gives each woken future a poll.
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

    /// What came out of the futures, all of which have settled.
    pub(crate) fn settled(&mut self) -> Settled<P::Output<F::Output>> {
        let names = mem::take(&mut self.origin.names);
        self.end(|children| {
            let mut children = Pin::new(children);
            let outputs = children.as_mut().slots_mut().take_all(P::output);
            Settled::new(outputs, children.take_order(), names)
        })
    }

    /// What came out of the futures so far. Those that have not settled are dropped, unless this
    /// settles them: by a panic in `drop`.
    pub(crate) fn give_up(&mut self) -> Deadlined<F, P> {
        let mut pending = Vec::new();
        if let Some(children) = &mut self.children {
            // First the report: dropping a future lets go of the wakers it holds.
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

    /// Takes the last output out of the children, which are gone then. A panic that outranks it
    /// goes on here.
    #[inline]
    fn end<R>(&mut self, take: impl FnOnce(&mut Children<List<F>>) -> R) -> R {
        /// Sees to it that the children are gone also if a panic goes on.
        struct Last<'a, C>(&'a mut Option<C>);
        impl<C> Drop for Last<'_, C> {
            fn drop(&mut self) {
                *self.0 = None;
            }
        }

        let last = Last(&mut self.children);
        let Some(children) = last.0 else {
            unreachable!("a turn was made just before");
        };
        Pin::new(&mut *children).first_panic().resume();
        take(children)
    }
}

/// What comes out of a [`Deadline`].
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
