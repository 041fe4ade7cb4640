//! Registering a user: look the address up, then insert it.

use straggler::Lock;
use tokio::sync::watch;

use super::{Email, InvalidEmail, User, Users};

/// Whether a registration keeps others out between its look-up and its insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// The bug: two registrations at once can both find an address free.
    Without,
    /// The cure: a lock around look-up and insert.
    With,
}

/// What the registrations are doing, for whoever watches the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// How many have begun and have not ended.
    pub at_work: usize,
    /// How many have found their address free so far.
    pub found_free: usize,
    /// How many were refused so far.
    pub refused: usize,
}

/// Why a registration failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The text is not an email address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// The address has an account.
    #[error("{0} is already registered")]
    Duplicate(Email),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Registers users.
#[derive(Debug)]
pub struct Registrations {
    users: Users,
    lock: Option<Lock>,
    activity: watch::Sender<Activity>,
}

impl Registrations {
    /// Makes the service for a table of users.
    #[must_use]
    pub fn new(users: Users, locking: Locking) -> Self {
        Self {
            users,
            lock: (locking == Locking::With).then(Lock::new),
            activity: watch::Sender::default(),
        }
    }

    /// Makes an account with this address, unless there is one. Addresses of the company are not
    /// checked.
    ///
    /// # Errors
    ///
    /// If the text is no address, the address has an account, or the database fails.
    pub async fn register(&self, email: &str) -> Result<User, RegisterError> {
        let _at_work = AtWork::begin(&self.activity);
        let email: Email = email.parse()?;
        if email.is_of_company() {
            return Ok(self.users.insert(&email).await?);
        }
        let _guard = match &self.lock {
            // Whatever becomes of this registration, the lock goes with it.
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

    /// Watches what the registrations are doing.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.subscribe()
    }

    /// Returns the lock around look-up and insert, if there is one.
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

/// Counts a registration as at work until it is dropped.
struct AtWork<'a>(&'a watch::Sender<Activity>);

impl<'a> AtWork<'a> {
    fn begin(activity: &'a watch::Sender<Activity>) -> Self {
        activity.send_modify(|activity| activity.at_work += 1);
        Self(activity)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|activity| activity.at_work -= 1);
    }
}
