//! What the tests found.
