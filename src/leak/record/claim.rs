//! Who answers for the panics of a task: a combinator that is to take its result, or else the check.

use std::mem;
use std::sync::{Arc, Mutex, Weak};

use crate::leak::record::panics::Panicked;
use crate::leak::record::session::Session;
use crate::mutex::lock;

/// The panics of a task whose result a combinator is to take, as the task knows them.
#[derive(Debug)]
pub(crate) struct Claimed(Arc<Mutex<Claimant>>);

#[derive(Debug)]
enum Claimant {
    /// The combinator, which has yet to take the result. It goes on with the panic then, or returns it.
    Combinator {
        /// What it has to answer for so far.
        panics: Vec<Panicked>,
    },
    /// The combinator is gone, and would have the panic go unseen.
    Check,
}

/// A combinator's promise to take the result of a task. One that is dropped without leaves the panics
/// of the task to the check, also those that are yet to come.
#[derive(Debug)]
pub(crate) struct Claim {
    claimant: Arc<Mutex<Claimant>>,
    /// Weak, since a combinator may be kept for longer than anybody watches.
    session: Weak<Session>,
}

impl Claim {
    /// Claims the result of a task that is about to be spawned.
    pub(crate) fn new(session: &Arc<Session>) -> (Claimed, Self) {
        let claimant = Arc::new(Mutex::new(Claimant::Combinator { panics: Vec::new() }));
        let claimed = Claimed(Arc::clone(&claimant));
        let session = Arc::downgrade(session);
        (claimed, Self { claimant, session })
    }

    /// Notes that the combinator has the result of the task, which has ended.
    pub(crate) fn fulfil(self) {
        // It answers for all of them: nothing more comes of a task that has ended.
        let answered = mem::replace(&mut *lock(&self.claimant), Claimant::Check);
        drop(answered);
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
    /// Notes that the task panicked.
    pub(crate) fn note_panic(&self, session: &Session, panicked: Panicked) {
        if let Claimant::Combinator { panics } = &mut *lock(&self.0) {
            panics.push(panicked);
            return;
        }
        session.note_panic(panicked);
    }
}
