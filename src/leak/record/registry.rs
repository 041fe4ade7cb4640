//! The sessions of all watched runtimes of the process.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::runtime::Id;
use tokio::task;

use crate::leak::record::session::Session;
use crate::leak::record::task::Task;

/// About as many as there are threads that run tests: too few for a map.
static SESSIONS: RwLock<Vec<Watched>> = RwLock::new(Vec::new());

/// The number of live sessions, so that a spawn outside any check takes no lock.
static LIVE: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Watched {
    runtime: Id,
    session: Weak<Session>,
}

/// Returns whether no runtime is watched.
pub(crate) fn is_empty() -> bool {
    LIVE.load(Relaxed) == 0
}

/// Returns the session of a runtime, if it is watched.
pub(crate) fn find(runtime: Id) -> Option<Arc<Session>> {
    let sessions = SESSIONS.read().unwrap_or_else(PoisonError::into_inner);
    let mut sessions = sessions.iter();
    sessions
        .find(|known| known.runtime == runtime)?
        .session
        .upgrade()
}

/// Returns the recorded task with this id that ended with an output, and its session.
pub(crate) fn find_finished(id: task::Id) -> Option<(Arc<Session>, Arc<Task>)> {
    if is_empty() {
        return None;
    }
    let sessions: Vec<_> = {
        let sessions = SESSIONS.read().unwrap_or_else(PoisonError::into_inner);
        sessions
            .iter()
            .filter_map(|known| known.session.upgrade())
            .collect()
    };
    // Without the lock: dropping the last reference to a session takes it.
    sessions.into_iter().find_map(|session| {
        let task = session.finished(id)?;
        Some((session, task))
    })
}

/// Returns the session of a runtime, or adds a new one.
pub(crate) fn find_or_add(runtime: Id, new: impl FnOnce() -> Session) -> Arc<Session> {
    let mut sessions = SESSIONS.write().unwrap_or_else(PoisonError::into_inner);
    let known = sessions.iter_mut().find(|known| known.runtime == runtime);
    if let Some(session) = known.as_ref().and_then(|known| known.session.upgrade()) {
        return session;
    }
    let session = Arc::new(new());
    let weak = Arc::downgrade(&session);
    match known {
        // The last session of this runtime is being dropped and has not removed itself yet.
        Some(ending) => ending.session = weak,
        None => sessions.push(Watched {
            runtime,
            session: weak,
        }),
    }
    LIVE.fetch_add(1, Relaxed);
    session
}

/// Removes the session of a runtime while it is dropped.
pub(crate) fn remove(runtime: Id) {
    LIVE.fetch_sub(1, Relaxed);
    let mut sessions = SESSIONS.write().unwrap_or_else(PoisonError::into_inner);
    // A new session of the same runtime may have taken the entry meanwhile.
    let is_dead = |known: &Watched| known.runtime == runtime && known.session.strong_count() == 0;
    if let Some(index) = sessions.iter().position(is_dead) {
        sessions.swap_remove(index);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{PoisonError, SESSIONS};
    use crate::leak::record::session::Session;

    #[test]
    fn session_is_removed_with_its_last_owner() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let session = Session::open(runtime.handle());
        assert!(Arc::ptr_eq(&session, &Session::open(runtime.handle())));
        assert!(Session::of(runtime.handle()).is_some());
        drop(session);
        assert!(Session::of(runtime.handle()).is_none());
        let sessions = SESSIONS.read().unwrap_or_else(PoisonError::into_inner);
        let id = runtime.handle().id();
        assert!(!sessions.iter().any(|known| known.runtime == id));
    }
}
