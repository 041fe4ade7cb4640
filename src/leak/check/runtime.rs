//! The runtime of a checked test.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, LocalOptions, LocalRuntime, Runtime};

/// Returns the builder of a current-thread runtime with all drivers enabled.
pub(crate) fn default_runtime() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    builder
}

/// A `Runtime` or a `LocalRuntime`.
pub(crate) enum CheckedRuntime {
    Shared(Runtime),
    Local(LocalRuntime),
}

impl CheckedRuntime {
    pub(crate) fn build(builder: &mut Builder, is_local: bool) -> io::Result<Self> {
        if is_local {
            let options = LocalOptions::default();
            return builder.build_local(options).map(Self::Local);
        }
        builder.build().map(Self::Shared)
    }

    pub(crate) fn handle(&self) -> &Handle {
        match self {
            Self::Shared(runtime) => runtime.handle(),
            Self::Local(runtime) => runtime.handle(),
        }
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Shared(runtime) => runtime.block_on(future),
            Self::Local(runtime) => runtime.block_on(future),
        }
    }

    /// Drops the tasks, and waits for blocking work to end, at most `patience`.
    pub(crate) fn shut_down(self, patience: Duration) {
        match self {
            Self::Shared(runtime) => runtime.shutdown_timeout(patience),
            Self::Local(runtime) => runtime.shutdown_timeout(patience),
        }
    }
}
