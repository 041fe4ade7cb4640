//! Registering a user: look up the address, then insert it.

use std::sync::Arc;

use straggler::Lock;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use super::{Email, InvalidEmail, User, Users};

/// Whether a registration holds a lock around its lookup and its insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// The bug: two concurrent registrations can both find an address free.
    Without,
    /// The fix: a lock around lookup and insert.
    With,
}

/// The counters of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// How many registrations are running.
    pub running: usize,
    /// How many have found their address free.
    pub found_free: usize,
    /// How many were refused as duplicates.
    pub refused: usize,
}

/// Why a registration failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The text is not an email address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// The address already has an account.
    #[error("{0} is already registered")]
    Duplicate(Email),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The registration panicked, or its runtime shut down.
    #[error(transparent)]
    Task(#[from] JoinError),
}

/// The registration service, without HTTP. Its clones share one state.
#[derive(Clone, Debug)]
pub struct Registrations {
    shared: Arc<Shared>,
    running: TaskTracker,
}

/// What the tasks of the registrations share.
#[derive(Debug)]
struct Shared {
    users: Users,
    lock: Option<Lock>,
    activity: watch::Sender<Activity>,
}

impl Registrations {
    /// Makes a service for a table of users.
    #[must_use]
    pub fn new(users: Users, locking: Locking) -> Self {
        let shared = Shared {
            users,
            lock: (locking == Locking::With).then(Lock::new),
            activity: watch::Sender::default(),
        };
        Self {
            shared: Arc::new(shared),
            running: TaskTracker::new(),
        }
    }

    /// Creates an account for an address.
    ///
    /// Company addresses skip the check for duplicates.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not an email address, if the address already has an account,
    /// if the database fails, or if the registration panics.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a registration that has begun completes, and holds the lock until then. Call this again
    /// to learn whether there is an account.
    pub async fn register(&self, email: &str) -> Result<User, RegisterError> {
        let (shared, email) = (Arc::clone(&self.shared), email.to_owned());
        // A task, since the thread of the database completes an insert that nobody waits for any longer. The
        // lock has to be held until then: dropped half-way, it would let the next lookup overtake the insert.
        let registering = self
            .running
            .spawn(async move { shared.register(&email).await });
        registering.await?
    }

    /// Waits for all registrations that are running. Registrations may still begin.
    pub async fn completed(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Returns a receiver of the counters.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.shared.activity.subscribe()
    }

    /// Returns the lock around lookup and insert, if there is one.
    #[must_use]
    pub fn lock(&self) -> Option<&Lock> {
        self.shared.lock.as_ref()
    }

    /// Returns the table of users.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.shared.users
    }
}

impl Shared {
    async fn register(&self, email: &str) -> Result<User, RegisterError> {
        let _running = Running::start(&self.activity);
        let email: Email = email.parse()?;
        if email.is_of_company() {
            return Ok(self.users.insert(&email).await?);
        }
        let _guard = match &self.lock {
            // Dropping the guard releases the lock: on success, error and panic.
            Some(lock) => Some(lock.acquire().await),
            None => None,
        };
        if self.users.contains(&email).await? {
            self.activity.send_modify(|activity| activity.refused += 1);
            return Err(RegisterError::Duplicate(email));
        }
        self.activity
            .send_modify(|activity| activity.found_free += 1);
        Ok(self.users.insert(&email).await?)
    }
}

/// Counts a registration as running until dropped.
struct Running<'a>(&'a watch::Sender<Activity>);

impl<'a> Running<'a> {
    fn start(activity: &'a watch::Sender<Activity>) -> Self {
        activity.send_modify(|activity| activity.running += 1);
        Self(activity)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|activity| activity.running -= 1);
    }
}
