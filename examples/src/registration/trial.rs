//! The service on trial: a server on an empty database of its own, and a client of it.

use std::io;

use tempfile::TempDir;
use tokio::sync::watch;

use super::{
    Activity, Client, ClientError, HeldWrites, Locking, Registrations, Server, User, Users,
};

/// A running service with a database that nobody else uses.
#[derive(Debug)]
pub struct Trial {
    /// Calls the server.
    pub client: Client,
    server: Server,
    folder: TempDir,
}

/// Why a trial could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no place for the database.
    #[error("cannot make a folder for the database")]
    Folder(#[source] io::Error),
    /// The database cannot be opened.
    #[error("cannot open the database")]
    Database(#[from] sqlx::Error),
    /// The port cannot be listened on.
    #[error("cannot listen on port {port}")]
    Port {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

impl Trial {
    /// Starts the service on this port of the local machine; port 0 stands for any free one.
    ///
    /// # Errors
    ///
    /// If there is no place for the database or the port is taken.
    pub async fn start(port: u16, locking: Locking) -> Result<Self, TrialError> {
        let folder = tempfile::tempdir().map_err(TrialError::Folder)?;
        let users = Users::open(&folder.path().join("users.db")).await?;
        let server = Server::start(port, Registrations::new(users, locking))
            .await
            .map_err(|source| TrialError::Port { port, source })?;
        Ok(Self {
            client: Client::new(&server.url()),
            server,
            folder,
        })
    }

    /// Starts a service that knows ada, on a database to which nobody can write for now. It takes
    /// no lock, so that ada's next look-up need not wait for somebody else's insert.
    ///
    /// # Errors
    ///
    /// If something fails that should not.
    pub async fn start_with_ada_and_held_writes() -> anyhow::Result<(Self, HeldWrites)> {
        let trial = Self::start(0, Locking::Without).await?;
        trial.client.register("ada@example.com").await?;
        let writes = trial.users().hold_writes().await?;
        Ok((trial, writes))
    }

    /// Registers bob, who has to wait for the database, and ada again when bob is at work.
    pub fn register_bob_and_ada(&self) -> [impl Future<Output = Result<User, ClientError>>; 2] {
        [("bob@example.com", 1), ("ada@example.com", 2)].map(|(email, found_free)| {
            self.register_after(move |activity| activity.found_free >= found_free, email)
        })
    }

    /// Returns where the server listens, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the service, for calls past HTTP.
    #[must_use]
    pub fn registrations(&self) -> &Registrations {
        self.server.registrations()
    }

    /// Returns the table of users, for a look past the service.
    #[must_use]
    pub fn users(&self) -> &Users {
        self.registrations().users()
    }

    /// Whether somebody holds the lock around look-up and insert.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let lock = self.registrations().lock();
        lock.is_some_and(straggler::Lock::is_locked)
    }

    /// Returns what the registrations are doing.
    #[must_use]
    pub fn activity(&self) -> Activity {
        *self.watch().borrow()
    }

    /// Watches what the registrations are doing, also after the trial has ended.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Activity> {
        self.server.registrations().activity()
    }

    /// Waits until the registrations have come to a certain point.
    pub async fn until(&self, reached: impl FnMut(&Activity) -> bool) {
        let mut activity = self.watch();
        // It fails when the service has gone away, which it does not before the trial.
        _ = activity.wait_for(reached).await;
    }

    /// Registers a user once the registrations have come to a certain point.
    ///
    /// # Errors
    ///
    /// If the server refuses or cannot be reached.
    pub async fn register_after(
        &self,
        reached: impl FnMut(&Activity) -> bool,
        email: &str,
    ) -> Result<User, ClientError> {
        self.until(reached).await;
        self.client.register(email).await
    }

    /// Stops the service when nothing is at work any more, and removes the database.
    ///
    /// # Errors
    ///
    /// If the server failed or the database cannot be removed.
    pub async fn end(self) -> io::Result<()> {
        self.server.stop().await?;
        self.folder.close()
    }
}
