//! `#[straggler::checkpoints]`: what it finds in code that awaits none of tokio's futures.

use std::cell::{Cell, RefCell};
use std::future::ready;

use futures::channel::{mpsc, oneshot};
use futures::lock::Mutex;
use straggler::{Explore, cancellable, settle_all};

/// Reads the balance, awaits a channel that has its message, and writes the balance.
async fn withdraw_in_one_poll(balance: &Cell<i32>, amount: i32) {
    let before = balance.get();
    let (approve, approved) = oneshot::channel();
    approve.send(amount).unwrap();
    balance.set(before - approved.await.unwrap());
}

#[straggler::checkpoints]
async fn withdraw(balance: &Cell<i32>, amount: i32) {
    let before = balance.get();
    let (approve, approved) = oneshot::channel();
    approve.send(amount).unwrap();
    balance.set(before - approved.await.unwrap());
}

/// The repaired twin: it reads the balance after it has waited.
#[straggler::checkpoints]
async fn withdraw_once_approved(balance: &Cell<i32>, amount: i32) {
    let (approve, approved) = oneshot::channel();
    approve.send(amount).unwrap();
    let amount = approved.await.unwrap();
    balance.set(balance.get() - amount);
}

async fn two(withdraw: impl AsyncFn(&Cell<i32>, i32)) {
    let balance = Cell::new(100);
    let _ = settle_all([withdraw(&balance, 30), withdraw(&balance, 50)]).await;
    assert_eq!(balance.get(), 20, "an update was lost");
}

#[test]
fn race_between_futures_of_other_crates_found() {
    let missed = Explore::new().find(|| two(withdraw_in_one_poll));
    assert_eq!(missed.unwrap().note(), None);

    let failure = Explore::new().find(|| two(withdraw)).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("an update was lost"), "{text}");
    let place = format!("child #0 yields at {}:", file!());
    assert!(text.contains(&place), "{text}");
    assert!(
        text.contains(" in explore::checkpoints::withdraw\n"),
        "{text}"
    );
    assert!(!text.contains("__straggler"), "{text}");

    let repaired = Explore::new().find(|| two(withdraw_once_approved));
    assert_eq!(repaired.unwrap().note(), None);
}

#[test]
fn checkpoints_replay() {
    let failure = Explore::new().find(|| two(withdraw)).unwrap_err();
    let again = Explore::new().replay(failure.seed().clone());
    let again = again.find(|| two(withdraw)).unwrap_err();
    assert_eq!(again.schedule(), failure.schedule());
    assert!(!again.to_string().contains("diverge"), "{again}");
}

/// A pool of connections, with a lock and a channel that know nothing of tokio.
struct Pool {
    idle: Mutex<Vec<u32>>,
    lent: Cell<usize>,
}

#[straggler::checkpoints]
impl Pool {
    const SIZE: usize = 1;

    fn new() -> Self {
        Self {
            idle: Mutex::new(vec![7]),
            lent: Cell::new(0),
        }
    }

    /// Checks the limit, and counts only after another `.await`.
    async fn lend(&self) -> Option<u32> {
        if self.lent.get() == Self::SIZE {
            return None;
        }
        let connection = self.idle.lock().await.pop();
        self.lent.set(self.lent.get() + 1);
        connection.or(Some(8))
    }

    /// Holds the lock from the check on.
    async fn lend_locked(&self) -> Option<u32> {
        let mut idle = self.idle.lock().await;
        if self.lent.get() == Self::SIZE {
            return None;
        }
        self.lent.set(self.lent.get() + 1);
        idle.pop()
    }
}

#[test]
fn check_before_lock_found_in_impl() {
    async fn lend_twice(lend: impl AsyncFn(&Pool) -> Option<u32>) {
        let pool = Pool::new();
        let connections = settle_all([lend(&pool), lend(&pool)]).await;
        assert_eq!(connections.iter().flatten().count(), 1);
        assert_eq!(pool.lent.get(), Pool::SIZE);
    }

    let failure = Explore::new().find(|| lend_twice(Pool::lend)).unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains(" in explore::checkpoints::Pool::lend\n"),
        "{text}"
    );
    let locked = Explore::new().find(|| lend_twice(Pool::lend_locked));
    assert_eq!(locked.unwrap().note(), None);
}

#[straggler::checkpoints]
mod queue {
    //! An inner attribute, which comes first.

    use futures::{SinkExt as _, StreamExt as _};

    use super::{mpsc, ready};

    pub(super) mod inner {
        use super::super::RefCell;

        /// Two branches of one task, inside a macro.
        pub(crate) async fn logs(log: &RefCell<Vec<&'static str>>) {
            futures::join!(
                async {
                    super::ready(()).await;
                    log.borrow_mut().push("first");
                },
                async {
                    super::ready(()).await;
                    log.borrow_mut().push("second");
                },
            );
        }
    }

    pub(super) async fn sends() -> Vec<u8> {
        let (mut sender, receiver) = mpsc::channel(2);
        for byte in ready([1, 2]).await {
            sender.send(byte).await.unwrap();
        }
        drop(sender);
        receiver.collect().await
    }
}

#[test]
fn branches_in_macro_reordered() {
    let failure = Explore::new().find(|| async {
        let log = RefCell::default();
        queue::inner::logs(&log).await;
        assert_eq!(log.into_inner(), ["first", "second"]);
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("the body yields at"), "{text}");
}

#[test]
fn module_with_checkpoints_does_what_it_did() {
    let explored = Explore::new().find(|| async { assert_eq!(queue::sends().await, [1, 2]) });
    assert_eq!(explored.unwrap().note(), None);
    assert_eq!(futures::executor::block_on(queue::sends()), [1, 2]);
}

#[straggler::checkpoints]
async fn flushes(batch: &RefCell<Vec<u8>>, disk: &Mutex<Vec<u8>>) {
    let taken = batch.take();
    disk.lock().await.extend(taken);
}

async fn flushes_in_one_poll(batch: &RefCell<Vec<u8>>, disk: &Mutex<Vec<u8>>) {
    let taken = batch.take();
    disk.lock().await.extend(taken);
}

#[straggler::checkpoints]
async fn flushes_once_locked(batch: &RefCell<Vec<u8>>, disk: &Mutex<Vec<u8>>) {
    disk.lock().await.extend(batch.take());
}

#[test]
fn checkpoint_is_a_place_to_cancel() {
    async fn flush(flush: impl AsyncFn(&RefCell<Vec<u8>>, &Mutex<Vec<u8>>)) {
        let (batch, disk) = (RefCell::new(vec![1, 2]), Mutex::default());
        cancellable(flush(&batch, &disk)).await;
        let kept = batch.into_inner().len() + disk.into_inner().len();
        assert_eq!(kept, 2, "bytes were lost");
    }

    let cancel = || Explore::new().cancel();
    let missed = cancel().find(|| flush(flushes_in_one_poll));
    assert!(missed.is_ok());
    let failure = cancel().find(|| flush(flushes)).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("bytes were lost"), "{text}");
    assert!(
        text.contains(" in explore::checkpoints::flushes\n"),
        "{text}"
    );
    let repaired = cancel().find(|| flush(flushes_once_locked));
    assert_eq!(repaired.unwrap().note(), None);
}
