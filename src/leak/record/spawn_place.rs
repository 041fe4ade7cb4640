//! The place of a spawn: its location and, where that says too little, its stack.

use std::cell::RefCell;
use std::panic::Location;
use std::path::Path;
use std::sync::OnceLock;

use backtrace::Backtrace;

use crate::trace::call::Call;
use crate::trace::place::{Place, is_standard, tokio_file};
use crate::trace::symbols::Symbols;

/// Where a task was spawned.
#[derive(Debug)]
pub(crate) struct SpawnPlace {
    location: &'static Location<'static>,
    /// The backtrace of the spawn, if a hook saw it in a dependency, if `location` hides the call, or if
    /// a rule is about functions.
    pub(super) stack: Option<Backtrace>,
    /// The call that `location` hides, looked up for the first report.
    place: OnceLock<Place>,
    /// The function around the spawn, looked up for the first rule that needs it.
    function: OnceLock<Option<String>>,
}

thread_local! {
    /// Frames of the stacks of spawns: many tasks are spawned by one call.
    static SYMBOLS: RefCell<Symbols> = RefCell::default();
}

impl SpawnPlace {
    pub(super) fn new(location: &'static Location<'static>) -> Self {
        Self {
            location,
            stack: None,
            place: OnceLock::new(),
            function: OnceLock::new(),
        }
    }

    /// Returns the place. `is_tracked` says whether one of this crate's functions made the spawn.
    pub(super) fn place(&self, is_tracked: bool) -> Place {
        let location = || Place::from(self.location);
        let hidden = self.stack.as_ref().filter(|_| hides_call(self.location));
        let Some(stack) = hidden else {
            return location();
        };
        let find = |symbols: &RefCell<Symbols>| symbols.borrow_mut().spawn_place(stack, is_tracked);
        let find = || SYMBOLS.try_with(find).ok().flatten();
        let place = self.place.get_or_init(|| find().unwrap_or_else(location));
        place.clone()
    }

    /// Returns whether `place` is a location that hides the call, which this build cannot find.
    pub(super) fn hides(&self, place: &Place) -> bool {
        hides_call(self.location) && *place == Place::from(self.location)
    }

    /// Returns the path of the function around the spawn, if the stack was kept and has debug information.
    pub(super) fn function(&self, place: &Place) -> Option<String> {
        let find = |symbols: &RefCell<Symbols>| {
            let stack = self.stack.as_ref()?;
            symbols.borrow_mut().function_at(stack, place)
        };
        let function = self
            .function
            .get_or_init(|| SYMBOLS.try_with(find).ok().flatten());
        function.clone()
    }

    /// Returns the call in the user's code behind a spawn in a dependency, if its stack is known.
    pub(super) fn caller(&self, place: &Place, symbols: &mut Symbols) -> Option<Call> {
        let stack = self.stack.as_ref()?;
        // A file of the workspace is the user's, whatever the stack was kept for.
        let is_near = Path::new(self.location.file()).is_relative();
        if is_near || hides_call(self.location) && !place.is_foreign() {
            return None;
        }
        symbols.caller(stack, place)
    }
}

/// Returns whether the location of a spawn says nothing of the call behind it.
///
/// `iter.map(tokio::spawn)` calls the function in the standard library, and a function pointer has
/// the location of the function itself.
pub(crate) fn hides_call(spawned_at: &Location<'_>) -> bool {
    let file = spawned_at.file();
    // The user's own files have relative paths, or at least no such name.
    let is_candidate =
        Path::new(file).has_root() || OWN_SPAWNS.iter().any(|own| file.ends_with(own));
    is_candidate && (is_standard(file) || tokio_file(file, "").is_some() || is_own(file))
}

/// The names of this crate's files with spawn functions.
const OWN_SPAWNS: [&str; 3] = ["spawn.rs", "spawned.rs", "join_set.rs"];

/// Returns whether a file is one of this crate's with spawn functions.
fn is_own(file: &str) -> bool {
    let [file, here] = [file, file!()].map(|file| file.replace('\\', "/"));
    let root = here
        .strip_suffix("leak/record/spawn_place.rs")
        .unwrap_or(&here);
    let below = file.strip_prefix(root);
    below.is_some_and(|below| {
        [
            "leak/record/spawn.rs",
            "join/spawned.rs",
            "tokio/join_set.rs",
        ]
        .contains(&below)
    })
}
