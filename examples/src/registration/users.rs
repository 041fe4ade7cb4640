//! The users in the database.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::Email;

/// How long a write waits for another one to end. Long enough for a busy machine.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Given out by the database.
    pub id: i64,
    /// In lower case.
    pub email: String,
}

/// The table of users in an `SQLite` database.
#[derive(Clone, Debug)]
pub struct Users {
    options: SqliteConnectOptions,
    pool: SqlitePool,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// What a look-up does instead of its work, so that it can be seen what comes of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, as if the database had.
    Fails,
    /// It panics.
    Panics,
}

impl Users {
    /// Opens the database in `file`, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// If the file is no database or cannot be written.
    pub async fn open(file: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            // Reads go on while somebody writes.
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(WRITE_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .connect_with(options.clone())
            .await?;
        // Without UNIQUE on purpose, so that the race can be seen: nobody but the service keeps an
        // address from being inserted twice.
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

    /// Says whether there is an account with this address.
    ///
    /// # Errors
    ///
    /// If the database fails.
    ///
    /// # Panics
    ///
    /// If it was [told](Self::break_next_look_up) to.
    pub async fn contains(&self, email: &Email) -> sqlx::Result<bool> {
        let fault = self.fault().take();
        match fault {
            Some(Fault::Fails) => return Err(sqlx::Error::WorkerCrashed),
            Some(Fault::Panics) => panic!("the look-up panics, as it was told to"),
            None => {}
        }
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM users WHERE email = ?)")
            .bind(email.as_str())
            .fetch_one(&self.pool)
            .await
    }

    /// Has the next look-up do something else.
    pub fn break_next_look_up(&self, fault: Fault) {
        *self.fault() = Some(fault);
    }

    fn fault(&self) -> std::sync::MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an account with this address.
    ///
    /// # Errors
    ///
    /// If the database fails.
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

    /// Returns the address of every account, the oldest account first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn emails(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar("SELECT email FROM users ORDER BY id")
            .fetch_all(&self.pool)
            .await
    }

    /// Keeps everybody from writing, as a backup or a migration does. Look-ups go on.
    ///
    /// # Errors
    ///
    /// If the database fails.
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

/// A transaction that keeps everybody else from writing until it is released.
#[derive(Debug)]
#[must_use = "writes go on when it is dropped"]
pub struct HeldWrites {
    connection: SqliteConnection,
}

impl HeldWrites {
    /// Lets writes go on.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn release(self) -> sqlx::Result<()> {
        self.connection.close().await
    }
}
