//! `SettleAll::spawned`: each future runs in its own task.

use std::future::{Future, pending, ready};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{Gate, Log, Tracked, in_each_flavor, message, until};
use futures::FutureExt;
use futures::executor::block_on;
use straggler::future::SettleAll;
use straggler::leak::{Call, Report, SpawnedBy, TaskPanic, Verdict, Wait};
use straggler::{LeakCheck, settle_all};
use tokio::runtime::{Builder, Handle};
use tokio::task::yield_now;
use tokio_test::{assert_pending, assert_ready, task};

const ONE: NonZeroUsize = NonZeroUsize::new(1).unwrap();

/// Runs a future that must panic, and returns the panic's message.
async fn panic_of<F: Future>(future: F) -> String {
    message(AssertUnwindSafe(future).catch_unwind().await)
}

/// A future that is ready at once. Its drop tells the test that it has begun, then waits for it.
struct SlowToDrop {
    panics: bool,
    started: mpsc::Sender<()>,
    finish: mpsc::Receiver<()>,
}

impl Future for SlowToDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        assert!(!self.panics, "on purpose");
        Poll::Ready(())
    }
}

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        _ = self.started.send(());
        _ = self.finish.recv();
    }
}

#[test]
fn outputs_in_input_order_completion_by_time() {
    in_each_flavor(|| async {
        let gates = Gate::many(3);
        let futures = gates.clone().into_iter().enumerate();
        let futures = futures.map(|(index, gate)| async move {
            gate.await;
            index
        });
        let mut settling = task::spawn(settle_all(futures).spawned());
        assert_pending!(settling.poll());
        for index in [2, 0] {
            gates[index].open();
            until(|| settling.is_woken()).await;
            assert_pending!(settling.poll());
        }
        gates[1].open();
        let settled = settling.await;
        assert_eq!(settled.completion_order(), [2, 0, 1]);
        assert_eq!(settled.into_vec(), [0, 1, 2]);
    });
}

#[test]
fn each_future_has_its_own_task() {
    in_each_flavor(|| async {
        let own = tokio::spawn(async {
            let ids = || settle_all((0..2).map(|_| async { tokio::task::id() }));
            let shared = ids().await.into_vec();
            assert_eq!(shared, [tokio::task::id(); 2]);
            ids().spawned().await.into_vec()
        });
        let own = own.await.unwrap();
        assert_ne!(own[0], own[1]);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_run_in_parallel() {
    let both = Arc::new(Barrier::new(2));
    let futures = [both.clone(), both].map(|both| async move { both.wait().is_leader() });
    let settled = settle_all(futures).spawned().await;
    assert_ne!(settled[0], settled[1]);
}

#[test]
fn empty_input_is_ready_without_runtime() {
    let none: [std::future::Ready<u8>; 0] = [];
    assert!(assert_ready!(task::spawn(settle_all(none).spawned()).poll()).is_empty());
}

#[test]
fn error_does_not_stop_others() {
    in_each_flavor(|| async {
        let ended = Log::new();
        let futures = (0..3).map(|index| {
            let ended = ended.clone();
            async move {
                if index == 0 {
                    return Err("disk full");
                }
                yield_now().await;
                ended.push(index);
                Ok(index)
            }
        });
        let result = settle_all(futures).spawned().await.into_result();
        assert_eq!(result, Err("disk full"));
        let mut ended = ended.take();
        ended.sort_unstable();
        assert_eq!(ended, [1, 2]);
    });
}

#[test]
fn ready_only_after_futures_dropped() {
    in_each_flavor(|| async {
        for _ in 0..100 {
            let drops = Log::new();
            let futures = (0..4).map(|index| {
                let panics = index == 1;
                Tracked::new(index, &drops).owned_by(async move {
                    yield_now().await;
                    assert!(!panics, "on purpose");
                })
            });
            let settled = settle_all(futures).spawned().catch_unwind().await;
            assert_eq!(settled.err_count(), 1);
            let mut drops = drops.take();
            drops.sort_unstable();
            assert_eq!(drops, [0, 1, 2, 3]);
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_ready_while_future_drops() {
    for panics in [false, true] {
        let (started, has_started) = mpsc::channel();
        let (let_finish, finish) = mpsc::channel();
        let future = SlowToDrop {
            panics,
            started,
            finish,
        };
        let mut settling = task::spawn(settle_all([future]).catch_unwind().spawned());
        assert_pending!(settling.poll());
        has_started.recv().unwrap();
        assert_pending!(settling.poll());
        assert!(!settling.is_woken());
        drop(let_finish);
        assert_eq!(settling.await[0].is_err(), panics);
    }
}

#[test]
fn task_panic_resumes_after_all_settle() {
    #[derive(Debug, PartialEq)]
    struct Custom(u8);

    in_each_flavor(|| async {
        let gates = Gate::many(2);
        let futures = gates.clone().into_iter().enumerate();
        let futures = futures.map(|(index, gate)| async move {
            gate.await;
            if index == 0 {
                panic_any(Custom(7));
            }
        });
        let mut settling = task::spawn(settle_all(futures).spawned());
        assert_pending!(settling.poll());
        gates[0].open();
        until(|| settling.is_woken()).await;
        assert_pending!(settling.poll());
        gates[1].open();
        let payload = AssertUnwindSafe(settling).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&Custom(7)));
    });
}

#[test]
fn catch_unwind_before_or_after_spawned() {
    in_each_flavor(|| async {
        let futures = || settle_all([1, 0].map(|divisor| async move { 6 / divisor }));
        for settled in [
            futures().catch_unwind().spawned().await,
            futures().spawned().catch_unwind().await,
        ] {
            assert_eq!(settled[0].as_ref().unwrap(), &6);
            let panic = settled.first_error().unwrap();
            assert_eq!(panic.message(), Some("attempt to divide by zero"));
        }
    });
}

#[test]
fn drop_panic_of_done_future_is_panic() {
    in_each_flavor(|| async {
        let drops = Log::new();
        let futures = [false, true].map(|panics| {
            let owned = Tracked::new(7, &drops).panics_if(panics);
            owned.owned_by(ready(1))
        });
        let settled = settle_all(futures).spawned().catch_unwind().await;
        assert_eq!(*settled[0].as_ref().unwrap(), 1);
        let panic = settled[1].as_ref().unwrap_err();
        assert_eq!(panic.message(), Some("drop of 7"));
    });
}

#[test]
fn limit_before_or_after_spawned() {
    in_each_flavor(|| async {
        for is_before in [true, false] {
            let gates = Gate::many(3);
            let settling = settle_all(gates.clone());
            let settling = if is_before {
                settling.limit(ONE).spawned()
            } else {
                settling.spawned().limit(ONE)
            };
            let mut settling = task::spawn(settling);
            for index in 0..3 {
                assert_pending!(settling.poll());
                until(|| gates[index].polls() > 0).await;
                // The metric counts a new task at once, but may still count one that has ended.
                let alive = || Handle::current().metrics().num_alive_tasks();
                until(|| alive() == 1).await;
                assert!(gates[index + 1..].iter().all(|gate| gate.polls() == 0));
                gates[index].open();
                until(|| settling.is_woken()).await;
            }
            assert_eq!(settling.await.completion_order(), [0, 1, 2]);
        }
    });
}

#[test]
fn names_before_or_after_spawned() {
    in_each_flavor(|| async {
        let users = ["ada", "bob"];
        let futures = || settle_all(users.map(|user| async move { user.len() }));
        let named = futures().named(|index| users[index]).spawned().await;
        assert_eq!(named.name(1), Some("bob"));
        let named = futures().spawned().named(|index| users[index]).await;
        assert_eq!(named.name(1), Some("bob"));
    });
}

/// Waits until the tasks are aborted that own `0..count`.
async fn all_are_aborted(drops: &Log<usize>, count: usize) {
    let dropped = Mutex::new(Vec::new());
    until(|| {
        let mut dropped = dropped.lock().unwrap();
        dropped.extend(drops.take());
        dropped.len() == count
    })
    .await;
    let mut dropped = dropped.into_inner().unwrap();
    dropped.sort_unstable();
    assert!(dropped.into_iter().eq(0..count));
}

/// Futures that own their indices and wait for `gates`.
#[track_caller]
fn owners(
    drops: &Log<usize>,
    gates: &[Gate],
) -> SettleAll<impl Future<Output = ()> + Send + use<>> {
    let gates = gates.iter().cloned().enumerate();
    let owner = |(index, gate)| Tracked::new(index, drops).owned_by(gate);
    settle_all(gates.map(owner).collect::<Vec<_>>())
}

#[test]
fn drop_aborts_tasks_and_starts_no_more() {
    in_each_flavor(|| async {
        let (drops, gates) = (Log::new(), Gate::many(3));
        let mut settling = task::spawn(owners(&drops, &gates).spawned());
        assert_pending!(settling.poll());
        gates[1].open();
        until(|| settling.is_woken()).await;
        drop(settling);
        all_are_aborted(&drops, 3).await;

        let (drops, gates) = (Log::new(), Gate::many(3));
        let mut settling = task::spawn(owners(&drops, &gates).limit(ONE).spawned());
        assert_pending!(settling.poll());
        assert_eq!(drops.take(), []);
        drop(settling);
        all_are_aborted(&drops, 3).await;
        assert!(gates[1..].iter().all(|gate| gate.polls() == 0));

        drop(owners(&drops, &gates).spawned());
        assert_eq!(drops.take(), [0, 1, 2]);
    });
}

#[test]
fn deadline_aborts_tasks_and_keeps_outputs() {
    in_each_flavor(|| async {
        let (drops, gates) = (Log::new(), Gate::many(3));
        let give_up = Gate::default();
        let settling = owners(&drops, &gates).spawned().deadline(give_up.clone());
        let mut settling = task::spawn(settling);
        assert_pending!(settling.poll());
        gates[1].open();
        until(|| settling.is_woken()).await;
        give_up.open();
        let unsettled = settling.await.unwrap_err();
        assert_eq!(unsettled.settled(), [(1, ())]);
        assert_eq!(unsettled.pending().len(), 2);
        all_are_aborted(&drops, 3).await;
    });
}

#[tokio::test(start_paused = true)]
async fn timeout_fires_on_paused_clock() {
    let settling = settle_all([pending::<()>()]).named(|_| "stuck").spawned();
    let unsettled = settling.timeout(Duration::from_secs(3600)).await;
    assert_eq!(unsettled.unwrap_err().pending()[0].name(), Some("stuck"));
}

#[test]
fn spawned_after_poll_panics() {
    let drops = Log::new();
    for (open, limit) in [(&[][..], 3), (&[], 1), (&[1], 3), (&[0, 1, 2], 3)] {
        let gates = Gate::many(3);
        for &index in open {
            gates[index].open();
        }
        let limit = NonZeroUsize::new(limit).unwrap();
        let line = line!() + 1;
        let mut settling = task::spawn(owners(&drops, &gates).limit(limit));
        assert_eq!(settling.poll().is_ready(), open.len() == 3);
        let settling = settling.into_inner();
        let panic = catch_unwind(AssertUnwindSafe(|| drop(settling.spawned())));
        let message = message(panic);
        let place = format!("the `settle_all` at {}:{line}:", file!());
        assert!(message.starts_with(&place), "{message}");
        assert!(
            message.ends_with("was polled already when `spawned` was called"),
            "{message}"
        );
        let mut drops = drops.take();
        drops.sort_unstable();
        assert_eq!(drops, [0, 1, 2]);
    }
}

#[test]
fn each_future_panics_without_runtime() {
    let drops = Log::new();
    let settled = block_on(owners(&drops, &Gate::many(3)).spawned().catch_unwind());
    assert_eq!(settled.err_count(), 3);
    let message = settled[2].as_ref().unwrap_err().message().unwrap();
    assert!(message.contains("there is no reactor running"), "{message}");
    assert_eq!(drops.take(), [0, 1, 2]);
}

#[test]
fn runtime_shutdown_is_panic() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.worker_threads(2).build().unwrap();
        let (drops, gates) = (Log::new(), Gate::many(3));
        let line = line!() + 1;
        let mut settling = task::spawn(owners(&drops, &gates).spawned().catch_unwind());
        runtime.block_on(async {
            assert_pending!(settling.poll());
            gates[1].open();
            until(|| settling.is_woken()).await;
            assert_pending!(settling.poll());
        });
        drop(runtime);
        let settled = block_on(settling);
        assert!(settled[1].is_ok());
        let message = settled[0].as_ref().unwrap_err().message().unwrap();
        let place = format!("the task spawned at {}:{line}:", file!());
        assert!(message.starts_with(&place), "{message}");
        assert!(
            message.ends_with("was cancelled: its runtime was shut down before it ended"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn repoll_panics() {
    let line = line!() + 1;
    let mut settling = settle_all([ready(1)]).spawned();
    assert_eq!((&mut settling).await.into_vec(), [1]);
    let message = panic_of(settling).await;
    let place = format!(" at {}:{line}:24 was polled again", file!());
    assert!(message.contains(&place), "{message}");
}

/// A leak check for each flavor of runtime.
fn checks() -> [LeakCheck; 3] {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    let multi = LeakCheck::new().runtime(builder);
    [LeakCheck::new(), multi, LeakCheck::new().local()]
}

#[test]
fn leak_check_clean_after_join() {
    for check in checks() {
        let settled = check.run(async {
            let settling = settle_all((0..10).map(|index| async move {
                yield_now().await;
                assert!(index != 5, "on purpose");
            }));
            settling.spawned().catch_unwind().await.err_count()
        });
        assert_eq!(settled.unwrap(), 1);
    }
}

#[test]
fn leak_check_clean_after_half_way_drop() {
    for check in checks() {
        let is_done = check.run(async {
            let settling = settle_all((0..10).map(|_| pending::<()>())).spawned();
            settling.now_or_never().is_some()
        });
        assert!(!is_done.unwrap());
    }
}

#[test]
fn leak_check_ignores_delivered_panics() {
    for check in checks() {
        let panicked = check.run(async {
            let drops = Log::new();
            let panics = || (0..3).map(|index| Tracked::new(index, &drops).panics_if(index > 0));
            let owners = || panics().map(|owned| owned.owned_by(ready(())));
            let returned = settle_all(owners()).spawned().catch_unwind().await;
            let resumed = panic_of(settle_all(owners()).spawned()).await;
            (returned.err_count(), resumed)
        });
        let (returned, resumed) = panicked.unwrap();
        assert_eq!(returned, 2);
        assert!(resumed.starts_with("drop of"), "{resumed}");
    }
}

/// The one panic in a report that has no other.
#[track_caller]
fn only_panic(report: &Report) -> &TaskPanic {
    assert_eq!(*report.verdict(), Verdict::Panicked, "{report}");
    let [panic] = report.panics() else {
        panic!("{report}");
    };
    panic
}

#[test]
fn leak_check_reports_undelivered_panic() {
    for check in checks() {
        let line = line!() + 8;
        let report = check.run(async {
            let gate = Gate::default();
            let opened = gate.clone();
            let pays = async move {
                opened.await;
                panic!("the account is in the red");
            };
            let settling = settle_all([pays]).named(|_| "payer").spawned();
            let mut settling = task::spawn(settling);
            assert_pending!(settling.poll());
            gate.open();
            until(|| settling.is_woken()).await;
            drop(settling);
        });
        let report = report.unwrap_err();
        let panic = only_panic(&report);
        assert_eq!(panic.message(), Some("the account is in the red"));
        assert_eq!(panic.name(), Some("payer"));
        let (spawned_at, place) = (panic.spawned_at().unwrap(), panic.place().unwrap());
        assert_eq!((spawned_at.file(), spawned_at.line()), (file!(), line));
        assert_eq!((place.file(), place.line()), (file!(), line - 2));
    }
}

#[test]
fn leak_check_reports_panic_after_deadline() {
    let [_, check, _] = checks();
    let report = check.run(async {
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (give_up, is_given_up) = mpsc::channel::<()>();
        let panics = async move {
            started.send(()).unwrap();
            // Blocks within a poll, so the deadline cannot abort it.
            is_given_up.recv().unwrap();
            panic!("too late");
        };
        let settling = settle_all([panics]).spawned().deadline(has_started);
        assert_eq!(settling.await.unwrap_err().pending().len(), 1);
        give_up.send(()).unwrap();
    });
    assert_eq!(only_panic(&report.unwrap_err()).message(), Some("too late"));
}

#[test]
fn leak_check_reports_drop_panic_after_deadline() {
    for check in checks() {
        let report = check.run(async {
            let drops = Log::new();
            let owner = Tracked::new(7, &drops)
                .panics_if(true)
                .owned_by(pending::<()>());
            let settling = settle_all([owner]).spawned().deadline(yield_now());
            assert_eq!(settling.await.unwrap_err().pending().len(), 1);
        });
        let report = report.unwrap_err();
        let panic = only_panic(&report);
        assert_eq!(panic.message(), Some("drop of 7"));
        assert_eq!(panic.spawned_at().unwrap().file(), file!());
    }
}

#[test]
fn leak_check_names_place_and_wait() {
    async fn waits() {
        Gate::default().await;
    }

    for check in checks() {
        let line = line!() + 3;
        let report = check.grace(Duration::from_millis(20)).run(async {
            let settling = settle_all([waits()]).named(|_| "reader");
            let mut settling = settling.spawned();
            assert!((&mut settling).now_or_never().is_none());
            std::mem::forget(settling);
        });
        let report = report.unwrap_err();
        let [task] = report.tasks() else {
            panic!("{report}");
        };
        assert_eq!((task.place().file(), task.place().line()), (file!(), line));
        assert_eq!(task.name(), Some("reader"));
        assert_eq!(task.spawned_by(), [SpawnedBy::Test]);
        let Wait::At(places) = task.wait() else {
            panic!("{report}");
        };
        let functions: Vec<_> = places[0].calls().iter().map(Call::function).collect();
        assert!(
            functions[1].ends_with("leak_check_names_place_and_wait::waits"),
            "{report}"
        );
        assert_eq!(report.unseen(), 0);
    }
}

#[tokio::test]
async fn deadline_reports_unfinished_task() {
    let settling = settle_all([pending::<()>()]).named(|_| "payer").spawned();
    let unsettled = settling.deadline(yield_now()).await.unwrap_err();
    let said = format!("{:?}", unsettled.pending());
    assert_eq!(said, "[#0 `payer`: its task was still running]");
}
