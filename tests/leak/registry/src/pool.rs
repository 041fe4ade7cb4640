//! A crate of the user's in a folder called `registry`.

use tokio::sync::oneshot;

/// Leaks a task that waits in this file.
pub(crate) fn leak() {
    straggler::spawn(wait());
}

async fn wait() {
    let (_sender, receiver) = oneshot::channel::<()>();
    _ = receiver.await;
}
