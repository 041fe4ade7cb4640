//! What a [`SettleAll`](crate::future::SettleAll) does with a panic in a future: resume or catch it.

use crate::panic::Panic;

/// Decides what a [`SettleAll`](crate::future::SettleAll) does with a panic in a future.
///
/// Sealed: [`Resume`] and [`Catch`] are the only implementations.
pub trait OnPanic: sealed::Sealed {
    /// The output of the combinator for a future that returns an `O`.
    type Output<O>;

    /// Turns the outcome of a future into its output, or resumes the panic.
    #[doc(hidden)]
    fn output<O>(outcome: Result<O, Box<Panic>>) -> Self::Output<O>;
}

/// Resumes the first panic after all futures have settled: the default of
/// [`settle_all`](crate::settle_all).
#[derive(Clone, Copy, Debug)]
pub enum Resume {}

/// Turns panics into outputs, see
/// [`SettleAll::catch_unwind`](crate::future::SettleAll::catch_unwind).
#[derive(Clone, Copy, Debug)]
pub enum Catch {}

mod sealed {
    #[expect(unnameable_types, reason = "this is what seals `OnPanic`")]
    pub trait Sealed {}
    impl Sealed for super::Resume {}
    impl Sealed for super::Catch {}
}

impl OnPanic for Resume {
    type Output<O> = O;

    #[inline]
    fn output<O>(outcome: Result<O, Box<Panic>>) -> O {
        outcome.unwrap_or_else(|panic| panic.resume())
    }
}

impl OnPanic for Catch {
    type Output<O> = Result<O, Panic>;

    fn output<O>(outcome: Result<O, Box<Panic>>) -> Result<O, Panic> {
        outcome.map_err(|panic| *panic)
    }
}
