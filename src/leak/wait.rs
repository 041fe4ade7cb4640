//! What a task waits for, in words: the lines of the user's code behind a traced poll.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;

use backtrace::{Backtrace, BacktraceFrame};

use super::place::{Place, is_foreign};
use super::trace::{Capture, Trace};

/// What a task that outlived its test was doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// It waits to be woken, from each of these places.
    At(Vec<WaitPlace>),
    /// It wakes itself, again and again, at these places.
    Busy(Vec<WaitPlace>),
    /// It is pending, and kept no waker when it was polled again: nothing can ever wake it.
    Unwakeable,
    /// It is inside of one poll, and was all the while that it was asked: it blocks its thread.
    Blocks,
    /// It was never polled.
    Unstarted,
    /// It did not say so in time, since its thread was busy with something else.
    Unanswered,
    /// It cannot be known: the task was not spawned through `straggler`, and so is not polled by it.
    Unknown,
}

/// One of the places at which a task waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WaitPlace {
    /// The innermost first. Those of the user's own code.
    calls: Vec<Call>,
    on: Option<String>,
    children: Vec<String>,
}

/// A function of the user's code on the way to the place where a task waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    function: String,
    place: Option<Place>,
}

impl WaitPlace {
    /// Returns the functions that wait, the innermost first: each awaits the one before it.
    ///
    /// Only those of the user's own code, none of the standard library and of dependencies.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns what the innermost of them awaits, as in `tokio::sync::oneshot::Receiver`, if it
    /// belongs to a dependency.
    #[must_use]
    pub fn on(&self) -> Option<&str> {
        self.on.as_deref()
    }

    /// Returns which children of `settle_all`, `barrier` and their macros the place lies in, the
    /// outermost first.
    #[must_use]
    pub fn children(&self) -> &[String] {
        &self.children
    }
}

impl Call {
    /// Returns the path of the function.
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

impl Wait {
    /// Says in words what a traced poll showed.
    pub(super) fn of(trace: Trace, symbols: &mut Symbols) -> Self {
        let (mut waits, mut wakes) = (Vec::new(), Vec::new());
        for capture in trace.captures {
            let is_wake = capture.is_wake;
            let place = WaitPlace::of(capture, symbols);
            let places = if is_wake || place.yields() {
                &mut wakes
            } else {
                &mut waits
            };
            // One thing that is waited for may keep several clones.
            if !places.contains(&place) {
                places.push(place);
            }
        }
        match (waits.is_empty(), wakes.is_empty()) {
            (_, false) => Self::Busy(wakes),
            (false, true) => Self::At(waits),
            (true, true) => Self::Unwakeable,
        }
    }
}

impl WaitPlace {
    /// Whether a task that waits here does so only to let others have a turn: tokio wakes it on
    /// its own.
    fn yields(&self) -> bool {
        self.on()
            .is_some_and(|on| on.starts_with("tokio::task::yield_now"))
    }

    fn of(capture: Capture, symbols: &mut Symbols) -> Self {
        let frames = symbols.frames(&capture.backtrace);
        let innermost = frames.iter().position(Frame::is_users);
        let awaited = &frames[..innermost.unwrap_or(frames.len())];
        Self {
            on: awaited.iter().rev().find_map(Frame::awaited),
            calls: frames.iter().filter_map(Frame::call).collect(),
            children: capture.children,
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
pub(super) struct Symbols(HashMap<usize, Vec<Frame>>);

impl Symbols {
    /// The frames between the clone of a waker and the poll that is traced, the innermost first.
    fn frames(&mut self, backtrace: &Backtrace) -> Vec<Frame> {
        let addresses = backtrace.frames().iter().map(BacktraceFrame::ip);
        addresses
            .flat_map(|address| self.at(address).to_vec())
            .skip_while(|frame| !frame.name.ends_with("leak::trace::capture"))
            .skip(1)
            .take_while(|frame| !frame.name.ends_with("leak::trace::poll"))
            .collect()
    }

    /// Whether there is debug information for the user's code that calls this.
    pub(super) fn have_lines(&mut self) -> bool {
        let backtrace = Backtrace::new_unresolved();
        let mut addresses = backtrace.frames().iter().map(BacktraceFrame::ip);
        addresses.any(|address| {
            let calls = self.at(address).iter().filter_map(Frame::call);
            calls.into_iter().any(|call| call.place.is_some())
        })
    }

    fn at(&mut self, address: *mut c_void) -> &[Frame] {
        self.0.entry(address.addr()).or_insert_with(|| {
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

impl Frame {
    /// Whether it is of the user's own code.
    fn is_users(&self) -> bool {
        let path = function_path(&self.name);
        if path.starts_with("straggler::") {
            return false;
        }
        match &self.file {
            Some(file) => !is_foreign(file),
            // Without debug information there is the name alone.
            None => !LIBRARIES.iter().any(|library| path.starts_with(library)),
        }
    }

    /// What is awaited where this frame is called, unless it only hands polls on.
    fn awaited(&self) -> Option<String> {
        let path = function_path(&self.name);
        let hands_on = ["__rust", "alloc::", "core::", "std::", "straggler::"];
        (!path.is_empty() && !hands_on.iter().any(|library| path.starts_with(library)))
            .then_some(path)
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

/// The crates that are told from the user's own where there is no debug information.
const LIBRARIES: [&str; 6] = ["__rust", "alloc::", "core::", "futures", "std::", "tokio"];

/// The path of a function without generic arguments, closures and the names of traits:
/// `<a::B<T> as core::future::future::Future>::poll` is `a::B`, `a::f::{{closure}}` is `a::f`.
fn function_path(name: &str) -> String {
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

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place} in {}", self.function),
            None => write!(f, "{}", self.function),
        }
    }
}

impl fmt::Display for WaitPlace {
    /// Writes the innermost call on one line, and each of the others on a line below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls = self.calls.iter();
        match (calls.next(), &self.on) {
            (Some(call), Some(on)) => write!(f, "{call}, on {on}")?,
            (Some(call), None) => write!(f, "{call}")?,
            (None, Some(on)) => write!(f, "{on}")?,
            (None, None) => f.write_str("a place that is not known")?,
        }
        for call in calls {
            write!(f, "\n  awaited at {call}")?;
        }
        if !self.children.is_empty() {
            write!(f, "\n  as child {}", self.children.join(", in it "))?;
        }
        Ok(())
    }
}

fn write_places(f: &mut fmt::Formatter<'_>, does: &str, places: &[WaitPlace]) -> fmt::Result {
    for (index, place) in places.iter().enumerate() {
        let before = if index == 0 { does } else { "\nand at" };
        write!(f, "{before} {place}")?;
    }
    Ok(())
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(places) => write_places(f, "waits at", places),
            Self::Busy(places) => write_places(f, "is busy, and wakes itself at", places),
            Self::Unwakeable => f.write_str(
                "waits for nothing: it kept no waker when it was polled, so nothing can ever wake it",
            ),
            Self::Blocks => f.write_str("blocks its thread: it is inside of one poll and does not return"),
            Self::Unstarted => f.write_str("was never polled"),
            Self::Unanswered => {
                f.write_str("did not say where it waits: its thread was busy with something else")
            }
            Self::Unknown => f.write_str("waits at a place that is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::function_path;

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
