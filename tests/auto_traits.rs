//! Which public types may cross threads, be moved when pinned, and be looked at after a panic.
//! Whatever compiles here has passed.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::future::Ready;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use straggler::future::{
    Arrival, Barrier, Catch, CatchUnwind, Deadline, Resume, SettleAll, Together, Waiting,
};
#[cfg(feature = "tokio")]
use straggler::future::{Joined, Spawned};
#[cfg(feature = "tokio")]
use straggler::leak::{Acquisition, LockState};
use straggler::{
    AggregateError, Broken, Panic, Participant, Pending, Rendezvous, Settled, Unsettled, barrier,
    settle, settle_all,
};
#[cfg(feature = "tokio")]
use straggler::{JoinedError, Lock, LockGuard};

fn send_sync<T: Send + Sync>() {}
fn send<T: Send>(_: T) {}
fn unpin<T: Unpin>() {}
fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn debug<T: Debug>() {}
fn error<T: Error + Send + Sync + 'static>() {}

/// A future that must not be moved, with an output that must not either.
struct Fixed(PhantomPinned);

impl Future for Fixed {
    type Output = PhantomPinned;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<PhantomPinned> {
        Poll::Ready(self.0)
    }
}

/// A future, and an output, of which neither can be shown.
type Opaque = Ready<Hidden>;
struct Hidden;

#[test]
fn combinators_cross_threads_if_their_futures_do() {
    send_sync::<SettleAll<Ready<u8>>>();
    send_sync::<CatchUnwind<Ready<u8>>>();
    send_sync::<Barrier<Ready<Result<u8, u8>>>>();
    send_sync::<Deadline<Ready<u8>, Ready<()>>>();
    send_sync::<Deadline<Ready<u8>, Ready<()>, Catch>>();
    send_sync::<(Catch, Resume)>();

    // `Send` is all that is needed to be sent: these futures are not `Sync`.
    let not_sync = || async { Cell::new(0).get() };
    send(settle_all([not_sync()]));
    send(settle_all([not_sync()]).catch_unwind().deadline(not_sync()));
    send(async move { settle!(not_sync(), not_sync()) });
    send(async move { barrier!(async { Ok::<_, u8>(not_sync().await) }) });
}

#[test]
fn combinators_can_be_moved_whatever_their_futures_are() {
    unpin::<SettleAll<Fixed>>();
    unpin::<CatchUnwind<Fixed>>();
    unpin::<Barrier<Fixed>>();
    unpin::<Deadline<Fixed, Ready<()>>>();
}

#[test]
fn combinators_are_unwind_safe_if_their_futures_are() {
    unwind_safe::<SettleAll<Ready<u8>>>();
    unwind_safe::<CatchUnwind<Ready<u8>>>();
    unwind_safe::<Barrier<Ready<Result<u8, u8>>>>();
    unwind_safe::<Deadline<Ready<u8>, Ready<()>>>();
}

#[test]
fn combinators_can_be_shown_whatever_their_futures_are() {
    debug::<SettleAll<Opaque>>();
    debug::<CatchUnwind<Opaque>>();
    debug::<Barrier<Opaque>>();
    debug::<Deadline<Opaque, Opaque>>();
}

#[test]
fn what_comes_out_is_as_free_as_the_outputs() {
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
fn what_went_wrong_is_an_error() {
    error::<AggregateError<std::num::ParseIntError>>();
    error::<Unsettled<Result<u8, Panic>>>();
    error::<Panic>();
}

#[cfg(feature = "tokio")]
#[test]
fn what_waits_for_tasks_is_as_free_as_what_it_is_made_of() {
    send_sync::<SettleAll<Spawned<Ready<u8>>>>();
    send_sync::<Joined<u8, u8>>();
    send_sync::<JoinedError<u8>>();

    // A task needs `Send` alone, and so does what waits for it.
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
fn what_meets_crosses_threads() {
    send_sync::<(Rendezvous, Participant, Waiting<'_>)>();
    send_sync::<(Arrival, Broken)>();
    unpin::<(Rendezvous, Participant, Waiting<'_>, Broken)>();
    unwind_safe::<(Rendezvous, Participant, Arrival, Broken)>();
    debug::<(Rendezvous, Participant, Waiting<'_>, Arrival)>();
    error::<Broken>();
}

#[test]
fn what_starts_together_is_as_free_as_its_futures() {
    send_sync::<SettleAll<Together<Ready<u8>>>>();
    unpin::<SettleAll<Together<Fixed>>>();
    unwind_safe::<SettleAll<Together<Ready<u8>>>>();
    debug::<SettleAll<Together<Opaque>>>();
    debug::<Together<Opaque>>();
    let not_sync = || async { Cell::new(0).get() };
    send(settle_all([not_sync()]).start_together());
}

#[cfg(feature = "tokio")]
#[test]
fn locks_and_guards_cross_threads() {
    static LOCK: Lock = Lock::new();

    send_sync::<(Lock, LockGuard<'_>, Acquisition)>();
    send_sync::<LockState>();
    unpin::<(Lock, LockGuard<'_>, Acquisition)>();
    unwind_safe::<(Lock, LockGuard<'_>, Acquisition)>();
    debug::<(Lock, LockGuard<'_>, Acquisition)>();
    let acquiring = LOCK.acquire();
    send(&acquiring);
    send(acquiring);
    send(
        settle_all([async { Cell::new(0).get() }])
            .start_together()
            .spawned(),
    );
}
