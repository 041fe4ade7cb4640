//! The table of users.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::Email;

/// How long a write waits for another one. Long enough for a busy machine.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The key of the row, chosen by the database.
    pub id: i64,
    /// The address in lower case.
    pub email: String,
}

/// The table of users in an `SQLite` database.
#[derive(Clone, Debug)]
pub struct Users {
    options: SqliteConnectOptions,
    pool: SqlitePool,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// A fault to inject into a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The lookup returns an error, as if the database had failed.
    Fails,
    /// The lookup panics with [`Fault::PANIC_MESSAGE`].
    Panics,
}

impl Fault {
    /// The message of an injected panic.
    pub const PANIC_MESSAGE: &str = "injected panic in the lookup";
}

impl Users {
    /// Opens the database in `file`. Creates the file if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not a database or not writable.
    pub async fn open(file: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            // Lets connections read during a write.
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(WRITE_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .connect_with(options.clone())
            .await?;
        // No UNIQUE constraint, on purpose: the database must not hide the race that the service is
        // there to show.
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT NOT NULL)",
        )
        .execute(&pool)
        .await?;
        let fault = Arc::default();
        Ok(Self {
            options,
            pool,
            fault,
        })
    }

    /// Returns whether the address has an account.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    ///
    /// # Panics
    ///
    /// Panics if a test [injected](Self::inject_fault) [`Fault::Panics`].
    pub async fn contains(&self, email: &Email) -> sqlx::Result<bool> {
        let fault = self.fault().take();
        match fault {
            Some(Fault::Fails) => return Err(sqlx::Error::WorkerCrashed),
            Some(Fault::Panics) => panic!("{}", Fault::PANIC_MESSAGE),
            None => {}
        }
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE email = ?)")
            .bind(email.as_str())
            .fetch_one(&self.pool)
            .await
    }

    /// Injects a fault into the next lookup.
    pub fn inject_fault(&self, fault: Fault) {
        *self.fault() = Some(fault);
    }

    fn fault(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates an account for an address.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn insert(&self, email: &Email) -> sqlx::Result<User> {
        let id = sqlx::query_scalar("INSERT INTO users (email) VALUES (?) RETURNING id")
            .bind(email.as_str())
            .fetch_one(&self.pool)
            .await?;
        Ok(User {
            id,
            email: email.to_string(),
        })
    }

    /// Returns the address of every account, oldest account first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn emails(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar("SELECT email FROM users ORDER BY id")
            .fetch_all(&self.pool)
            .await
    }

    /// Blocks all other writes, as a backup or a migration does. Lookups still work.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn hold_writes(&self) -> sqlx::Result<HeldWrites> {
        let mut connection = self.options.connect().await?;
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await?;
        Ok(HeldWrites { connection })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction that blocks all other writes until it is released.
#[derive(Debug)]
#[must_use = "dropping it unblocks writes"]
pub struct HeldWrites {
    connection: SqliteConnection,
}

impl HeldWrites {
    /// Unblocks writes.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn release(self) -> sqlx::Result<()> {
        self.connection.close().await
    }
}
