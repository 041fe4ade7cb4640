//! Scheduling points in tokio: its operations ask straggler before they begin.
//!
//! Every operation of tokio first calls the private function `trace_leaf`, which does nothing unless
//! tokio is built for task dumps. Here it calls a hook, by which the explorer makes an operation yield.
//! Others tell when timers fire, that a message was received, and what no schedule decides, and draw in place of
//! tokio's random numbers.

use crate::injection::folder::Folder;

/// The file that is added to tokio.
pub(crate) const MODULE_FILE: &str = "src/straggler.rs";

/// What is in the file.
const MODULE: &str = "\
//! Scheduling points. Straggler sets the hooks, by which a schedule can yield before an operation.

#![allow(dead_code, reason = \"some versions of tokio have no place for one of the hooks\")]

use std::cell::Cell;
use std::sync::OnceLock;
use std::task::{Context, Poll};

/// What tokio calls.
#[derive(Debug)]
pub struct Hooks {
    /// Called before an operation, on a thread that asks. `Pending` makes it yield.
    pub before_operation: fn(&mut Context<'_>) -> Poll<()>,
    /// Called when a timer is polled: when it fires.
    pub sleeps_until: fn(crate::time::Instant),
    /// Called around an operation that has asked for its budget before: whether it begins.
    pub charged: fn(bool),
    /// Called when a message was taken from a channel.
    pub received: fn(),
    /// Called for what runs outside of tasks: what it is.
    pub outside: fn(&'static str),
    /// Called by a `select!` with the number of its branches: which one it polls first. `None` draws it.
    pub first_branch: fn(u32) -> Option<u32>,
    /// Called before other random numbers are drawn: whether they are all 0.
    pub draws_nothing: fn() -> bool,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Sets the hooks of this process. Only the first call has an effect.
pub fn set_hooks(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

std::thread_local! {
    /// Whether this thread asks before its operations. Those of a test that is not explored pay for the look.
    pub static ASKS: Cell<bool> = const { Cell::new(false) };
}

#[inline]
pub(crate) fn before_operation(context: &mut Context<'_>) -> Poll<()> {
    if !ASKS.get() {
        return Poll::Ready(());
    }
    let hooks = HOOKS.get();
    hooks.map_or(Poll::Ready(()), |hooks| (hooks.before_operation)(context))
}

#[inline]
pub(crate) fn sleeps_until(deadline: crate::time::Instant) {
    if let Some(hooks) = HOOKS.get() {
        (hooks.sleeps_until)(deadline);
    }
}

#[inline]
pub(crate) fn charged(begins: bool) {
    if let Some(hooks) = HOOKS.get() {
        (hooks.charged)(begins);
    }
}

#[inline]
pub(crate) fn received() {
    if let Some(hooks) = HOOKS.get() {
        (hooks.received)();
    }
}

#[inline]
pub(crate) fn outside(what: &'static str) {
    if let Some(hooks) = HOOKS.get() {
        (hooks.outside)(what);
    }
}

#[inline]
pub(crate) fn first_branch(branches: u32) -> Option<u32> {
    HOOKS.get().and_then(|hooks| (hooks.first_branch)(branches))
}

#[inline]
pub(crate) fn draws_nothing() -> bool {
    HOOKS.get().is_some_and(|hooks| (hooks.draws_nothing)())
}
";

/// Each edit keeps the numbers of the lines, for places in reports.
const EDITS: [Edit; 4] = [
    Edit {
        file: "src/lib.rs",
        known: "fn trace_leaf(_: &mut std::task::Context<'_>) -> std::task::Poll<()> {\n            std::task::Poll::Ready(())",
        instead: "fn trace_leaf(context: &mut std::task::Context<'_>) -> std::task::Poll<()> {\n            crate::__straggler::before_operation(context)",
        times: 1,
    },
    // `Notified` and `OwnedNotified` call it only after they have waited.
    Edit {
        file: "src/sync/notify.rs",
        known: "self.poll_notified(Some(cx",
        instead: "std::task::ready!(crate::trace::trace_leaf(cx)); self.poll_notified(Some(cx",
        times: 2,
    },
    Edit {
        file: "src/runtime/io/registration.rs",
        known: "let shared = handle.driver().io().add_source(io, interest)?;",
        instead: "crate::__straggler::outside(\"a socket, pipe or process\"); let shared = handle.driver().io().add_source(io, interest)?;",
        times: 1,
    },
    Edit {
        file: "src/runtime/blocking/pool.rs",
        known: "let id = task::Id::next();\n        let fut =",
        instead: "crate::__straggler::outside(\"blocking work, such as a file\"); let id = task::Id::next();\n        let fut =",
        times: 1,
    },
];

/// Scheduling points do not need these. Each is made if its text is known.
const OPTIONAL: [Edit; 8] = [
    TIMER,
    CHARGED,
    RECEIVED[0],
    RECEIVED[1],
    RECEIVED[2],
    RECEIVED[3],
    SELECT,
    DRAWS,
];

/// `watch` and `broadcast` ask for budget before they call `trace_leaf`.
const CHARGED: Edit = Edit {
    file: "src/task/coop/mod.rs",
    known: "if let Poll::Ready(ret) = me.fut.poll(cx) {",
    instead: "crate::__straggler::charged(true); let polled = me.fut.poll(cx); crate::__straggler::charged(false); if let Poll::Ready(ret) = polled {",
    times: 1,
};

const TIMER: Edit = Edit {
    file: "src/time/sleep.rs",
    known: "fn poll_elapsed(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Result<(), Error>> {",
    instead: "fn poll_elapsed(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Result<(), Error>> { crate::__straggler::sleeps_until(self.deadline());",
    times: 1,
};

const SELECT: Edit = Edit {
    file: "src/macros/support.rs",
    known: "crate::runtime::context::thread_rng_n(n)",
    instead: "crate::__straggler::first_branch(n).unwrap_or_else(|| crate::runtime::context::thread_rng_n(n))",
    times: 1,
};

const DRAWS: Edit = Edit {
    file: "src/runtime/context.rs",
    known: "pub(crate) fn thread_rng_n(n: u32) -> u32 {",
    instead: "pub(crate) fn thread_rng_n(n: u32) -> u32 { if crate::__straggler::draws_nothing() { return 0; }",
    times: 1,
};

const RECEIVED: [Edit; 4] = [
    Edit {
        file: "src/sync/mpsc/chan.rs",
        known: "return Ready(Some(value));",
        instead: "crate::__straggler::received(); return Ready(Some(value));",
        times: 1,
    },
    // `recv_many`.
    Edit {
        file: "src/sync/mpsc/chan.rs",
        known: "self.inner.semaphore.add_permits(number_added);",
        instead: "crate::__straggler::received(); self.inner.semaphore.add_permits(number_added);",
        times: 2,
    },
    Edit {
        file: "src/sync/oneshot.rs",
        known: "Some(value) => Ready(Ok(value)),",
        instead: "Some(value) => { crate::__straggler::received(); Ready(Ok(value)) }",
        times: 3,
    },
    Edit {
        file: "src/sync/broadcast.rs",
        known: "Poll::Ready(guard.clone_value().ok_or(RecvError::Closed))",
        instead: "crate::__straggler::received(); Poll::Ready(guard.clone_value().ok_or(RecvError::Closed))",
        times: 1,
    },
];

#[derive(Clone, Copy)]
struct Edit {
    file: &'static str,
    known: &'static str,
    instead: &'static str,
    times: usize,
}

impl Edit {
    /// The file and its new text, if the old one is known.
    fn make(&self, tokio: &Folder) -> Option<(&'static str, String)> {
        let text = tokio.text(self.file)?;
        let is_known = text.matches(self.known).count() == self.times;
        is_known.then(|| (self.file, text.replace(self.known, self.instead)))
    }
}

/// Adds scheduling points to the sources of tokio, unless this version of it is built in another way.
pub(crate) fn instrument(tokio: &mut Folder) -> bool {
    let edited: Option<Vec<_>> = EDITS.iter().map(|edit| edit.make(tokio)).collect();
    let Some(edited) = edited else {
        return false;
    };
    for (file, text) in edited {
        tokio.set(file, &text);
    }
    // One after the other: two are in the same file.
    for edit in OPTIONAL {
        if let Some((file, text)) = edit.make(tokio) {
            tokio.set(file, &text);
        }
    }
    let library = tokio.text("src/lib.rs").unwrap_or_default();
    let module = "#[doc(hidden)]\n#[path = \"straggler.rs\"]\npub mod __straggler;\n";
    let library = format!("{library}\n{module}");
    tokio.set("src/lib.rs", &library);
    tokio.set(MODULE_FILE, &MODULE);
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{EDITS, MODULE_FILE, OPTIONAL, RECEIVED, instrument};
    use crate::injection::folder::Folder;

    fn known() -> Folder {
        let mut tokio = Folder::default();
        for edit in &EDITS {
            tokio.set(edit.file, &edit.known.repeat(edit.times));
        }
        tokio
    }

    #[test]
    fn known_tokio_gets_scheduling_points() {
        let mut tokio = known();
        assert!(instrument(&mut tokio));
        let library = tokio.text("src/lib.rs").unwrap();
        assert!(library.contains("before_operation(context)"), "{library}");
        assert!(library.contains("pub mod __straggler;"), "{library}");
        assert!(tokio.text(MODULE_FILE).is_some());
    }

    #[test]
    fn points_do_not_need_optional_edits() {
        let mut tokio = known();
        assert!(instrument(&mut tokio));
        for edit in &OPTIONAL {
            assert!(tokio.text(edit.file).is_none());
        }
        for edit in &OPTIONAL {
            let mut tokio = known();
            tokio.set(edit.file, &edit.known.repeat(edit.times));
            assert!(instrument(&mut tokio));
            let edited = edit.instead.repeat(edit.times);
            assert_eq!(tokio.text(edit.file), Some(&*edited));
        }
    }

    #[test]
    fn each_receive_calls_hook() {
        let mut tokio = known();
        let mut files = BTreeMap::<_, String>::new();
        for edit in RECEIVED {
            *files.entry(edit.file).or_default() += &edit.known.repeat(edit.times);
        }
        for (file, text) in &files {
            tokio.set(file, text);
        }
        assert!(instrument(&mut tokio));
        let calls = |file| {
            let text = tokio.text(file).unwrap();
            text.matches("crate::__straggler::received();").count()
        };
        assert_eq!(calls("src/sync/mpsc/chan.rs"), 3);
        assert_eq!(calls("src/sync/oneshot.rs"), 3);
        assert_eq!(calls("src/sync/broadcast.rs"), 1);
    }

    #[test]
    fn unknown_tokio_stays_as_it_is() {
        let mut tokio = known();
        let without_context = "fn trace_leaf() -> std::task::Poll<()> {";
        tokio.set("src/lib.rs", &without_context);
        assert!(!instrument(&mut tokio));
        assert_eq!(tokio.text("src/lib.rs"), Some(without_context));
        let notify = tokio.text("src/sync/notify.rs").unwrap();
        assert!(!notify.contains("trace_leaf"), "{notify}");
    }
}
