//! Futures that keep using up tokio's cooperative budget ("hogs") starve neither each other nor the
//! clock.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use straggler::{Pending, barrier, settle, settle_all};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

/// A flag that one future sets while others busy-wait for it.
///
/// The busy-waiting panics after many rounds, so a test fails rather than hangs if a hog starves
/// the others.
struct Flag {
    set: AtomicBool,
    rounds: AtomicUsize,
    patience: usize,
}

impl Default for Flag {
    fn default() -> Self {
        Self::with_patience(1_000_000)
    }
}

impl Flag {
    fn with_patience(rounds: usize) -> Self {
        Self {
            set: AtomicBool::new(false),
            rounds: AtomicUsize::new(0),
            patience: rounds,
        }
    }

    fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        let rounds = self.rounds.fetch_add(1, Ordering::SeqCst);
        assert!(rounds < self.patience, "the other futures starve");
        self.set.load(Ordering::SeqCst)
    }

    /// Spends the whole budget in every poll.
    async fn hog_until_set(&self) {
        while !self.is_set() {
            consume_budget().await;
        }
    }

    /// Needs some budget itself, several times.
    async fn set_after_some_work(&self) {
        let free = Semaphore::new(1);
        for _ in 0..10 {
            drop(free.acquire().await);
            yield_now().await;
        }
        self.set();
    }
}

async fn two_hogs_do_not_starve_the_third() {
    for third in 0..3 {
        let flag = Flag::default();
        let settled = settle_all((0..3).map(|index| {
            let flag = &flag;
            async move {
                if index == third {
                    flag.set_after_some_work().await;
                } else {
                    flag.hog_until_set().await;
                }
            }
        }))
        .await;
        assert_eq!(settled.completion_order()[0], third);
    }
}

#[tokio::test]
async fn hogs_do_not_starve_others() {
    two_hogs_do_not_starve_the_third().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hogs_in_task_do_not_starve_others() {
    tokio::spawn(two_hogs_do_not_starve_the_third())
        .await
        .unwrap();
}

#[tokio::test]
async fn hogs_in_macros_do_not_starve_others() {
    let flag = Flag::default();
    settle!(
        flag.hog_until_set(),
        flag.hog_until_set(),
        flag.set_after_some_work(),
    );
    let flag = Flag::default();
    let passed = barrier!(
        async {
            flag.hog_until_set().await;
            Ok::<_, ()>(1)
        },
        async {
            flag.set_after_some_work().await;
            Ok(2)
        },
    );
    assert_eq!(passed, Ok((1, 2)));
}

#[tokio::test]
async fn hog_does_not_starve_channel() {
    let flag = Flag::default();
    let (sender, mut receiver) = mpsc::channel(1);
    settle!(
        flag.hog_until_set(),
        async {
            for number in 0..500 {
                sender.send(number).await.unwrap();
            }
            drop(sender);
        },
        async {
            let mut expected = 0..500;
            while let Some(number) = receiver.recv().await {
                assert_eq!(Some(number), expected.next());
            }
            flag.set();
        },
    );
}

#[tokio::test]
async fn hog_does_not_starve_sibling_task() {
    let flag = std::sync::Arc::new(Flag::default());
    let sets = tokio::spawn({
        let flag = flag.clone();
        async move { flag.set_after_some_work().await }
    });
    let waits = barrier([0, 1].map(|_| async {
        flag.hog_until_set().await;
        Ok::<_, ()>(())
    }));
    assert_eq!(waits.await, Ok(vec![(), ()]));
    sets.await.unwrap();
}

#[tokio::test]
async fn thousands_of_ready_operations_settle() {
    let free = Semaphore::new(1);
    let settled = settle_all((0..10_000).map(|_| async { free.acquire().await.is_ok() })).await;
    assert_eq!(settled.into_vec(), [true; 10_000]);
}

/// Advances the paused clock, which does not advance by itself while a task is busy.
fn let_time_pass() -> tokio::task::JoinHandle<()> {
    tokio::spawn(async {
        yield_now().await;
        tokio::time::advance(Duration::from_secs(2)).await;
    })
}

#[tokio::test(start_paused = true)]
async fn timeout_fires_beside_hogs() {
    for hogs in [1, 2, 3, 200] {
        let flag = Flag::default();
        let time = let_time_pass();
        let futures = (0..hogs).map(|_| flag.hog_until_set());
        let settling = settle_all(futures).timeout(Duration::from_secs(1));
        let unsettled = settling.await.unwrap_err();
        assert_eq!(unsettled.pending().len(), hogs);
        assert!(unsettled.pending().iter().all(Pending::can_be_woken));
        time.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_in_task_fires_beside_hog() {
    let time = let_time_pass();
    let settling = async {
        let flag = Flag::default();
        settle_all([flag.hog_until_set()])
            .timeout(Duration::from_secs(1))
            .await
            .map_err(|unsettled| unsettled.pending().len())
    };
    let settling = tokio::spawn(settling).await.unwrap();
    assert_eq!(settling, Err(1));
    time.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeout_fires_beside_hogs_on_threads() {
    // A multi-threaded runtime cannot pause its clock, so this waits for a real millisecond. The
    // hogs hold out for about a minute, so a slow machine does not fail the test.
    let settling = tokio::spawn(async {
        let flag = Flag::with_patience(1_000_000_000);
        let futures = (0..3).map(|_| flag.hog_until_set());
        settle_all(futures)
            .timeout(Duration::from_millis(1))
            .await
            .map_err(|unsettled| unsettled.pending().len())
    });
    assert_eq!(settling.await.unwrap(), Err(3));
}

#[tokio::test]
async fn deadline_passes_beside_hogs() {
    let flag = Flag::default();
    let futures = (0..3).map(|_| flag.hog_until_set());
    let unsettled = settle_all(futures).deadline(yield_now()).await.unwrap_err();
    assert_eq!(unsettled.pending().len(), 3);
    assert!(
        settle_all([pending::<()>()])
            .deadline(yield_now())
            .await
            .is_err()
    );
}
