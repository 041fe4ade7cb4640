// The README's samples use `timeout`.
#![cfg_attr(feature = "tokio", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "tokio"),
    doc = "Makes concurrent tests tell the truth. This is the part that needs no runtime."
)]
#![doc(test(no_crate_inject, attr(deny(warnings))))]

mod aggregate_error;
mod barrier;
mod children;
mod contain;
mod deadline;
mod join_macros;
mod names;
mod on_panic;
mod panic;
mod report;
mod settle;
mod settled;
mod turn;
mod unsettled;

pub use self::aggregate_error::AggregateError;
pub use self::barrier::{Barrier, barrier};
pub use self::deadline::Deadline;
pub use self::on_panic::{Catch, OnPanic, Resume};
pub use self::panic::Panic;
pub use self::settle::{CatchUnwind, SettleAll, settle_all};
pub use self::settled::Settled;
pub use self::unsettled::{Straggler, Unsettled};

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::children::{End, Holds, Link, Links, Row, Seat, Slot, Slots};
    pub use crate::join_macros::{
        BarrierRow, Errors, Outputs, Results, SettleRow, barrier, settle, slot,
    };
}
