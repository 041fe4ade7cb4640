//! Detects which panics ended a task.
//!
//! Tracked tasks catch their own panics, so those are exact. Panics of untracked tasks are seen by
//! one panic hook for the process, which asks tokio for the current runtime and task. Whether such
//! a panic ended the task or was caught inside it shows in its backtrace: the innermost frame
//! that catches panics is tokio's own, or it is not. Resolving a backtrace is slow, and done only
//! if a panic happened.
//!
//! When tokio drops the output of a task, the task's future is gone. The hook sees a panic of that
//! drop too, under the id of the task.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, Location, PanicHookInfo};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use backtrace::Backtrace;
use tokio::task;

use crate::leak::record::panic_places::PanicPlaces;
use crate::leak::record::panics::{Calls, Panicked};
use crate::leak::record::registry;
use crate::leak::record::session::Session;
use crate::leak::record::task::{Kind, Task};
use crate::mutex::lock;
use crate::panic::{Panic, PayloadId, message_of, observe_resumed};
use crate::schedule::steering;
use crate::trace::place::Place;

/// Whether the hook is installed: one of the constants below.
static INSTALLED: AtomicU8 = AtomicU8::new(ABSENT);
const ABSENT: u8 = 0;
/// A thread is installing it; others wait.
const PENDING: u8 = 1;
const PRESENT: u8 = 2;

/// The panic hook of straggler, which calls the previous hook too.
struct Hook {
    previous: Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>,
}

impl Hook {
    fn call(&self, info: &PanicHookInfo<'_>) {
        note(info.payload(), info.location());
        if !captured_quietly(info.payload(), info.location()) {
            (self.previous)(info);
        }
    }
}

/// `set_hook` drops the hook it replaces, so this notices a test that sets its own. A hook that
/// wraps ours keeps it alive, and ours still counts as installed.
impl Drop for Hook {
    fn drop(&mut self) {
        // Relaxed: the flag guards no other data.
        INSTALLED.store(ABSENT, Relaxed);
    }
}

/// Installs the panic hook, unless it is installed already. The previous hook is called too.
pub(crate) fn install_hook() {
    observe_resumed(note_resumed);
    // `set_hook` panics on a panicking thread. The next check installs it.
    if INSTALLED.load(Relaxed) != PRESENT && !thread::panicking() {
        install_now();
    }
}

#[cold]
fn install_now() {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = lock(&INSTALLING);
    if INSTALLED.load(Relaxed) != ABSENT {
        return;
    }
    INSTALLED.store(PENDING, Relaxed);
    let previous = panic::take_hook();
    let hook = Hook { previous };
    panic::set_hook(Box::new(move |info| hook.call(info)));
    // Fails if another thread has replaced, and so dropped, the hook meanwhile.
    _ = INSTALLED.compare_exchange(PENDING, PRESENT, Relaxed, Relaxed);
}

/// Which captured panics the previous hook does not print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    All,
    Some {
        /// Those with this message.
        message: Option<&'static str>,
        /// Those of an explored run that counts as nothing.
        discarded: bool,
    },
}

/// The panics of a thread during [`capture_panics`].
#[derive(Debug)]
pub(crate) struct Captured {
    quiet: Quiet,
    pub(crate) places: PanicPlaces,
    /// Whether the message of [`Quiet::Some`] came.
    pub(crate) has_message: bool,
}

thread_local! {
    static CAPTURE: RefCell<Option<Captured>> = const { RefCell::new(None) };
}

/// Calls `run`, and also returns the panics of this thread meanwhile. Captures nothing if the hook is
/// not installed.
pub(crate) fn capture_panics<R>(quiet: Quiet, run: impl FnOnce() -> R) -> (R, Captured) {
    struct EndsCapture(Option<Captured>);
    impl Drop for EndsCapture {
        fn drop(&mut self) {
            CAPTURE.set(self.0.take());
        }
    }

    let nothing = || Captured {
        quiet,
        places: PanicPlaces::default(),
        has_message: false,
    };
    // An explored run captures too, and may probe its tasks.
    let outer = CAPTURE.replace(Some(nothing()));
    let ends_capture = EndsCapture(outer);
    let outcome = run();
    let captured = CAPTURE.take();
    drop(ends_capture);
    (outcome, captured.unwrap_or_else(nothing))
}

/// Stores a panic if this thread captures panics, and returns whether to skip the previous hook.
fn captured_quietly(payload: &(dyn Any + Send), place: Option<&Location<'_>>) -> bool {
    let note = |captured: &RefCell<Option<Captured>>| {
        let mut captured = captured.try_borrow_mut().ok()?;
        let captured = captured.as_mut()?;
        if let Some(place) = place {
            let place = Place::from(place);
            captured.places.add(PayloadId::of(payload), place);
        }
        Some(match captured.quiet {
            Quiet::All => true,
            Quiet::Some { message, discarded } => {
                let is_expected =
                    message.is_some_and(|message| message_of(payload).as_deref() == Some(message));
                captured.has_message |= is_expected;
                is_expected || discarded && steering::is_discarded()
            }
        })
    };
    // On an ending thread the value may be destroyed already.
    CAPTURE.try_with(note).ok().flatten().unwrap_or(false)
}

/// Records a panic that straggler resumes. Hooks do not see it.
fn note_resumed(payload: &(dyn Any + Send)) {
    note(payload, None);
}

/// Records a panic of this thread, if it is inside a task of a watched runtime. The task may run
/// another runtime.
fn note(payload: &(dyn Any + Send), place: Option<&Location<'_>>) {
    let place = place.map(Place::from);
    let id = task::try_id();
    // A tracked task catches this panic itself, and then looks up its place. The body is no task: the check
    // catches its panic.
    let is_task = |task: &Arc<Task>| task.kind != Kind::Body && task.has_id(id);
    if let Some(task) = Task::current().filter(is_task) {
        if let Some(place) = place {
            lock(&task.panics).add(PayloadId::of(payload), place);
        }
        return;
    }
    let Some(id) = id else {
        return;
    };
    let panicked = |task, is_nested| Panicked {
        task,
        message: message_of(payload),
        place,
        calls: Some(Calls {
            backtrace: Backtrace::new_unresolved(),
            is_nested,
        }),
    };
    // Any thread may drop the handle of a finished task, and with it the output.
    if let Some((session, task)) = registry::find_finished(id) {
        session.note_panic(panicked(Some(task), false));
    } else if let Some(session) = Session::current() {
        session.note_panic(panicked(session.hooked(id), false));
    } else if let Some(session) = Session::of_thread() {
        session.note_panic(panicked(None, true));
    }
}

/// Returns the record of a panic that ended a tracked task.
pub(crate) fn of_tracked(task: &Arc<Task>, panic: &Panic) -> Panicked {
    Panicked {
        task: Some(Arc::clone(task)),
        message: panic.message().map(str::to_owned),
        place: lock(&task.panics).find(panic.payload_id()),
        calls: None,
    }
}
