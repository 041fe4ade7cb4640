//! Operations that are cancelled beside siblings and other tasks, in drawn schedules.

use futures::channel::oneshot::{Sender, channel};
use straggler::cancellable;
use tokio::sync::{Barrier, Notify, Semaphore};

use super::*;

/// Explores both schedules and cancellations.
fn explore<R: Future<Output = ()>>(body: impl FnMut() -> R) -> Result<usize, Failure> {
    let explored = Explore::new().cancel_in_schedules().find(body)?;
    Ok(explored.runs())
}

/// Registrations take turns by hand.
#[derive(Default)]
struct Accounts {
    is_busy: Cell<bool>,
    is_free: Notify,
    log: Mutex<Vec<&'static str>>,
}

struct Turn<'a>(&'a Accounts);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_busy.set(false);
        self.0.is_free.notify_one();
    }
}

impl Accounts {
    /// Without its repair a cancelled registration never ends its turn.
    async fn register(&self, email: &'static str, repaired: bool) {
        while self.is_busy.replace(true) {
            self.is_free.notified().await;
        }
        let turn = Turn(self);
        let turn = if repaired {
            Ok(turn)
        } else {
            Err(std::mem::ManuallyDrop::new(turn))
        };
        self.log.lock().await.push(email);
        if let Err(turn) = turn {
            drop(std::mem::ManuallyDrop::into_inner(turn));
        }
    }
}

/// In the plain order the first registration is done before the second one begins, so nobody waits for the one
/// that is cancelled.
async fn two_registrations_one_cancelled(repaired: bool) {
    let accounts = Accounts::default();
    settle!(
        accounts.register("ada@example.com", repaired),
        cancellable(accounts.register("bob@example.com", repaired)),
    );
}

#[test]
fn cancelled_registration_blocks_sibling() {
    let failure = explore(|| two_registrations_one_cancelled(false)).unwrap_err();
    assert!(
        matches!(verdict(&failure), Verdict::Deadlocked { .. }),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(
        text.contains("1 forced reordering, 1 cancellation (reduced from "),
        "{text}"
    );
    let steps = failure.schedule().steps();
    let cancels: Vec<_> = steps
        .iter()
        .filter(|step| step.action().starts_with("cancels "))
        .collect();
    assert_eq!(cancels.len(), 1, "{text}");
    assert!(cancels[0].actor().starts_with("child #1 "), "{text}");
    assert!(
        cancels[0]
            .action()
            .contains("Accounts::register, on tokio::sync::mutex::Mutex::lock"),
        "{text}"
    );
}

#[test]
fn repaired_registrations_pass() {
    assert_eq!(
        explore(|| two_registrations_one_cancelled(true)).unwrap(),
        500
    );
}

#[test]
fn neither_schedules_nor_cancellations_alone_block_sibling() {
    let body = || two_registrations_one_cancelled(false);
    assert!(Explore::new().find(body).is_ok());
    assert!(Explore::new().cancel().find(body).is_ok());
}

#[test]
fn same_schedule_and_cancellation_replayed() {
    let body = || two_registrations_one_cancelled(false);
    let found = explore(body).unwrap_err();
    let replay = |seed: &Seed| {
        let explore = Explore::new().cancel_in_schedules().replay(seed.clone());
        explore.find(body)
    };
    let again = replay(found.seed()).unwrap_err();
    assert_eq!(again.schedule(), found.schedule());
    let passes = replay(&"plain".parse().unwrap()).unwrap();
    assert_eq!((passes.runs(), passes.note()), (1, None));
}

/// Each of the two changes is needed, and no seed with one of them fails.
#[test]
fn cancellation_and_reordering_both_needed() {
    let body = || two_registrations_one_cancelled(false);
    let found = explore(body).unwrap_err();
    let seed = found.seed().to_string();
    let (changes, _) = seed.split_once('/').unwrap();
    let changes: Vec<_> = changes.split(',').collect();
    assert_eq!(changes.len(), 2, "{seed}");
    for change in changes {
        let explore = Explore::new().cancel_in_schedules();
        let explored = explore.replay(change.parse().unwrap()).find(body);
        assert!(explored.is_ok(), "{change}: {explored:?}");
    }
}

/// The waiter is handed the permit, and is gone before it is polled again.
///
/// The channel is none of tokio's, so nothing makes the waiter yield there.
async fn handed_over(repaired: bool) {
    let has_permit = Cell::new(false);
    let waiter: RefCell<Option<Sender<()>>> = RefCell::new(None);
    let work = async {
        if !has_permit.replace(false) {
            let (sender, receiver) = channel();
            *waiter.borrow_mut() = Some(sender);
            receiver.await.unwrap();
        }
        has_permit.set(true);
    };
    let release = async {
        yield_now().await;
        let waiter = waiter.borrow_mut().take();
        let is_handed_over = waiter.is_some_and(|waiter| waiter.send(()).is_ok());
        if repaired || !is_handed_over {
            has_permit.set(true);
        }
    };
    settle!(cancellable(work), release);
    assert!(has_permit.get(), "the permit was lost");
}

#[test]
fn permit_handed_over_to_cancelled_waiter_lost() {
    let body = || handed_over(false);
    let failure = explore(body).unwrap_err();
    let message = failure.message().unwrap_or_default();
    assert!(message.contains("the permit was lost"), "{failure}");
    let text = failure.to_string();
    assert!(text.contains("cancels its operation where it is"), "{text}");
    assert!(text.contains(" steps, 1 cancellation"), "{text}");
    assert!(Explore::new().cancel().find(body).is_ok());
}

/// Takes its entry out of the slot when it is dropped.
struct Entry<'a>(&'a RefCell<Option<Sender<()>>>);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// The waiter is seen, and is gone before it is answered. The channel is none of tokio's.
async fn seen_before_answered(repaired: bool) {
    let waiter = RefCell::new(None);
    let is_closed = Cell::new(false);
    let ask = async {
        if is_closed.get() {
            return;
        }
        let (sender, receiver) = channel();
        *waiter.borrow_mut() = Some(sender);
        let _entry = Entry(&waiter);
        _ = receiver.await;
    };
    let answer = async {
        is_closed.set(true);
        if waiter.borrow().is_none() {
            return;
        }
        let taken = repaired.then(|| waiter.take()).flatten();
        yield_now().await;
        let waiter = taken.or_else(|| waiter.take());
        _ = waiter.expect("the waiter is gone").send(());
    };
    settle!(cancellable(ask), answer);
}

/// Nothing wakes the waiter in the meantime.
#[test]
fn waiter_cancelled_while_it_waits() {
    let failure = explore(|| seen_before_answered(false)).unwrap_err();
    let message = failure.message().unwrap_or_default();
    assert!(message.contains("the waiter is gone"), "{failure}");
    let text = failure.to_string();
    assert!(text.contains("cancels its operation where it is"), "{text}");
    assert!(text.contains(" steps, 1 cancellation"), "{text}");
    assert!(
        text.contains("child #0 `cancellable(ask)` waits at "),
        "{text}"
    );
    assert!(!text.contains("wakes child #0"), "{text}");
    assert!(explore(|| seen_before_answered(true)).is_ok());
}

/// The runtime drops an aborted task some time later.
#[test]
fn task_aborted_while_it_waits() {
    struct Slot(Arc<std::sync::Mutex<Option<Sender<()>>>>);
    impl Drop for Slot {
        fn drop(&mut self) {
            self.0.lock().unwrap().take();
        }
    }
    let failure = explore(|| async {
        let (sender, receiver) = channel();
        let waiter = Arc::new(std::sync::Mutex::new(Some(sender)));
        let slot = Slot(Arc::clone(&waiter));
        let ask = straggler::spawn_abortable(async move {
            let _slot = slot;
            _ = receiver.await;
        });
        yield_now().await;
        if waiter.lock().unwrap().is_some() {
            yield_now().await;
            let waiter = waiter.lock().unwrap().take();
            _ = waiter.expect("the waiter is gone").send(());
        }
        _ = ask.await;
    })
    .unwrap_err();
    let message = failure.message().unwrap_or_default();
    assert!(message.contains("the waiter is gone"), "{failure}");
}

#[test]
fn picture_shows_cancellation() {
    let failure = explore(|| handed_over(false)).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("× cancels\n"), "{text}");
    let svg = failure.to_svg();
    assert!(svg.contains("cancels"), "{svg}");
    assert!(svg.contains("steps, 1 cancellation"), "{svg}");
}

#[test]
fn operations_of_tasks_cancelled() {
    let failure = explore(|| async {
        let permits = Arc::new(Semaphore::new(1));
        let work = |permits: Arc<Semaphore>| async move {
            permits.acquire().await.unwrap().forget();
            yield_now().await;
            permits.add_permits(1);
        };
        let tasks = [(); 2].map(|()| {
            let permits = Arc::clone(&permits);
            straggler::spawn(async move { cancellable(work(permits)).await.is_some() })
        });
        for task in tasks {
            _ = task.await.unwrap();
        }
    })
    .unwrap_err();
    assert!(
        matches!(verdict(&failure), Verdict::Deadlocked { .. }),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(
        failure.schedule().steps().is_empty() || text.contains("cancel"),
        "{text}"
    );
}

/// A task that is spawned after the body has cancelled its operation needs a schedule too.
#[test]
fn task_cancels_its_operation_in_a_schedule() {
    let failure = explore(|| async {
        let accounts = Arc::new((std::sync::atomic::AtomicBool::new(false), Notify::new(), Mutex::new(0)));
        let register = |accounts: Arc<(std::sync::atomic::AtomicBool, Notify, Mutex<i32>)>| async move {
            let (is_busy, is_free, count) = &*accounts;
            while is_busy.swap(true, std::sync::atomic::Ordering::SeqCst) {
                is_free.notified().await;
            }
            *count.lock().await += 1;
            is_busy.store(false, std::sync::atomic::Ordering::SeqCst);
            is_free.notify_one();
        };
        let first = straggler::spawn(register(Arc::clone(&accounts)));
        let second = straggler::spawn({
            let accounts = Arc::clone(&accounts);
            async move { _ = cancellable(register(accounts)).await }
        });
        first.await.unwrap();
        second.await.unwrap();
    })
    .unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("task #2 cancels its operation"), "{text}");
}

/// A single cancellation is found at its place, before any schedule is drawn.
#[test]
fn plain_order_comes_first() {
    let failure = explore(|| async {
        let half = Cell::new(false);
        let operation = async {
            half.set(true);
            yield_now().await;
            half.set(false);
        };
        settle!(cancellable(operation), yield_now());
        assert!(!half.get(), "half done");
    })
    .unwrap_err();
    let seed = failure.seed().to_string();
    assert!(seed.starts_with("cancel:"), "{seed}");
}

/// A cancellation that the bug does not need is removed.
#[test]
fn needless_cancellation_removed() {
    let failure = explore(|| async {
        let operation = async {
            for _ in 0..4 {
                yield_now().await;
            }
        };
        settle!(cancellable(operation), async { two_registrations().await });
    })
    .unwrap_err();
    assert!(
        !failure.schedule().to_string().contains("cancels"),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(text.contains("1 forced reordering (reduced from"), "{text}");
}

#[test]
fn untracked_tasks_are_unscheduled() {
    if cfg!(tokio_unstable) || cfg!(straggler_instrumented) {
        return;
    }
    let body = || async {
        cancellable(yield_now()).await;
        tokio::spawn(async {}).await.unwrap();
    };
    let failure = explore(body).unwrap_err();
    assert!(
        failure.to_string().contains("no schedule decided"),
        "{failure}"
    );
    assert!(Explore::new().cancel().find(body).is_ok());
    let allowed = Explore::new()
        .runs(30)
        .cancel_in_schedules()
        .allow_unscheduled();
    assert_eq!(allowed.find(body).unwrap().runs(), 30);
}

#[test]
fn required_overlap_needs_a_drawn_run() {
    let body = || async {
        let both = Barrier::new(2);
        settle!(both.wait(), both.wait());
        cancellable(yield_now()).await;
    };
    let notes = (1..12).map(|runs| {
        let exploring = Explore::new().runs(runs).cancel_in_schedules();
        let explored = exploring.require_overlap().find(body).unwrap();
        explored.note().map(str::to_owned)
    });
    let notes: Vec<_> = notes.collect();
    let says = |what: &str| {
        let mut notes = notes.iter().flatten();
        notes.any(|note| note.contains(what))
    };
    assert!(says("places were tried"), "{notes:?}");
    assert!(says("no run was left to draw a schedule"), "{notes:?}");
    assert_eq!(notes.last(), Some(&None), "{notes:?}");
}

#[straggler::test(explore = 200, cancel, require_overlap)]
#[should_panic(expected = "the permit was lost")]
async fn attribute_explores_both() {
    handed_over(false).await;
}

#[straggler::test(explore = 200, cancel, require_overlap)]
async fn attribute_passes_repaired_twin() {
    handed_over(true).await;
}
