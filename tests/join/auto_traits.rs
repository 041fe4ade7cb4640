//! `Send`, `Sync`, `Unpin`, `UnwindSafe`, `Debug` and `Error` of the public types of joins. A test
//! that compiles has passed.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::future::Ready;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "tokio")]
use straggler::JoinedError;
use straggler::future::{Barrier, Catch, CatchUnwind, Deadline, Resume, SettleAll, Together};
#[cfg(feature = "tokio")]
use straggler::future::{Joined, Spawned};
use straggler::{AggregateError, Panic, Pending, Settled, Unsettled, barrier, settle, settle_all};

fn send_sync<T: Send + Sync>() {}
fn send<T: Send>(_: T) {}
fn unpin<T: Unpin>() {}
fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn debug<T: Debug>() {}
fn error<T: Error + Send + Sync + 'static>() {}

/// An `!Unpin` future with an `!Unpin` output.
struct Fixed(PhantomPinned);

impl Future for Fixed {
    type Output = PhantomPinned;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<PhantomPinned> {
        Poll::Ready(self.0)
    }
}

/// A future and its output, neither of which implements `Debug`.
type Opaque = Ready<Hidden>;
struct Hidden;

#[test]
fn joins_are_send_and_sync() {
    send_sync::<SettleAll<Ready<u8>>>();
    send_sync::<CatchUnwind<Ready<u8>>>();
    send_sync::<Barrier<Ready<Result<u8, u8>>>>();
    send_sync::<Deadline<Ready<u8>, Ready<()>>>();
    send_sync::<Deadline<Ready<u8>, Ready<()>, Catch>>();
    send_sync::<(Catch, Resume)>();

    // A join of `Send` futures is `Send`, even if the futures are not `Sync`.
    let not_sync = || async { Cell::new(0).get() };
    send(settle_all([not_sync()]));
    send(settle_all([not_sync()]).catch_unwind().deadline(not_sync()));
    send(async move { settle!(not_sync(), not_sync()) });
    send(async move { barrier!(async { Ok::<_, u8>(not_sync().await) }) });
}

#[test]
fn joins_are_unpin() {
    unpin::<SettleAll<Fixed>>();
    unpin::<CatchUnwind<Fixed>>();
    unpin::<Barrier<Fixed>>();
    unpin::<Deadline<Fixed, Ready<()>>>();
}

#[test]
fn joins_are_unwind_safe() {
    unwind_safe::<SettleAll<Ready<u8>>>();
    unwind_safe::<CatchUnwind<Ready<u8>>>();
    unwind_safe::<Barrier<Ready<Result<u8, u8>>>>();
    unwind_safe::<Deadline<Ready<u8>, Ready<()>>>();
}

#[test]
fn joins_are_debug() {
    debug::<SettleAll<Opaque>>();
    debug::<CatchUnwind<Opaque>>();
    debug::<Barrier<Opaque>>();
    debug::<Deadline<Opaque, Opaque>>();
}

#[test]
fn results_inherit_auto_traits() {
    send_sync::<Settled<u8>>();
    send_sync::<Settled<Result<u8, Panic>>>();
    send_sync::<AggregateError<u8>>();
    send_sync::<Unsettled<u8>>();
    send_sync::<Pending>();
    send_sync::<Panic>();

    unpin::<(
        Settled<u8>,
        AggregateError<u8>,
        Unsettled<u8>,
        Pending,
        Panic,
    )>();

    unwind_safe::<Settled<u8>>();
    unwind_safe::<AggregateError<u8>>();
    unwind_safe::<Unsettled<u8>>();
    unwind_safe::<Pending>();
    unwind_safe::<Panic>();
}

#[test]
fn failures_are_errors() {
    error::<AggregateError<std::num::ParseIntError>>();
    error::<Unsettled<Result<u8, Panic>>>();
    error::<Panic>();
}

#[cfg(feature = "tokio")]
#[test]
fn task_joins_inherit_auto_traits() {
    send_sync::<SettleAll<Spawned<Ready<u8>>>>();
    send_sync::<Joined<u8, u8>>();
    send_sync::<JoinedError<u8>>();

    // A task needs `Send` but not `Sync`, and so does its handle.
    let not_sync = || async { Cell::new(0).get() };
    send(settle_all([not_sync()]).spawned());
    send(settle_all([not_sync()]).catch_unwind().spawned());
    send_sync::<Joined<Cell<u8>, Cell<u8>>>();

    unpin::<Spawned<Fixed>>();
    unpin::<Joined<PhantomPinned, PhantomPinned>>();
    unpin::<JoinedError<u8>>();

    unwind_safe::<SettleAll<Spawned<Ready<u8>>>>();
    unwind_safe::<Joined<u8, u8>>();
    unwind_safe::<JoinedError<u8>>();

    debug::<SettleAll<Spawned<Opaque>>>();
    debug::<Spawned<Opaque>>();
    debug::<Joined<Hidden, Hidden>>();

    error::<JoinedError<std::num::ParseIntError>>();
}

#[test]
fn start_together_inherits_auto_traits() {
    send_sync::<SettleAll<Together<Ready<u8>>>>();
    unpin::<SettleAll<Together<Fixed>>>();
    unwind_safe::<SettleAll<Together<Ready<u8>>>>();
    debug::<SettleAll<Together<Opaque>>>();
    debug::<Together<Opaque>>();
    let not_sync = || async { Cell::new(0).get() };
    send(settle_all([not_sync()]).start_together());
}
