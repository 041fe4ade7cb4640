//! Where a combinator was made, and how.

use std::panic::Location;

use crate::join::names::Names;

/// What a combinator knows of itself besides its children, for reports and panics.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) names: Names,
    pub(crate) place: &'static Location<'static>,
    /// Whether each future runs on a task of its own.
    pub(crate) is_spawned: bool,
    /// Whether no future starts before all can.
    pub(crate) starts_together: bool,
}

impl Origin {
    /// A combinator that was made here, of futures without names.
    pub(crate) fn new(place: &'static Location<'static>) -> Self {
        Self {
            names: Names::None,
            place,
            is_spawned: false,
            starts_together: false,
        }
    }
}
