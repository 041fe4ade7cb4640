//! Finds the lines of the user's code in a backtrace.

use std::collections::HashMap;
use std::ffi::c_void;
use std::path::Path;

use backtrace::{Backtrace, BacktraceFrame};

use crate::trace::blocked::{Blocker, Stuck};
use crate::trace::call::Call;
use crate::trace::catcher::{Catcher, catcher};
use crate::trace::frame::{Frame, is_for_system, is_for_task};
use crate::trace::function_path::function_path;
use crate::trace::place::{Place, tokio_file};

/// Resolves addresses to frames and caches them: many tasks wait at few places, and debug information is
/// slow to read.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    frames: HashMap<usize, Vec<Frame>>,
    /// The waits found so far, by the addresses of their backtraces.
    waits: HashMap<Vec<usize>, Waits>,
}

/// A wait, as a backtrace of one clone of a waker shows it.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    /// The waiting calls in the user's code, the innermost first.
    pub(crate) calls: Vec<Call>,
    /// The future of a dependency that the innermost call awaits.
    pub(crate) on: Option<String>,
    /// Whether only another task can end the wait.
    pub(crate) is_for_task: bool,
    /// Whether the operating system ends the wait.
    pub(crate) is_for_system: bool,
    /// Whether tokio kept the clone to wake the task after others had a turn: the task yields, by
    /// itself or because its budget is spent.
    pub(crate) is_yield: bool,
}

impl Symbols {
    /// The wait that a backtrace of a waker's clone shows.
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
        // The frames between `capture` and `poll` belong to the future. Those outside are the trace itself.
        let frames: Vec<Frame> = addresses
            .flat_map(|address| self.at(address).to_vec())
            .skip_while(|frame| !frame.name.ends_with("trace::waker::capture"))
            .skip(1)
            // With the v0 mangling the name has the types that it is generic over.
            .take_while(|frame| !function_path(&frame.name).ends_with("trace::waker::poll"))
            .collect();
        let calls: Vec<Call> = frames.iter().filter_map(Frame::call).collect();
        let innermost = frames.iter().position(Frame::is_users);
        let awaited = &frames[..innermost.unwrap_or(frames.len())];
        // Closures of tokio's `select!` and `join!` carry the path of the function around them.
        let caller = innermost.map(|innermost| &frames[innermost]);
        let is_own = |frame: &&Frame| caller.is_some_and(|caller| frame.is_closure_of(caller));
        let awaited = awaited.iter().filter(|frame| !is_own(frame));
        Waits {
            on: awaited.clone().rev().find_map(Frame::awaited),
            is_for_system: is_for_system(awaited.clone().filter_map(Frame::module)),
            is_for_task: is_for_task(awaited.clone().filter_map(Frame::module)),
            is_yield: awaited.clone().any(Frame::defers),
            calls,
        }
    }

    /// What the stack of a blocked thread shows. `addresses` start with the signal handler.
    pub(crate) fn stuck(&mut self, addresses: &[*mut c_void]) -> Stuck {
        let addresses = addresses.iter();
        let frames: Vec<Frame> = addresses
            .flat_map(|address| self.at(*address).to_vec())
            .skip_while(|frame| !frame.name.ends_with("trace::thread::stack::answer"))
            .skip(1)
            .take_while(|frame| !frame.is_check())
            .filter(Frame::is_rust)
            .collect();
        let innermost = frames.iter().position(Frame::is_users);
        let called = &frames[..innermost.unwrap_or(frames.len())];
        // The user's code calls the last of them.
        let paths = called.iter().rev().filter_map(Frame::blocking);
        let paths: Vec<String> = paths.collect();
        let by = paths.iter().find_map(|path| Blocker::of_function(path));
        Stuck {
            calls: frames.iter().filter_map(Frame::call).collect(),
            by: by.unwrap_or(Blocker::Unknown),
            inside: paths.into_iter().next(),
        }
    }

    /// The call in the user's code that led to a spawn at `spawned_at` in a dependency. A call in the
    /// workspace is better than one in a path dependency elsewhere on this machine.
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

    /// The place of a spawn whose location hides the call, as `iter.map(tokio::spawn)` does.
    ///
    /// A tracked spawn is the user's. Another one may be a dependency's: then it is the nearest call
    /// outside the standard library and tokio.
    pub(crate) fn spawn_place(&mut self, spawn: &Backtrace, is_tracked: bool) -> Option<Place> {
        let addresses = spawn.frames().iter().map(BacktraceFrame::ip);
        let mut frames = addresses.flat_map(|address| self.at(address).to_vec());
        frames.find_map(|frame| {
            let is_outside = frame.is_users() || !is_tracked && frame.is_library();
            let is_tokio = frame
                .file
                .as_deref()
                .is_some_and(|file| tokio_file(file, "").is_some());
            (is_outside && !is_tokio).then(|| frame.place())?
        })
    }

    /// The path of the function around a spawn at `spawned_at`, if there is debug information.
    pub(crate) fn function_at(&mut self, spawn: &Backtrace, spawned_at: &Place) -> Option<String> {
        let mut nearest = None;
        // Outer frames are looked up only if necessary: debug information is slow to read.
        for address in spawn.frames().iter().map(BacktraceFrame::ip) {
            for frame in self.at(address) {
                let path = function_path(&frame.name);
                let place = frame.place().filter(|_| path.contains("::"));
                let Some(place) = place.filter(|place| place.file() == spawned_at.file()) else {
                    continue;
                };
                if place.line() == spawned_at.line() {
                    return Some(path);
                }
                // A chain of calls may have another line than its last call.
                nearest.get_or_insert(path);
            }
        }
        nearest
    }

    /// Who catches a panic with this backtrace.
    pub(crate) fn catcher(&mut self, panic: &Backtrace) -> Catcher {
        let addresses = panic.frames().iter().map(BacktraceFrame::ip);
        catcher(addresses.flat_map(|address| self.at(address).to_vec()))
    }

    /// Whether debug information has the lines of the caller's file.
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
