//! A transaction that a cancelled operation leaves open on a connection of the pool, with the real database.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, SqlitePool};
use straggler::{Explore, cancellable};
use tempfile::TempDir;

type Outcome = anyhow::Result<()>;

/// A pool of one connection to a new database. The folder is removed when it is dropped.
async fn open() -> anyhow::Result<(SqlitePool, TempDir)> {
    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("accounts"))
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await?;
    sqlx::query("CREATE TABLE accounts (email TEXT PRIMARY KEY)")
        .execute(&pool)
        .await?;
    Ok((pool, folder))
}

const INSERT: &str = "INSERT OR IGNORE INTO accounts VALUES ('ada@example.com')";

/// The next user of the connection finds it within the transaction.
async fn insert_by_hand(pool: &SqlitePool) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    sqlx::query("BEGIN").execute(&mut *connection).await?;
    sqlx::query(INSERT).execute(&mut *connection).await?;
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// The drop of the transaction rolls it back.
async fn insert(pool: &SqlitePool) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query(INSERT).execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn cancel_and_repeat(insert: impl AsyncFn(&SqlitePool) -> sqlx::Result<()>) -> Outcome {
    // The database answers from a thread of its own, for which a paused clock does not wait.
    tokio::time::resume();
    let (pool, _folder) = open().await?;
    match cancellable(insert(&pool)).await {
        Some(inserted) => inserted?,
        None => insert(&pool).await?,
    }
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM accounts")
        .fetch_one(&pool)
        .await?;
    assert_eq!(count, 1);
    pool.close().await;
    Ok(())
}

#[test]
fn transaction_left_open_found() {
    // An answer that is there at once leaves no place to wait for it, so the places of two runs may differ: those of one
    // exploration may all miss the transaction.
    let explore = |_| {
        Explore::new()
            .cancel()
            .find(|| cancel_and_repeat(insert_by_hand))
            .err()
    };
    let failure = (0..20)
        .find_map(explore)
        .expect("the transaction stays open");
    let message = failure.message().unwrap_or_default();
    assert!(
        message.contains("cannot start a transaction within a transaction"),
        "{failure}"
    );
    assert!(
        failure.seed().to_string().starts_with("cancel:"),
        "{failure}"
    );
}

#[straggler::test(cancel)]
async fn transaction_rolled_back_by_drop() -> Outcome {
    cancel_and_repeat(insert).await
}
