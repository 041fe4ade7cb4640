//! Who was woken: a waker for each child, and the queue of the woken ones, in the order of their
//! wakes.
//!
//! # Invariants
//!
//! 1. A child is queued at most once: a wake pushes it only if it finds `queued` unset, and sets
//!    it. The flag is unset just before a poll, so that a wake during the poll is kept, and set
//!    for good when the child has ended.
//! 2. Whenever the queue goes from empty to not empty, the parent is woken, so that a poll which
//!    found the queue empty loses no wake. One wake of the parent serves all that follow.
//! 3. No foreign waker is called, cloned or dropped while the lock is held: each may call back.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The wakers of the children and the queue that they push to.
#[derive(Debug)]
pub(super) struct WakeQueue {
    shared: Arc<Shared>,
    /// The parent's waker as it was handed to `shared`, to see whether a poll brings another.
    parent: Option<Arc<Waker>>,
    children: Vec<Option<Child>>,
}

/// What the engine keeps of one child between its first poll and its end.
#[derive(Debug)]
struct Child {
    entry: Arc<Entry>,
    /// Made once, so that a poll costs no reference count.
    waker: Waker,
}

/// How many owners an entry has when no waker is held outside of the engine: both fields of
/// [`Child`].
const OWN_REFERENCES: usize = 2;

/// The wake side of one child. Lives as long as the last of its wakers.
#[derive(Debug)]
struct Entry {
    index: usize,
    /// Whether the child waits to be polled, or has ended. Every change is a read-modify-write
    /// that acquires and releases: so a poll sees all that was done before any wake it answers,
    /// also before those that found the flag set.
    queued: AtomicBool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    parent: Option<Arc<Waker>>,
    queue: Vec<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let parent = {
            let mut state = self.shared.lock();
            state.queue.push(self.index);
            if state.queue.len() > 1 {
                return;
            }
            state.parent.clone()
        };
        if let Some(parent) = parent {
            parent.wake_by_ref();
        }
    }
}

impl WakeQueue {
    /// Makes the queue of `len` children, of which none has a waker yet.
    pub(super) fn new(len: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    parent: None,
                    queue: Vec::new(),
                }),
            }),
            parent: None,
            children: (0..len).map(|_| None).collect(),
        }
    }

    /// Says whom the next wake of a child has to wake.
    pub(super) fn register(&mut self, parent: &Waker) {
        if self
            .parent
            .as_ref()
            .is_some_and(|old| old.will_wake(parent))
        {
            return;
        }
        let new = Arc::new(parent.clone());
        let old = self.shared.lock().parent.replace(Arc::clone(&new));
        self.parent = Some(new);
        drop(old);
    }

    /// Takes the woken children, in the order of their wakes. One that has ended since may be among
    /// them.
    pub(super) fn take(&mut self) -> Vec<usize> {
        mem::take(&mut self.shared.lock().queue)
    }

    /// Returns the waker for a poll of child `index`; from here on a wake of it is a new one.
    pub(super) fn begin_poll(&mut self, index: usize) -> &Waker {
        let shared = &self.shared;
        let child = self.children[index].get_or_insert_with(|| {
            let entry = Arc::new(Entry {
                index,
                queued: AtomicBool::new(true),
                shared: Arc::clone(shared),
            });
            Child {
                waker: Waker::from(Arc::clone(&entry)),
                entry,
            }
        });
        child.entry.queued.swap(false, Ordering::AcqRel);
        &child.waker
    }

    /// Whether child `index` was woken since its last poll began.
    pub(super) fn is_woken(&self, index: usize) -> bool {
        self.children[index]
            .as_ref()
            .is_some_and(|child| child.entry.queued.load(Ordering::Acquire))
    }

    /// Whether anything outside of the engine holds a waker of child `index`.
    pub(super) fn is_held(&self, index: usize) -> bool {
        self.children[index].as_ref().is_some_and(|child| {
            let owners = Arc::strong_count(&child.entry);
            // The count is read without ordering. The fence makes what the last owner did before
            // it let go, a wake above all, visible to whoever asks next.
            fence(Ordering::Acquire);
            owners > OWN_REFERENCES
        })
    }

    /// Lets go of child `index`, which has ended: further wakes of it do nothing.
    pub(super) fn retire(&mut self, index: usize) {
        if let Some(child) = self.children[index].take() {
            child.entry.queued.swap(true, Ordering::AcqRel);
        }
    }
}

impl Drop for WakeQueue {
    fn drop(&mut self) {
        // Wakers may outlive the combinator: they must find nobody to wake.
        let parent = self.shared.lock().parent.take();
        drop(parent);
    }
}
