//! `Send`, `Sync`, `Unpin`, `UnwindSafe`, `Debug` and `Error` of the public types of locks and
//! rendezvous. A test that compiles has passed.

#[cfg(feature = "tokio")]
use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};

use straggler::future::{Arrival, Waiting};
#[cfg(feature = "tokio")]
use straggler::leak::{Acquisition, LockState};
use straggler::{Broken, Participant, Rendezvous};
#[cfg(feature = "tokio")]
use straggler::{Lock, LockGuard, settle_all};

fn send_sync<T: Send + Sync>() {}
#[cfg(feature = "tokio")]
fn send<T: Send>(_: T) {}
fn unpin<T: Unpin>() {}
fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn debug<T: Debug>() {}
fn error<T: Error + Send + Sync + 'static>() {}

#[test]
fn rendezvous_types_cross_threads() {
    send_sync::<(Rendezvous, Participant, Waiting<'_>)>();
    send_sync::<(Arrival, Broken)>();
    unpin::<(Rendezvous, Participant, Waiting<'_>, Broken)>();
    unwind_safe::<(Rendezvous, Participant, Arrival, Broken)>();
    debug::<(Rendezvous, Participant, Waiting<'_>, Arrival)>();
    error::<Broken>();
}

#[cfg(feature = "tokio")]
#[test]
fn lock_types_cross_threads() {
    static LOCK: Lock = Lock::new();

    send_sync::<(Lock, LockGuard<'_>, Acquisition)>();
    send_sync::<(LockState, Acquisition)>();
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
