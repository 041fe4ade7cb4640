//! What the tests found, by place.

pub(crate) mod function;
pub(crate) mod line;
pub(crate) mod place;
pub(crate) mod sources;
