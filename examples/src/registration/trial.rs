//! The service under test: a server with an empty database of its own, and a client.

use std::io;

use tempfile::TempDir;
use tokio::sync::watch;

use super::{
    Activity, Client, ClientError, HeldWrites, Locking, Registrations, Server, User, Users,
};

/// A running service with a database that no other test uses.
#[derive(Debug)]
pub struct Trial {
    /// A client of the server.
    pub client: Client,
    server: Server,
    folder: TempDir,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The folder of the database cannot be created.
    #[error("cannot create a folder for the database")]
    Folder(#[source] io::Error),
    /// The database cannot be opened.
    #[error("cannot open the database")]
    Database(#[from] sqlx::Error),
    /// The server cannot listen on the port.
    #[error("cannot listen on port {port}")]
    Port {
        /// The requested port.
        port: u16,
        /// The error of the system.
        source: io::Error,
    },
}

impl Trial {
    /// Starts a service on this local port. With port 0 the system picks a free one.
    ///
    /// # Errors
    ///
    /// Returns an error if the database cannot be created or the port is in use.
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

    /// Starts a service in which ada has an account and writes are blocked.
    ///
    /// The service uses no lock, so ada's next lookup does not wait for another insert.
    ///
    /// # Errors
    ///
    /// Returns an error if the service or the database fails.
    pub async fn start_with_ada_and_held_writes() -> anyhow::Result<(Self, HeldWrites)> {
        let trial = Self::start(0, Locking::Without).await?;
        trial.client.register("ada@example.com").await?;
        let writes = trial.users().hold_writes().await?;
        Ok((trial, writes))
    }

    /// Registers bob, who waits for the database, and then ada a second time.
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

    /// Returns the service, to call it without HTTP.
    #[must_use]
    pub fn registrations(&self) -> &Registrations {
        self.server.registrations()
    }

    /// Returns the table of users.
    #[must_use]
    pub fn users(&self) -> &Users {
        self.registrations().users()
    }

    /// Returns whether a registration holds the lock around lookup and insert.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let lock = self.registrations().lock();
        lock.is_some_and(straggler::Lock::is_locked)
    }

    /// Returns the counters of the service.
    #[must_use]
    pub fn activity(&self) -> Activity {
        *self.watch().borrow()
    }

    /// Returns a receiver of the counters. It outlives the service.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Activity> {
        self.server.registrations().activity()
    }

    /// Waits until the counters satisfy a condition.
    pub async fn until(&self, reached: impl FnMut(&Activity) -> bool) {
        let mut activity = self.watch();
        // Fails only if the service is gone, and `self` owns the service.
        _ = activity.wait_for(reached).await;
    }

    /// Registers a user once the counters satisfy a condition.
    ///
    /// # Errors
    ///
    /// Returns an error if the server refuses the request or cannot be reached.
    pub async fn register_after(
        &self,
        reached: impl FnMut(&Activity) -> bool,
        email: &str,
    ) -> Result<User, ClientError> {
        self.until(reached).await;
        self.client.register(email).await
    }

    /// Waits for running registrations, stops the service and removes the database.
    ///
    /// # Errors
    ///
    /// Returns an error if the server failed or the database cannot be removed.
    pub async fn end(self) -> io::Result<()> {
        self.server.stop().await?;
        self.folder.close()
    }
}
