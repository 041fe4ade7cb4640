//! The lines of the user's code in a backtrace.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::path::Path;

use backtrace::{Backtrace, BacktraceFrame};

use crate::trace::place::{Place, is_foreign, is_of_tokios_tasks, is_standard};

/// A function of the user's code on the way to where something happened.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use straggler::LeakCheck;
/// use straggler::leak::{Wait, self_test};
/// use tokio::sync::oneshot;
///
/// async fn listen(news: oneshot::Receiver<()>) {
///     let _ = news.await;
/// }
///
/// let (_sender, news) = oneshot::channel();
/// let check = LeakCheck::new().grace(Duration::ZERO);
/// let report = check.run(async { drop(straggler::spawn(listen(news))) }).unwrap_err();
///
/// let Wait::At(places) = report.tasks()[0].wait() else { panic!("{report}") };
/// let call = &places[0].calls()[0];
/// assert!(call.function().ends_with("::listen"));
/// assert_eq!(call.place().is_some(), self_test().sees_lines());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    function: String,
    place: Option<Place>,
}

impl Call {
    /// Returns the path of the function. It is empty in a build whose debug information is
    /// `line-tables-only`.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// Returns the line, or `None` in a build without debug information.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) if self.function.is_empty() => write!(f, "{place}"),
            Some(place) => write!(f, "{place} in {}", self.function),
            None => write!(f, "{}", self.function),
        }
    }
}

/// A frame of a backtrace, or a function that was inlined into one.
#[derive(Clone, Debug)]
struct Frame {
    /// Without hashes.
    name: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

/// The frames at the addresses that were looked up so far: many tasks wait at few places, and a
/// look into the debug information takes long.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    frames: HashMap<usize, Vec<Frame>>,
    /// What came of the clones of wakers with these addresses.
    waits: HashMap<Vec<usize>, Waits>,
}

/// What came of one clone of a waker.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    /// The calls of the user's code that wait, the innermost first.
    pub(crate) calls: Vec<Call>,
    /// What the innermost of them awaits, if it belongs to a dependency.
    pub(crate) on: Option<String>,
    /// Whether it was tokio that cloned it to wake it by itself, after a turn for others: the task
    /// yields, because it wants to or because it has done enough.
    pub(crate) is_yield: bool,
}

impl Symbols {
    /// The calls of the user's code from the poll that is traced down to the clone of a waker, the
    /// innermost first; and what that one awaits, if it belongs to a dependency.
    pub(crate) fn waits(&mut self, clone: &Backtrace) -> Waits {
        let addresses = clone.frames().iter().map(BacktraceFrame::ip);
        let key: Vec<usize> = addresses.clone().map(<*mut c_void>::addr).collect();
        if let Some(known) = self.waits.get(&key) {
            return known.clone();
        }
        let waits = self.look_up(addresses);
        self.waits.insert(key, waits.clone());
        waits
    }

    fn look_up(&mut self, addresses: impl Iterator<Item = *mut c_void>) -> Waits {
        let frames: Vec<Frame> = addresses
            .flat_map(|address| self.at(address).to_vec())
            .skip_while(|frame| !frame.name.ends_with("trace::waker::capture"))
            .skip(1)
            .take_while(|frame| !frame.name.ends_with("trace::waker::poll"))
            .collect();
        let calls: Vec<Call> = frames.iter().filter_map(Frame::call).collect();
        let innermost = frames.iter().position(Frame::is_users);
        let awaited = &frames[..innermost.unwrap_or(frames.len())];
        // Closures of tokio's `select!` and `join!` have the path of the function they stand in.
        let is_own = |path: &String| calls.first().is_some_and(|call| call.function == *path);
        let mut paths = awaited.iter().rev().filter_map(Frame::awaited);
        Waits {
            on: paths.find(|path| !is_own(path)),
            is_yield: awaited.iter().any(Frame::defers),
            calls,
        }
    }

    /// The call of the user's code that led to a spawn at `spawned_at` in a dependency. One of
    /// the workspace comes before one in a dependency that lies elsewhere on this machine.
    pub(crate) fn caller(&mut self, spawn: &Backtrace, spawned_at: &Place) -> Option<Call> {
        let addresses = spawn.frames().iter().map(BacktraceFrame::ip);
        let calls: Vec<Call> = addresses
            .flat_map(|address| self.at(address).to_vec())
            .filter_map(|frame| frame.call())
            .filter(|call| call.place.as_ref().is_some_and(|place| place != spawned_at))
            .collect();
        let is_in_workspace = |call: &&Call| {
            let place = call.place.as_ref();
            place.is_some_and(|place| Path::new(place.file()).is_relative())
        };
        let nearest = calls.iter().find(is_in_workspace).or(calls.first());
        nearest.cloned()
    }

    /// Whether a panic with these calls ends the task that it is in: the innermost call that catches
    /// panics is tokio's own around the task. Where tokio has no debug information it is not known,
    /// since functions that catch panics may be inlined there, and the panic is taken for caught.
    pub(crate) fn end_a_task(&mut self, panic: &Backtrace) -> bool {
        let addresses = panic.frames().iter().map(BacktraceFrame::ip);
        ends_a_task(addresses.flat_map(|address| self.at(address).to_vec()))
    }

    /// Whether the lines are known of the file from which this is called.
    pub(crate) fn have_lines_of(&mut self, caller: &Place) -> bool {
        let backtrace = Backtrace::new_unresolved();
        let mut addresses = backtrace.frames().iter().map(BacktraceFrame::ip);
        addresses.any(|address| {
            let mut calls = self.at(address).iter().filter_map(Frame::call);
            calls.any(|call| {
                call.place
                    .is_some_and(|place| place.file() == caller.file())
            })
        })
    }

    fn at(&mut self, address: *mut c_void) -> &[Frame] {
        self.frames.entry(address.addr()).or_insert_with(|| {
            let mut frames = Vec::new();
            backtrace::resolve(address, |symbol| {
                let name = symbol.name().map(|name| format!("{name:#}"));
                frames.push(Frame {
                    name: name.unwrap_or_default(),
                    file: symbol
                        .filename()
                        .map(|file| file.to_string_lossy().into_owned()),
                    line: symbol.lineno(),
                    column: symbol.colno(),
                });
            });
            frames
        })
    }
}

/// Whether a panic with these frames, the innermost first, ends the task that it is in.
fn ends_a_task(frames: impl Iterator<Item = Frame>) -> bool {
    let mut catching = frames.skip_while(|frame| !frame.catches_panics());
    let catches = catching.find(|frame| !frame.is_unknown() && !frame.is_standard());
    catches.is_some_and(|frame| frame.runs_a_task())
}

/// With line tables alone the path of a function that was inlined is not known, but its last segment.
/// So frames are told by their files too.
impl Frame {
    fn is_unknown(&self) -> bool {
        self.file.is_none() && function_path(&self.name).is_empty()
    }

    /// Whether it is of the standard library.
    fn is_standard(&self) -> bool {
        let path = function_path(&self.name);
        let own = ["std::", "core::", "alloc::", "__rust"];
        self.file.as_deref().is_some_and(is_standard) || own.iter().any(|own| path.starts_with(own))
    }

    /// Whether it is where tokio runs a task, and is known well enough for that what it calls is known.
    fn runs_a_task(&self) -> bool {
        let path = function_path(&self.name);
        self.file.as_deref().is_some_and(|file| {
            path.starts_with("tokio::runtime::task::") || is_of_tokios_tasks(file)
        })
    }

    /// Whether it is of the user's own code.
    fn is_users(&self) -> bool {
        let path = function_path(&self.name);
        match &self.file {
            _ if path.starts_with("straggler::") => false,
            // With line tables alone, paths of functions are not known.
            Some(file) => !is_foreign(file) && !file.starts_with(OWN_FILES),
            // Without debug information there is the name alone.
            None => !LIBRARIES.iter().any(|library| path.starts_with(library)),
        }
    }

    /// What is awaited where this frame is called, unless it only hands polls on.
    fn awaited(&self) -> Option<String> {
        let path = function_path(&self.name);
        let own_file = self
            .file
            .as_ref()
            .and_then(|file| file.strip_prefix(OWN_FILES));
        let own = WAITED_FOR
            .iter()
            .find(|(module, file, _)| path.starts_with(module) || own_file == Some(file));
        if let Some((_, _, awaited)) = own {
            return Some((*awaited).to_owned());
        }
        // A last segment says nothing to people.
        if own_file.is_some() || !path.contains("::") {
            return None;
        }
        let hands_on = [
            "__rust",
            "alloc::",
            "core::",
            "std::",
            "straggler::",
            "tokio::future::",
        ];
        let hands_on = hands_on.iter().any(|library| path.starts_with(library));
        (!hands_on).then_some(path)
    }

    /// Whether it is where std catches panics.
    fn catches_panics(&self) -> bool {
        let path = function_path(&self.name);
        path == "__rust_try"
            || path.starts_with("std::panicking::catch_unwind")
            || path.starts_with("std::panicking::try")
            || path == "std::panic::catch_unwind"
            || self.is_standard() && ["catch_unwind", "try"].contains(&path.as_str())
    }

    /// Whether it is where tokio puts off the wake of a task that yields.
    fn defers(&self) -> bool {
        let path = function_path(&self.name);
        path.starts_with("tokio::runtime::") && path.ends_with("::defer")
    }

    /// What a report says of the frame, if it is of the user's own code.
    fn call(&self) -> Option<Call> {
        let place = self.file.as_ref().zip(self.line);
        let place = place.map(|(file, line)| Place::new(file, line, self.column));
        self.is_users().then(|| Call {
            function: function_path(&self.name),
            place,
        })
    }
}

/// What of this crate is waited for, by the modules and the files that it stands in.
const WAITED_FOR: [(&str, &str, &str); 2] = [
    (
        "straggler::sync::lock::",
        "sync/lock.rs",
        "straggler::Lock::acquire",
    ),
    (
        "straggler::sync::rendezvous::",
        "sync/rendezvous.rs",
        "straggler::Participant::wait",
    ),
];

/// Where the files of this crate are.
const OWN_FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");

/// The crates that are told from the user's own where there is no debug information.
const LIBRARIES: [&str; 6] = ["__rust", "alloc::", "core::", "futures", "std::", "tokio"];

/// The path of a function without generic arguments, closures and the names of traits:
/// `<a::B<T> as core::future::future::Future>::poll` is `a::B`, `a::f::{{closure}}` is `a::f`.
fn function_path(name: &str) -> String {
    // As in `&core::task::wake::Waker::clone`.
    let name = name.trim_start_matches('&');
    if let Some(end) = name.starts_with('<').then(|| closing(name)).flatten() {
        let (of_type, rest) = (&name[1..end], &name[end + 1..]);
        // The ` as ` of the outermost type, not of one inside of it.
        let inner = of_type.starts_with('<').then(|| closing(of_type)).flatten();
        let (inner, outer) = of_type.split_at(inner.unwrap_or(0));
        let (outer, of_trait) = outer.split_once(" as ").unwrap_or((outer, ""));
        let of_type = [inner, outer].concat();
        let is_poll = of_trait.ends_with("Future") && rest == "::poll";
        let rest = if is_poll { "" } else { rest };
        return without_generics(&format!("{}{rest}", function_path(&of_type)));
    }
    without_generics(name)
}

/// Where the `<` closes that `name` begins with.
fn closing(name: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, character) in name.char_indices() {
        match character {
            '<' => depth += 1,
            // Not the arrow of a function type.
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = character;
    }
    None
}

fn without_generics(name: &str) -> String {
    let mut kept = String::new();
    let mut rest = name;
    while let Some(start) = rest.find('<') {
        let Some(end) = closing(&rest[start..]) else {
            break;
        };
        kept.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    kept.push_str(rest);
    let segments = kept.split("::");
    let named = segments.filter(|segment| !segment.is_empty() && !segment.starts_with('{'));
    named.collect::<Vec<_>>().join("::")
}

#[cfg(test)]
mod tests {
    use super::{Frame, OWN_FILES, ends_a_task, function_path};

    const CATCHES: (&str, &str) = (
        "catch_unwind<core::task::poll::Poll<!>, closure_env#0>",
        "/rustc/0a1b2c/library/std/src/panicking.rs",
    );
    const OF_TOKIO: (&str, &str) = (
        "poll_future<bank::transfer::{async_fn_env#0}>",
        "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/runtime/task/harness.rs",
    );
    const OF_USER: (&str, &str) = ("transfer", "src/bank.rs");

    /// Whether a panic in `OF_USER` ends its task, below which these frames are, with their files.
    fn ends(frames: &[(&str, &str)]) -> bool {
        let panics = ("{closure#0}", "/rustc/0a1b2c/library/std/src/panicking.rs");
        let frames = [panics, OF_USER].into_iter().chain(frames.iter().copied());
        ends_a_task(frames.map(|(name, file)| Frame {
            name: name.to_owned(),
            file: (!file.is_empty()).then(|| file.to_owned()),
            line: None,
            column: None,
        }))
    }

    #[test]
    fn with_line_tables_alone_it_is_told_by_files_who_catches_a_panic() {
        assert!(ends(&[CATCHES, CATCHES, OF_TOKIO]));
        assert!(ends(&[("__rust_try", ""), CATCHES, OF_TOKIO]));
        assert!(!ends(&[CATCHES, OF_USER, CATCHES, OF_TOKIO]));
        let of_futures = "/users/ada/.cargo/registry/src/index-0a1b/futures-util-0.3.34/src/lib.rs";
        assert!(!ends(&[
            CATCHES,
            ("catch_unwind<F>", of_futures),
            CATCHES,
            OF_TOKIO
        ]));
        assert!(ends(&[("catch_unwind<F>", of_futures), CATCHES, OF_TOKIO]));
        assert!(!ends(&[]));
    }

    #[test]
    fn with_line_tables_alone_what_is_awaited_is_told_by_its_path_or_by_an_own_file() {
        let awaited = |name: &str, file: &str| {
            let (name, file) = (name.to_owned(), Some(file.to_owned()));
            let (line, column) = (None, None);
            let frame = Frame {
                name,
                file,
                line,
                column,
            };
            frame.awaited()
        };
        let own = |file| format!("{OWN_FILES}{file}");
        let acquires = awaited("poll<bank::Account>", &own("sync/lock.rs"));
        assert_eq!(acquires.as_deref(), Some("straggler::Lock::acquire"));
        assert_eq!(
            awaited("poll<bank::Account>", &own("join/settle_all.rs")),
            None
        );
        let file = "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/sync/oneshot.rs";
        assert_eq!(awaited("poll<bank::Account>", file), None);
        let receives = awaited("tokio::sync::oneshot::Receiver<T>::poll", file);
        assert!(receives.is_some_and(|path| path.starts_with("tokio::sync::oneshot")));
    }

    #[test]
    fn without_files_it_is_told_by_paths_and_tokio_has_to_have_one() {
        let catches = ("std::panicking::catch_unwind::<A, B>", "");
        let of_tokio = ("tokio::runtime::task::harness::poll_future", "");
        assert!(ends(&[catches, (of_tokio.0, "tokio/task.rs")]));
        assert!(!ends(&[catches, of_tokio]));
        assert!(!ends(&[catches, ("bank::transfer", ""), catches, OF_TOKIO]));
        assert!(ends(&[catches, ("", ""), OF_TOKIO]));
    }

    #[test]
    fn names_of_functions_are_cut_to_what_people_wrote() {
        for (name, path) in [
            ("bank::transfer::{{closure}}::{{closure}}", "bank::transfer"),
            ("bank::transfer::{async_fn#0}", "bank::transfer"),
            (
                "<tokio::sync::oneshot::Receiver<T> as core::future::future::Future>::poll",
                "tokio::sync::oneshot::Receiver",
            ),
            (
                "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}",
                "tokio::sync::mpsc::bounded::Receiver::recv",
            ),
            (
                "<<a::B<fn(u8) -> C<D>> as E>::F as core::future::Future>::poll",
                "a::B::F",
            ),
            ("<a::B as a::Work>::run::<c::D>::{closure#1}", "a::B::run"),
            ("", ""),
            ("a::unfinished<b", "a::unfinished<b"),
        ] {
            assert_eq!(function_path(name), path, "{name}");
        }
    }
}
