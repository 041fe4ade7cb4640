//! The joins under test: the ways to wait for n futures.

use futures::stream::{FuturesUnordered, StreamExt};
use futures_concurrency::future::Join as _;
use straggler::Settled;
use tokio::task::JoinSet;

/// One way to wait for n futures.
pub trait Join {
    /// The name users know it by.
    const NAME: &str;

    /// Whether it spawns a task for each future.
    const SPAWNS: bool = false;

    /// The outputs of all futures.
    type Output;

    /// Joins the futures.
    fn join<F>(futures: Vec<F>) -> impl Future<Output = Self::Output>
    where
        F: Future<Output = usize> + Send + 'static;
}

/// `straggler::settle_all`.
#[derive(Debug)]
pub struct Ours;

impl Join for Ours {
    const NAME: &str = "settle_all";

    type Output = Settled<usize>;

    fn join<F>(futures: Vec<F>) -> impl Future<Output = Self::Output>
    where
        F: Future<Output = usize> + Send + 'static,
    {
        straggler::settle_all(futures)
    }
}

/// `futures::future::join_all`.
#[derive(Debug)]
pub struct JoinAll;

impl Join for JoinAll {
    const NAME: &str = "join_all";

    type Output = Vec<usize>;

    fn join<F>(futures: Vec<F>) -> impl Future<Output = Self::Output>
    where
        F: Future<Output = usize> + Send + 'static,
    {
        futures::future::join_all(futures)
    }
}

/// `FuturesUnordered`. Its outputs are in completion order.
#[derive(Debug)]
pub struct Unordered;

impl Join for Unordered {
    const NAME: &str = "FuturesUnordered";

    type Output = Vec<usize>;

    fn join<F>(futures: Vec<F>) -> impl Future<Output = Self::Output>
    where
        F: Future<Output = usize> + Send + 'static,
    {
        FuturesUnordered::from_iter(futures).collect()
    }
}

/// The join of a `Vec` in `futures_concurrency`.
#[derive(Debug)]
pub struct Concurrency;

impl Join for Concurrency {
    const NAME: &str = "futures_concurrency";

    type Output = Vec<usize>;

    fn join<F>(futures: Vec<F>) -> impl Future<Output = Self::Output>
    where
        F: Future<Output = usize> + Send + 'static,
    {
        futures.join()
    }
}

/// `futures_buffered::join_all`.
#[derive(Debug)]
pub struct Buffered;

impl Join for Buffered {
    const NAME: &str = "futures_buffered";

    type Output = Vec<usize>;

    fn join<F>(futures: Vec<F>) -> impl Future<Output = Self::Output>
    where
        F: Future<Output = usize> + Send + 'static,
    {
        futures_buffered::join_all(futures)
    }
}

/// `tokio::task::JoinSet`. Its outputs are in completion order.
#[derive(Debug)]
pub struct Tasks;

impl Join for Tasks {
    const NAME: &str = "JoinSet";

    const SPAWNS: bool = true;

    type Output = Vec<usize>;

    async fn join<F>(futures: Vec<F>) -> Self::Output
    where
        F: Future<Output = usize> + Send + 'static,
    {
        JoinSet::from_iter(futures).join_all().await
    }
}

/// A loop that awaits one future after another.
///
/// It is not a join. Its time is the lower bound for futures that are ready at once.
#[derive(Debug)]
pub struct SequentialAwaits;

impl Join for SequentialAwaits {
    const NAME: &str = "loop";

    type Output = Vec<usize>;

    async fn join<F>(futures: Vec<F>) -> Self::Output
    where
        F: Future<Output = usize> + Send + 'static,
    {
        let mut outputs = Vec::with_capacity(futures.len());
        for future in futures {
            outputs.push(future.await);
        }
        outputs
    }
}
