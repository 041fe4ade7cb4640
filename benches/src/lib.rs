//! What the bench targets in `benches/` share: the joins under test, the workloads they run, and
//! the driver that polls them.

pub mod driver;
pub mod joins;
mod medians;
mod signal;
pub mod workloads;

pub use self::medians::medians;
pub use self::signal::Waits;
