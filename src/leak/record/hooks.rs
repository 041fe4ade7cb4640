//! Runtime hooks that see every spawn, with `--cfg tokio_unstable`. In other builds they do
//! nothing.

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
    /// The session to report to, set after the runtime is built.
    #[cfg(tokio_unstable)]
    session: Arc<OnceLock<Weak<Session>>>,
}

impl Hooks {
    /// Makes the runtime report spawned and ended tasks, and polls if it is steered.
    #[cfg(tokio_unstable)]
    pub(crate) fn install(builder: &mut Builder, is_steered: bool) -> Self {
        // Weak to avoid a cycle: a session keeps tasks, whose wakers keep the runtime and its
        // hooks.
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
                // Tracked tasks are not hooked: their own `poll` steers them.
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

    /// Sets the session that the hooks report to.
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

/// Pauses the hooks of this thread, so that a tracked spawn is not recorded twice.
#[must_use]
pub(crate) fn pause() -> Paused {
    set_paused(true)
}

#[cfg_attr(
    not(tokio_unstable),
    allow(unused_variables, reason = "there are no hooks")
)]
fn set_paused(are_paused: bool) -> Paused {
    Paused {
        #[cfg(tokio_unstable)]
        before: PAUSED.replace(are_paused),
    }
}

/// Resumes the hooks while `run` runs.
pub(crate) fn resumed<R>(run: impl FnOnce() -> R) -> R {
    let _resumed = set_paused(false);
    run()
}

/// Restores the hooks when dropped, see [`pause`] and [`resumed`].
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
