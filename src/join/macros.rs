//! `settle!` and `barrier!`: the combinators for a fixed number of futures of different types.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::children::{Children, End, Link, Links, Row, Slot, Turn};
use crate::contain::FirstPanic;
use crate::join::barrier::FallibleFuture;
use crate::join::names::{Named, Names};
use crate::join::turn::turn;

/// Waits for every future, then returns a tuple of every output.
///
/// It is [`settle_all`](crate::settle_all) for futures of different types. Like `tokio::join!` it
/// awaits in place, so it works only in async functions, closures and blocks. Order, wake-ups and
/// fairness are those of `settle_all`.
///
/// - Each argument is an expression that is [`IntoFuture`], borrowed ones included. Straggler
///   evaluates all of them, left to right, before it polls the first future.
/// - Temporaries in an argument are dropped before the first poll. Bind what a future borrows to a
///   variable.
/// - Without arguments the result is `()`.
/// - The number of arguments is bounded by the compiler's recursion limit: somewhat over 100 by
///   default. For more, set `#![recursion_limit]` or use `settle_all`.
///
/// # Panics
///
/// As [`settle_all`](crate::settle_all): after every future has settled, the first panic resumes.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the async block that runs this macro drops every pending future, see
/// [`settle_all`](crate::settle_all).
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
        // A plain name would resolve to a `const` or `static` of that name in the caller's scope.
        let __straggler_settling = $crate::__settling!($($future),*);
        let __straggler_outputs = __straggler_settling.await;
        $crate::__flatten!(__straggler_outputs; () (); $($future,)*)
    }};
}

/// Waits for every future, then returns a tuple of every value or the first error in time.
///
/// It is [`barrier`](crate::barrier()) for futures of different types. Like `tokio::try_join!` it
/// awaits in place and returns `Ok` with a tuple, or `Err`. The types of the values may differ; all
/// futures have the same error type. [`settle!`](crate::settle!) describes the arguments.
///
/// Without arguments the result is `Ok(())`.
///
/// # Errors
///
/// The first error in time, if any future returned one. The values and the later errors are dropped.
///
/// # Panics
///
/// As [`barrier`](crate::barrier()): a panic outranks every error.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the async block that runs this macro drops every pending future, see
/// [`settle_all`](crate::settle_all).
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
        let __straggler_errors = $crate::__private::Errors::new();
        let __straggler_settling = $crate::__private::barrier(
            &__straggler_errors,
            $crate::__private::Row::empty()$(.and($crate::__private::Errors::slot(&__straggler_errors, $future)))*,
            &[$(::core::stringify!($future)),*],
        );
        match __straggler_settling.await {
            ::core::result::Result::Ok(__straggler_values) => {
                ::core::result::Result::Ok($crate::__flatten!(__straggler_values; () (); $($future,)*))
            }
            ::core::result::Result::Err(__straggler_error) => ::core::result::Result::Err(__straggler_error),
        }
    }};
}

/// Makes the future that `settle!` awaits.
///
/// A separate statement, so that temporaries in the arguments are dropped before the await: a lock
/// guard among them would block the other futures forever.
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

/// Turns `((((), a), b), c)` into `(a, b, c)`. Each step adds a variable `output`; macro hygiene
/// keeps the variables apart.
#[doc(hidden)]
#[macro_export]
macro_rules! __flatten {
    ($nested:ident; $pattern:tt $flat:tt;) => {{
        let $pattern = $nested;
        $flat
    }};
    ($nested:ident; $pattern:tt ($($output:ident,)*); $future:expr, $($rest:expr,)*) => {
        $crate::__flatten!($nested; ($pattern, __straggler_output) ($($output,)* __straggler_output,); $($rest,)*)
    };
}

/// Makes the slot of one argument of `settle!`.
///
/// A separate function, so that the compiler points at the argument that is not a future.
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

/// The error type of a `barrier!`, which all its futures share.
#[derive(Debug)]
pub struct Errors<E>(PhantomData<fn() -> E>);

impl<E> Errors<E> {
    /// Leaves the type to inference: the first future decides on it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only the macro makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Makes the slot of one argument of `barrier!`.
    ///
    /// A separate function, so that the compiler points at the argument that does not return a
    /// `Result<_, E>`.
    #[inline]
    pub fn slot<F, T>(&self, future: F) -> Slot<F::IntoFuture>
    where
        F: FallibleFuture<T, E>,
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
    /// Polls the children. Ready once all have settled; resumes the first panic then.
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
    /// Takes the values, or the first error in time. Every child has settled without a panic.
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
        // Drops the values one by one here, so that a panic in one drop does not skip the others.
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

/// The futures of a `settle!`, whose outputs can be taken all at once.
pub trait Outputs: Links {
    /// The outputs, nested: `((((), A), B), C)`.
    type Outputs;

    /// Takes the outputs. Every future has settled without a panic.
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
            unreachable!("the future has settled without a panic");
        };
        (outputs, output)
    }
}

/// The futures of a `barrier!`, which all return a `Result` with the error type `E`.
pub trait Results<E>: Outputs {
    /// The values, nested: `((((), A), B), C)`.
    type Values;

    /// Takes the error of future `index`, if it returned one.
    fn take_error(self: Pin<&mut Self>, index: usize) -> Option<E>;

    /// Takes the values. Every future has settled with `Ok`.
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
            unreachable!("the future has settled with `Ok`");
        };
        (values, value)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    // Names show only in reports: `settle!` and `barrier!` await at once and hand out no future.
    #[test]
    fn settle_macro_names_futures_by_source() {
        let settling = crate::__settling!(ready(1 + 1), pending::<()>());
        assert_eq!(
            format!("{settling:?}"),
            "[#0 `ready(1 + 1)`: Unstarted, #1 `pending::<()>()`: Unstarted]"
        );
    }
}
