//! The places of panics whose payloads may be resumed later.

use std::collections::VecDeque;

use crate::panic::PayloadId;
use crate::trace::place::Place;

/// How many panics are kept, the last ones. Code may panic and catch without end.
const KEPT: usize = 16;

/// The places of the last panics in a task, or on a thread.
///
/// A payload reaches whoever catches it without a place, perhaps after other panics.
#[derive(Debug, Default)]
pub(crate) struct PanicPlaces(VecDeque<(PayloadId, Place)>);

impl PanicPlaces {
    /// Adds a panic.
    pub(crate) fn add(&mut self, payload: PayloadId, place: Place) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((payload, place));
    }

    /// Returns the place of the last panic with this payload.
    pub(crate) fn find(&self, payload: PayloadId) -> Option<Place> {
        let mut last_first = self.0.iter().rev();
        let (_, place) = last_first.find(|(added, _)| *added == payload)?;
        Some(place.clone())
    }
}
