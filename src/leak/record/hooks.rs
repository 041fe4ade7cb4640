//! What `--cfg tokio_unstable` adds: hooks of the runtime, which see every spawn. In other builds
//! all of this comes to nothing.

#[cfg(tokio_unstable)]
use std::cell::Cell;
use std::sync::Arc;
#[cfg(tokio_unstable)]
use std::sync::{OnceLock, Weak};

use tokio::runtime::Builder;

use crate::leak::record::session::Session;
#[cfg(tokio_unstable)]
use crate::schedule::steering;

/// The hooks of a runtime.
#[derive(Debug)]
pub(crate) struct Hooks {
    /// Whom they report to, once the runtime is there.
    #[cfg(tokio_unstable)]
    session: Arc<OnceLock<Weak<Session>>>,
}

impl Hooks {
    /// Has a runtime that is about to be built report spawns and ends of tasks; and polls, if it is
    /// steered.
    #[cfg(tokio_unstable)]
    pub(crate) fn install(builder: &mut Builder, is_steered: bool) -> Self {
        // Weak, since a session may keep tasks of the runtime, and so the runtime, which keeps this.
        let session = Arc::new(OnceLock::<Weak<Session>>::new());
        let spawned = Arc::clone(&session);
        builder.on_task_spawn(move |task| {
            if PAUSED.get() {
                return;
            }
            if let Some(session) = spawned.get().and_then(Weak::upgrade) {
                session.begin_hooked(task.id(), task.spawned_at());
            }
        });
        let ended = Arc::clone(&session);
        builder.on_task_terminate(move |task| {
            if let Some(session) = ended.get().and_then(Weak::upgrade) {
                session.end_hooked(task.id());
            }
        });
        if is_steered {
            let polled = Arc::clone(&session);
            builder.on_before_task_poll(move |task| {
                let session = polled.get().and_then(Weak::upgrade);
                // Tracked ones are steered when they are polled.
                if let Some(task) = session.and_then(|session| session.hooked(task.id())) {
                    steering::before_poll(task.number);
                }
            });
        }
        Self { session }
    }

    #[cfg(not(tokio_unstable))]
    pub(crate) fn install(_: &mut Builder, _: bool) -> Self {
        Self {}
    }

    /// Says whom the hooks report to.
    #[cfg(tokio_unstable)]
    pub(crate) fn report_to(self, session: &Arc<Session>) {
        _ = self.session.set(Arc::downgrade(session));
    }

    #[cfg(not(tokio_unstable))]
    pub(crate) fn report_to(self, _: &Arc<Session>) {
        let Self {} = self;
    }
}

#[cfg(tokio_unstable)]
thread_local! {
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the hooks from reporting a spawn of this thread, which is tracked already.
#[must_use]
pub(crate) fn pause() -> Paused {
    Paused {
        #[cfg(tokio_unstable)]
        before: PAUSED.replace(true),
    }
}

/// See [`pause`], which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Paused {
    #[cfg(tokio_unstable)]
    before: bool,
}

#[cfg(tokio_unstable)]
impl Drop for Paused {
    fn drop(&mut self) {
        PAUSED.set(self.before);
    }
}
