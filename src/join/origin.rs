//! Where a combinator was created, and with which settings.

use std::panic::Location;

use crate::join::names::Names;

/// The data of a combinator that reports and panic messages need, apart from its children.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) names: Names,
    pub(crate) place: &'static Location<'static>,
    /// Whether each future runs on its own task.
    pub(crate) is_spawned: bool,
    /// Whether the futures start together.
    pub(crate) starts_together: bool,
}

impl Origin {
    /// The origin of a combinator created at `place`, with default settings.
    pub(crate) fn new(place: &'static Location<'static>) -> Self {
        Self {
            names: Names::None,
            place,
            is_spawned: false,
            starts_together: false,
        }
    }
}
