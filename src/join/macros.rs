//! `settle!` and `barrier!`: the combinators for a fixed number of futures of different types.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::children::{Children, End, Link, Links, Row, Slot, Turn};
use crate::contain::FirstPanic;
use crate::join::names::{Named, Names};
use crate::join::turn::turn;

/// Waits for every future to come to its end, and returns a tuple of every output.
///
/// It is [`settle_all`](crate::settle_all) for futures of different types, awaited in place, as
/// `tokio::join!` is; so it can only be used in async functions, closures and blocks. What
/// `settle_all` says of order, wakes, fairness and panics holds here too.
///
/// The futures are any expressions that are [`IntoFuture`], also borrowed ones, evaluated from
/// left to right before the first is polled. Temporary values in an expression are dropped before
/// anything is polled: what a future borrows has to be in a variable. There may be as many as the
/// compiler's recursion limit allows, which is 100 and a few by default.
///
/// Of no futures it is `()`.
///
/// # Panics
///
/// As [`settle_all`](crate::settle_all).
///
/// # Cancel safety
///
/// Not cancel safe, as [`settle_all`](crate::settle_all).
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// let (sum, name) = straggler::settle!(async { 1 + 1 }, async { "two" });
/// assert_eq!((sum, name), (2, "two"));
/// # });
/// ```
#[macro_export]
macro_rules! settle {
    ($($future:expr),* $(,)?) => {{
        let settling = $crate::__settling!($($future),*);
        let outputs = settling.await;
        $crate::__flatten!(outputs; () (); $($future,)*)
    }};
}

/// Waits for every future to come to its end, then returns a tuple of every value, or the error
/// that was first in time.
///
/// It is [`barrier`](crate::barrier()) for futures of different types, awaited in place, as
/// `tokio::try_join!` is, and has the same result: `Ok` with a tuple, or `Err`. The values may
/// differ in type, the errors may not. How the futures are written is described at
/// [`settle!`](crate::settle!).
///
/// Of no futures it is `Ok(())`.
///
/// # Errors
///
/// The error that was first in time, if any future returned one. The values and the other errors
/// are dropped.
///
/// # Panics
///
/// As [`barrier`](crate::barrier()).
///
/// # Cancel safety
///
/// Not cancel safe, as [`settle_all`](crate::settle_all).
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// let both = straggler::barrier!(async { "7".parse::<u8>() }, async { "9".parse::<u16>().map(u32::from) });
/// assert_eq!(both, Ok((7, 9)));
///
/// let failed = straggler::barrier!(async { "7".parse::<u8>() }, async { "x".parse::<u16>() });
/// assert!(failed.is_err());
/// # });
/// ```
#[macro_export]
macro_rules! barrier {
    ($($future:expr),* $(,)?) => {{
        let errors = $crate::__private::Errors::new();
        let settling = $crate::__private::barrier(
            &errors,
            $crate::__private::Row::empty()$(.and(errors.slot($future)))*,
            &[$(::core::stringify!($future)),*],
        );
        match settling.await {
            ::core::result::Result::Ok(values) => {
                ::core::result::Result::Ok($crate::__flatten!(values; () (); $($future,)*))
            }
            ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
        }
    }};
}

/// Makes the future that `settle!` awaits.
///
/// A statement of its own, so that temporary values in the expressions are gone before anything
/// is awaited: a lock guard among them would hold up the other futures for ever.
#[doc(hidden)]
#[macro_export]
macro_rules! __settling {
    ($($future:expr),*) => {
        $crate::__private::settle(
            $crate::__private::Row::empty()$(.and($crate::__private::slot($future)))*,
            &[$(::core::stringify!($future)),*],
        )
    };
}

/// Makes `(a, b, c)` of `((((), a), b), c)`. Each step adds a variable `output` of its own, which
/// macro hygiene keeps apart from the others.
#[doc(hidden)]
#[macro_export]
macro_rules! __flatten {
    ($nested:ident; $pattern:tt $flat:tt;) => {{
        let $pattern = $nested;
        $flat
    }};
    ($nested:ident; $pattern:tt ($($output:ident,)*); $future:expr, $($rest:expr,)*) => {
        $crate::__flatten!($nested; ($pattern, output) ($($output,)* output,); $($rest,)*)
    };
}

/// Makes the slot of one of the futures of `settle!`: an error points at the one that is none.
#[inline]
pub fn slot<F: IntoFuture>(future: F) -> Slot<F::IntoFuture> {
    Slot::new(future.into_future())
}

/// Makes the future that `settle!` awaits.
#[inline]
pub fn settle<L: Outputs>(row: Row<L>, names: &'static [&'static str]) -> SettleRow<L> {
    SettleRow {
        children: Children::new(row),
        names: Names::Source(names),
    }
}

/// The error type of a `barrier!`: an error points at the future that has another, or none.
#[derive(Debug)]
pub struct Errors<E>(PhantomData<fn() -> E>);

impl<E> Errors<E> {
    /// Makes the type that the first future decides on.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only the macro makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Makes the slot of one of the futures of `barrier!`.
    #[inline]
    pub fn slot<F, T>(&self, future: F) -> Slot<F::IntoFuture>
    where
        F: IntoFuture<Output = Result<T, E>>,
    {
        Slot::new(future.into_future())
    }
}

/// Makes the future that `barrier!` awaits.
#[inline]
pub fn barrier<L: Results<E>, E>(
    _: &Errors<E>,
    row: Row<L>,
    names: &'static [&'static str],
) -> BarrierRow<L, E> {
    BarrierRow {
        settling: settle(row, names),
        error: PhantomData,
    }
}

/// Future for the `settle!` macro.
#[pin_project]
pub struct SettleRow<L: Links> {
    #[pin]
    children: Children<Row<L>>,
    names: Names,
}

/// Future for the `barrier!` macro.
#[pin_project]
pub struct BarrierRow<L: Links, E> {
    #[pin]
    settling: SettleRow<L>,
    error: PhantomData<fn() -> E>,
}

impl<L: Links> SettleRow<L> {
    /// Ready when all have settled and none has panicked.
    #[inline]
    fn poll_settled(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let mut children = this.children;
        match turn(children.as_mut(), context, this.names, None) {
            Turn::Settled => {
                children.first_panic().resume();
                Poll::Ready(())
            }
            Turn::Waiting | Turn::Paused => Poll::Pending,
        }
    }
}

impl<L: Outputs> Future for SettleRow<L> {
    type Output = L::Outputs;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<L::Outputs> {
        self.as_mut()
            .poll_settled(context)
            .map(|()| self.project().children.slots_mut().links().take_outputs())
    }
}

impl<L: Results<E>, E> Future for BarrierRow<L, E> {
    type Output = Result<L::Values, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.as_mut()
            .project()
            .settling
            .poll_settled(context)
            .map(|()| self.project().settling.project().children.into_result())
    }
}

impl<L: Links> Children<Row<L>> {
    /// The values, or the error that was first in time. All have settled, none by a panic.
    fn into_result<E>(mut self: Pin<&mut Self>) -> Result<L::Values, E>
    where
        L: Results<E>,
    {
        let order = self.as_mut().take_order();
        let mut links = self.as_mut().slots_mut().links();
        let first_error = order
            .iter()
            .find_map(|index| links.as_mut().take_error(index));
        let Some(error) = first_error else {
            return Ok(self.slots_mut().links().take_values());
        };
        let mut panics = FirstPanic::default();
        self.clear(&mut panics);
        Err(panics.or_resume(error))
    }
}

impl<L: Links> fmt::Debug for SettleRow<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named {
            children: &self.children,
            names: &self.names,
        }
        .fmt(f)
    }
}

impl<L: Links, E> fmt::Debug for BarrierRow<L, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settling.fmt(f)
    }
}

/// Futures whose outputs can be taken all at once.
pub trait Outputs: Links {
    /// The outputs, nested: `((((), A), B), C)`.
    type Outputs;

    /// Takes the outputs. All have settled, none by a panic.
    fn take_outputs(self: Pin<&mut Self>) -> Self::Outputs;
}

impl Outputs for End {
    type Outputs = ();

    fn take_outputs(self: Pin<&mut Self>) {}
}

impl<Init: Outputs, F: Future> Outputs for Link<Init, F> {
    type Outputs = (Init::Outputs, F::Output);

    #[inline]
    fn take_outputs(self: Pin<&mut Self>) -> Self::Outputs {
        let this = self.project();
        let outputs = this.init.take_outputs();
        let Some(Ok(output)) = this.last.take_outcome() else {
            unreachable!("the future has settled, and not by a panic");
        };
        (outputs, output)
    }
}

/// Futures that all return a `Result` with the error type `E`.
pub trait Results<E>: Outputs {
    /// The values, nested: `((((), A), B), C)`.
    type Values;

    /// Takes the error of future `index`, if it returned one.
    fn take_error(self: Pin<&mut Self>, index: usize) -> Option<E>;

    /// Takes the values. All have settled, none by a panic or with an error.
    fn take_values(self: Pin<&mut Self>) -> Self::Values;
}

impl<E> Results<E> for End {
    type Values = ();

    fn take_error(self: Pin<&mut Self>, _: usize) -> Option<E> {
        None
    }

    fn take_values(self: Pin<&mut Self>) {}
}

impl<Init, F, T, E> Results<E> for Link<Init, F>
where
    Init: Results<E>,
    F: Future<Output = Result<T, E>>,
{
    type Values = (Init::Values, T);

    fn take_error(self: Pin<&mut Self>, index: usize) -> Option<E> {
        let this = self.project();
        if index != Init::COUNT {
            return this.init.take_error(index);
        }
        match this.last.output() {
            Some(Err(_)) => this.last.take_outcome()?.ok()?.err(),
            _ => None,
        }
    }

    fn take_values(self: Pin<&mut Self>) -> Self::Values {
        let this = self.project();
        let values = this.init.take_values();
        let Some(Ok(Ok(value))) = this.last.take_outcome() else {
            unreachable!("the future has settled, and returned `Ok`");
        };
        (values, value)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    // The names show in reports only; `settle!` and `barrier!` await at once.
    #[test]
    fn each_future_is_named_by_its_source_text() {
        let settling = crate::__settling!(ready(1 + 1), pending::<()>());
        assert_eq!(
            format!("{settling:?}"),
            "[#0 `ready(1 + 1)`: Unstarted, #1 `pending::<()>()`: Unstarted]"
        );
    }
}
