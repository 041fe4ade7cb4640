//! Registering a user: look up the address, then insert it.

use straggler::Lock;
use tokio::sync::watch;

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
}

/// The registration service, without HTTP.
#[derive(Debug)]
pub struct Registrations {
    users: Users,
    lock: Option<Lock>,
    activity: watch::Sender<Activity>,
}

impl Registrations {
    /// Makes a service for a table of users.
    #[must_use]
    pub fn new(users: Users, locking: Locking) -> Self {
        Self {
            users,
            lock: (locking == Locking::With).then(Lock::new),
            activity: watch::Sender::default(),
        }
    }

    /// Creates an account for an address.
    ///
    /// Company addresses skip the check for duplicates.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not an email address, if the address already has an account,
    /// or if the database fails.
    pub async fn register(&self, email: &str) -> Result<User, RegisterError> {
        let _running = Running::start(&self.activity);
        let email: Email = email.parse()?;
        if email.is_of_company() {
            return Ok(self.users.insert(&email).await?);
        }
        let _guard = match &self.lock {
            // Dropping the guard releases the lock: on success, error, panic and cancellation.
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

    /// Returns a receiver of the counters.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.subscribe()
    }

    /// Returns the lock around lookup and insert, if there is one.
    #[must_use]
    pub fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// Returns the table of users.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
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
