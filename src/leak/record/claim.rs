//! Which side handles the panics of a task: the combinator that takes its result, or the check.
//!
//! A combinator resumes or returns a task's panic, so the check must not report it too. If the
//! combinator is dropped first, nothing else would show the panic, and the check takes over.

use std::mem;
use std::sync::{Arc, Mutex, Weak};

use crate::leak::record::panics::Panicked;
use crate::leak::record::session::Session;
use crate::mutex::lock;

/// The task's side of a [`Claim`].
#[derive(Debug)]
pub(crate) struct Claimed(Arc<Mutex<Claimant>>);

#[derive(Debug)]
enum Claimant {
    /// A combinator will take the result, and with it the panic.
    Combinator {
        /// The panics so far, for the check in case the combinator is dropped.
        panics: Vec<Panicked>,
    },
    /// The combinator was dropped, or has the result.
    Check,
}

/// A combinator's promise to take the result of a task.
///
/// Dropping it unfulfilled hands all panics of the task to the check, past and future.
#[derive(Debug)]
pub(crate) struct Claim {
    claimant: Arc<Mutex<Claimant>>,
    /// Weak, since a combinator may outlive the check.
    session: Weak<Session>,
}

impl Claim {
    /// Claims the result of a task before it is spawned.
    pub(crate) fn new(session: &Arc<Session>) -> (Claimed, Self) {
        let claimant = Arc::new(Mutex::new(Claimant::Combinator { panics: Vec::new() }));
        let claimed = Claimed(Arc::clone(&claimant));
        let session = Arc::downgrade(session);
        (claimed, Self { claimant, session })
    }

    /// Records that the combinator has the result, and with it every panic of the ended task.
    pub(crate) fn fulfil(self) {
        // Dropped only after the lock is released: the last reference to a task drops its waker, which
        // is foreign code.
        let handled = mem::replace(&mut *lock(&self.claimant), Claimant::Check);
        drop(handled);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let claimant = mem::replace(&mut *lock(&self.claimant), Claimant::Check);
        let (Claimant::Combinator { panics }, Some(session)) = (claimant, self.session.upgrade())
        else {
            return;
        };
        for panicked in panics {
            session.note_panic(panicked);
        }
    }
}

impl Claimed {
    /// Records a panic of the task with whichever side handles it.
    pub(crate) fn note_panic(&self, session: &Session, panicked: Panicked) {
        if let Claimant::Combinator { panics } = &mut *lock(&self.0) {
            panics.push(panicked);
            return;
        }
        session.note_panic(panicked);
    }
}
