//! Which task ended by a panic.
//!
//! Tracked tasks see their own panics, exactly. Those of all others are seen by a hook for panics,
//! one for the process, which asks tokio for the runtime and the task that the thread is in. Whether
//! such a panic ended the task or was caught inside of it, its backtrace tells: the innermost call
//! that catches panics is tokio's own, or it is not. That takes time, and is looked at only where
//! there was a panic at all.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, Location, PanicHookInfo};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use backtrace::Backtrace;
use tokio::task;

use crate::leak::record::panics::Panicked;
use crate::leak::record::session::Session;
use crate::leak::record::task::Task;
use crate::mutex::lock;
use crate::panic::{Panic, message_of, observe_resumed};
use crate::trace::place::Place;

thread_local! {
    /// The message and the place of this thread's last panic in a tracked task.
    static LAST: RefCell<Option<(Option<String>, Place)>> = const { RefCell::new(None) };
}

/// Whether the hook is installed: one of the values below.
static INSTALLED: AtomicU8 = AtomicU8::new(ABSENT);
const ABSENT: u8 = 0;
/// It is about to be: who needs it waits.
const COMING: u8 = 1;
const PRESENT: u8 = 2;

/// What is called when a thread panics, in place of the hook that was there before.
struct Hook {
    before: Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>,
}

impl Hook {
    fn call(&self, info: &PanicHookInfo<'_>) {
        note(message_of(info.payload()), info.location());
        if !captured_quietly(message_of(info.payload()), info.location()) {
            (self.before)(info);
        }
    }
}

/// The standard library drops a hook that somebody replaces, as a test does that sets one of its own.
/// One that is taken and called by another is kept, and so is still installed.
impl Drop for Hook {
    fn drop(&mut self) {
        // Nothing but this flag is looked at by who reads it.
        INSTALLED.store(ABSENT, Relaxed);
    }
}

/// Has all panics of the process seen from here on, until somebody throws the hook away. The hook that
/// was there before is called too.
pub(crate) fn install_hook() {
    observe_resumed(note_resumed);
    // A thread that panics may not change the hook. The next check will.
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
    INSTALLED.store(COMING, Relaxed);
    let before = panic::take_hook();
    let hook = Hook { before };
    panic::set_hook(Box::new(move |info| hook.call(info)));
    // Unless another thread has thrown it away meanwhile.
    _ = INSTALLED.compare_exchange(COMING, PRESENT, Relaxed, Relaxed);
}

/// The message of a panic, if it has one, and its place.
type Captured = (Option<String>, Place);

/// What is heard of the panics of this thread.
#[derive(Debug, Default)]
struct Capture {
    is_quiet: bool,
    last: Option<Captured>,
}

thread_local! {
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
}

/// Returns also the last panic of this thread while `run` ran, if the hook is installed. If `is_quiet`
/// the hook that was there before is not called.
pub(crate) fn capture_panics<R>(is_quiet: bool, run: impl FnOnce() -> R) -> (R, Option<Captured>) {
    struct EndsCapture;
    impl Drop for EndsCapture {
        fn drop(&mut self) {
            CAPTURE.set(None);
        }
    }

    let last = None;
    CAPTURE.set(Some(Capture { is_quiet, last }));
    let ends_capture = EndsCapture;
    let outcome = run();
    let last = CAPTURE.take().and_then(|capture| capture.last);
    drop(ends_capture);
    (outcome, last)
}

/// Notes a panic of this thread if somebody ends it, and returns whether nobody else is to.
fn captured_quietly(message: Option<String>, place: Option<&Location<'_>>) -> bool {
    let note = |capture: &RefCell<Option<Capture>>| {
        let mut capture = capture.try_borrow_mut().ok()?;
        let capture = capture.as_mut()?;
        capture.last = place.map(|place| (message, Place::from(place)));
        Some(capture.is_quiet)
    };
    // The thread may be at its end, and the value gone.
    CAPTURE.try_with(note).ok().flatten().unwrap_or(false)
}

/// Notes that a panic that was contained goes on, which no hook sees.
fn note_resumed(payload: &(dyn Any + Send)) {
    note(message_of(payload), None);
}

/// Notes that this thread panics, if it does so in a task of a runtime that is watched, or in a runtime
/// that such a task made for itself.
fn note(message: Option<String>, place: Option<&Location<'_>>) {
    // The body of a test is no task.
    let Some(id) = task::try_id() else {
        return;
    };
    let Some(session) = Session::of_thread() else {
        return;
    };
    let place = place.map(Place::from);
    if Task::current().is_some_and(|task| task.has_id(Some(id))) {
        if let Some(place) = place {
            // The thread may be at its end, and the value gone.
            _ = LAST.try_with(|last| last.replace(Some((message, place))));
        }
        return;
    }
    session.note_panic(Panicked {
        task: session.hooked(id),
        message,
        place,
        calls: Some(Backtrace::new_unresolved()),
    });
}

/// The record of a panic that came out of a tracked task.
pub(crate) fn of_tracked(task: &Arc<Task>, panic: &Panic) -> Panicked {
    let message = panic.message().map(str::to_owned);
    let last = LAST.try_with(RefCell::take).ok().flatten();
    let same = last.filter(|(of_last, _)| *of_last == message);
    Panicked {
        task: Some(Arc::clone(task)),
        message,
        place: same.map(|(_, place)| place),
        calls: None,
    }
}
