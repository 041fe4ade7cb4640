//! What becomes of a panic in one of the futures of a [`SettleAll`](crate::future::SettleAll).

use crate::panic::Panic;

/// Says what becomes of a panic in one of the futures of a [`SettleAll`](crate::future::SettleAll).
pub trait OnPanic: sealed::Sealed {
    /// What is kept of a future that returned an `O`.
    type Output<O>;

    /// Makes the output of a future. A panic that is not turned into an output goes on.
    #[doc(hidden)]
    fn output<O>(outcome: Result<O, Box<Panic>>) -> Self::Output<O>;
}

/// Lets the first panic go on when all futures have settled, as [`settle_all`](crate::settle_all) does.
#[derive(Clone, Copy, Debug)]
pub enum Resume {}

/// Keeps panics as values, as [`SettleAll::catch_unwind`](crate::future::SettleAll::catch_unwind) asks for.
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
