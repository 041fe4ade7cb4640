//! What exploration finds, what it accepts, and how a failing run replays.

#![cfg(all(feature = "tokio", feature = "macros"))]

mod attribute;
mod bugs;
mod cancel;
mod cancel_abort;
mod cancel_bugs;
mod cancel_corpus;
mod cancel_environment;
mod cancel_inside;
mod cancel_messages;
mod cancel_safety;
mod cancel_schedules;
mod cancel_verdicts;
mod checkpoints;
#[path = "../common/child.rs"]
mod child;
mod clock;
mod corpus;
mod deadlocks;
mod diagram;
mod discarded;
mod eager_spawns;
mod environment;
mod exhaustive;
#[cfg(not(straggler_instrumented))]
mod hand_polls;
mod kept_state;
mod race_timers;
mod replay;
mod schedule;
#[cfg(straggler_instrumented)]
mod scheduling_points;
mod shrink;
mod unscheduled;

use std::cell::{Cell, RefCell};
use std::env;
use std::future::{pending, poll_fn, ready};
use std::panic::{catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use straggler::explore::{Failure, Seed, Step};
use straggler::leak::{Report, Verdict};
use straggler::{Explore, LeakCheck, Lock, barrier, checkpoint, settle, settle_all};
use tokio::sync::{Mutex, RwLock, oneshot};
use tokio::task::yield_now;

/// Registers a user unless the name is taken. The check and the insertion race.
async fn register(users: &RwLock<Vec<&str>>, user: &'static str) -> Result<(), &'static str> {
    if users.read().await.contains(&user) {
        return Err("409");
    }
    users.write().await.push(user);
    Ok(())
}

/// Two racing registrations of one user.
async fn two_registrations() {
    let users = RwLock::default();
    let registering = ["eve", "eve"].map(|user| register(&users, user));
    let settled = settle_all(registering)
        .named(|index| ["first", "second"][index])
        .await;
    assert_eq!(settled.ok_count(), 1, "one name, one account");
}

fn verdict(failure: &Failure) -> &Verdict {
    failure
        .report()
        .unwrap_or_else(|| panic!("{failure}"))
        .verdict()
}

#[test]
fn race_found_with_schedule() {
    let failure = Explore::new().find(two_registrations).unwrap_err();
    assert!(failure.run() > 1, "the plain order shows nothing");
    assert!(failure.message().unwrap().contains("one name, one account"));
    let steps: Vec<_> = failure.schedule().steps().iter().collect();
    let who: Vec<_> = steps.iter().map(|step| step.actor()).collect();
    let (first, second) = ("child #0 `first`", "child #1 `second`");
    let expected = [first, second, first, second, first, "the body"];
    assert_eq!(who, expected, "{failure}");
    assert!(
        steps[0]
            .action()
            .starts_with("yields at tests/explore/main.rs:")
    );
    assert!(
        steps[0]
            .action()
            .ends_with("tokio::sync::rwlock::RwLock::read")
    );
    assert!(
        steps[1]
            .action()
            .starts_with("waits at tests/explore/main.rs:")
    );
    assert_eq!(steps[4].action(), "ends");
    assert_eq!(steps[5].action(), "panics");
    let text = failure.to_string();
    assert!(text.contains("steps, 1 forced reordering"), "{text}");
    assert!(text.contains("STRAGGLER_SEED=1:1/"), "{text}");
    let command = if env::var_os("NEXTEST").is_some() {
        "cargo nextest run -E 'binary_id(=straggler::explore) & test(=race_found_with_schedule)'"
    } else {
        "cargo test --test explore race_found_with_schedule -- --exact"
    };
    assert!(text.ends_with(command), "{text}");
}

#[test]
fn race_free_body_passes_every_run() {
    let explored = Explore::new().require_overlap().find(|| async {
        let count = Mutex::new(0);
        let add = || async { *count.lock().await += 1 };
        let _ = settle_all([add(), add(), add()]).await;
        assert_eq!(count.into_inner(), 3);
    });
    let explored = explored.unwrap();
    assert_eq!(explored.runs(), 500);
    assert!(explored.distinct_schedules() > 20, "{explored:?}");
    assert_eq!(explored.note(), None);
}

#[test]
fn race_found_in_tokio_join_and_tracked_tasks() {
    let joined = Explore::new().find(|| async {
        let users = RwLock::default();
        let (one, other) = tokio::join!(register(&users, "eve"), register(&users, "eve"));
        assert_eq!(one.is_ok(), other.is_err());
    });
    assert!(joined.unwrap_err().run() > 1);

    let spawned = Explore::new().find(|| async {
        let users = Arc::new(RwLock::default());
        let tasks = [(); 2].map(|()| {
            let users = Arc::clone(&users);
            straggler::spawn(async move { register(&users, "eve").await.is_ok() })
        });
        let [one, other] = tasks;
        assert_ne!(one.await.unwrap(), other.await.unwrap());
    });
    let failure = spawned.unwrap_err();
    assert!(failure.run() > 1);
    assert!(
        failure
            .schedule()
            .to_string()
            .contains("task #1 yields at ")
    );
}

#[test]
#[cfg(tokio_unstable)]
fn race_found_in_untracked_tasks() {
    let spawned = Explore::new().find(|| async {
        let users = Arc::new(RwLock::default());
        let tasks = [(); 2].map(|()| {
            let users = Arc::clone(&users);
            tokio::spawn(async move { register(&users, "eve").await.is_ok() })
        });
        let [one, other] = tasks;
        assert_ne!(one.await.unwrap(), other.await.unwrap());
    });
    assert!(spawned.unwrap_err().run() > 1);
}

#[test]
fn deadlock_report_names_waiting_children() {
    let failure = Explore::new().find(|| async {
        let (ada, bob) = (Mutex::new(()), Mutex::new(()));
        let both = async |one: &Mutex<()>, other: &Mutex<()>| {
            let _one = one.lock().await;
            let _other = other.lock().await;
        };
        settle!(both(&ada, &bob), both(&bob, &ada));
    });
    let failure = failure.unwrap_err();
    assert!(
        matches!(verdict(&failure), Verdict::Deadlocked { .. }),
        "{failure}"
    );
    let text = failure.to_string();
    assert!(text.contains("as child #0 `both(&ada, &bob)`"), "{text}");
    assert!(text.contains("as child #1 `both(&bob, &ada)`"), "{text}");
    assert!(
        text.contains("on tokio::sync::mutex::Mutex::lock"),
        "{text}"
    );
}

#[test]
fn lock_deadlock_reports_holder_and_waiters() {
    let failure = Explore::new().find(|| async {
        let (ada, bob) = (Lock::new(), Lock::new());
        let both = async |one: &Lock, other: &Lock| {
            let _one = one.acquire().await;
            let _other = other.acquire().await;
        };
        settle!(both(&ada, &bob), both(&bob, &ada));
    });
    let failure = failure.unwrap_err();
    assert!(failure.run() > 1, "{failure}");
    assert!(
        matches!(verdict(&failure), Verdict::Deadlocked { .. }),
        "{failure}"
    );
    let locks = failure.report().unwrap().locks();
    let waiters = locks.iter().map(|lock| lock.waiters().len());
    assert_eq!(waiters.collect::<Vec<_>>(), [1, 1], "{failure}");

    let twice = Explore::new().find(|| async {
        let lock = Lock::new();
        let _held = lock.acquire().await;
        let _again = lock.acquire().await;
    });
    let failure = twice.unwrap_err();
    assert_eq!(failure.run(), 1);
    let locks = failure.report().unwrap().locks();
    assert_eq!((locks.len(), locks[0].waiters().len()), (1, 1), "{failure}");
}

#[test]
fn lock_prevents_race() {
    let explored = Explore::new().require_overlap().find(|| async {
        let (lock, users) = (Lock::new(), RwLock::default());
        let register = || async {
            let _held = lock.acquire().await;
            register(&users, "eve").await
        };
        let settled = settle_all([register(), register()]).await;
        assert_eq!((settled.ok_count(), settled.err_count()), (1, 1));
    });
    explored.unwrap();
}

#[test]
fn late_answer_from_thread_is_no_deadlock() {
    let explored = Explore::new().runs(3).find(|| async {
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // By then the runtime has been idle for long.
            std::thread::sleep(Duration::from_millis(50));
            answer.send(()).unwrap();
        });
        answered.await.unwrap();
        thread.join().unwrap();
    });
    explored.unwrap();
}

#[test]
fn error_leak_and_task_panic_fail_first_run() {
    let failure = Explore::new().find(|| ready(Err::<(), _>("disk full")));
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.run(), failure.message()),
        (1, Some("\"disk full\""))
    );
    assert!(failure.schedule().steps().is_empty());
    assert_eq!(failure.seed().to_string(), "plain/0000");

    let check = || LeakCheck::new().grace(Duration::ZERO);
    let leaks = || async { drop(straggler::spawn(pending::<()>())) };
    let failure = check().explore().find(leaks).unwrap_err();
    assert_eq!((failure.run(), verdict(&failure)), (1, &Verdict::Leaked));
    assert!(check().allow(1).explore().runs(9).find(leaks).is_ok());

    let panics = || async { _ = straggler::spawn(async { panic!("no such table") }).await };
    let failure = check().explore().find(panics).unwrap_err();
    assert_eq!((failure.run(), verdict(&failure)), (1, &Verdict::Panicked));
    assert!(
        check()
            .allow_panics()
            .explore()
            .runs(9)
            .find(panics)
            .is_ok()
    );
}

#[test]
fn sleeps_are_instant_and_ordered() {
    let explored = Explore::new().runs(50).find(|| async {
        let woken = RefCell::new(Vec::new());
        let sleep = |days: u64| {
            let woken = &woken;
            async move {
                tokio::time::sleep(Duration::from_secs(days * 24 * 60 * 60)).await;
                woken.borrow_mut().push(days);
            }
        };
        let _ = settle_all([sleep(3), sleep(1), sleep(2)]).await;
        assert_eq!(woken.into_inner(), [1, 2, 3]);
    });
    assert_eq!(explored.unwrap().runs(), 50);
}

#[test]
fn only_woken_children_polled() {
    let explored = Explore::new().runs(200).find(|| async {
        let wakers = RefCell::new(Vec::new());
        let mut was_polled = false;
        let waits = poll_fn(|context| {
            if was_polled {
                return Poll::Ready(());
            }
            was_polled = true;
            wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        });
        let is_woken = Cell::new(false);
        let wakes_it = async {
            for _ in 0..5 {
                yield_now().await;
            }
            while wakers.borrow().is_empty() {
                yield_now().await;
            }
            is_woken.set(true);
            wakers.borrow_mut().remove(0).wake();
        };
        let waits = async {
            waits.await;
            assert!(is_woken.get(), "it was polled before it was woken");
        };
        settle!(waits, wakes_it);
    });
    explored.unwrap();
}

#[test]
fn children_ready_before_deadline_settle() {
    let explored = Explore::new().runs(200).find(|| async {
        let waker = RefCell::new(None);
        let is_woken = Cell::new(false);
        let children = [0, 1, 2].map(|index| {
            let (waker, is_woken) = (&waker, &is_woken);
            poll_fn(move |context| {
                if index < 2 || is_woken.get() {
                    return Poll::Ready(index);
                }
                *waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            })
        });
        let mut polls = 0;
        let give_up = poll_fn(|context| {
            polls += 1;
            if polls < 4 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Wakes the last child just before the deadline passes.
            is_woken.set(true);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
            Poll::Ready(())
        });
        let settled = settle_all(children).deadline(give_up).await;
        let settled = settled.map(straggler::Settled::into_vec);
        assert_eq!(settled.map_err(|late| late.to_string()), Ok(vec![0, 1, 2]));
    });
    explored.unwrap();
}

#[test]
fn limit_holds_in_every_schedule() {
    let explored = Explore::new().runs(200).find(|| async {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let work = || async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            yield_now().await;
            now.set(now.get() - 1);
            Ok::<_, ()>(())
        };
        let two = 2.try_into().unwrap();
        let settled = settle_all((0..6).map(|_| work())).limit(two).await;
        assert_eq!(settled.len(), 6);
        assert!(most.get() <= 2, "{}", most.get());
        barrier([work(), work()]).await.unwrap();
    });
    explored.unwrap();
}

#[test]
fn checkpoint_yields_only_in_runs() {
    let mut passing = pin!(checkpoint("outside"));
    let polled = tokio_test::task::spawn(passing.as_mut()).poll();
    assert_eq!(polled, Poll::Ready(()));

    let failure = Explore::new().find(|| async {
        let total = Cell::new(0);
        let add = || async {
            let read = total.get();
            checkpoint("between").await;
            total.set(read + 1);
        };
        let _ = settle_all([add(), add()]).await;
        assert_eq!(total.get(), 2);
    });
    let schedule = failure.unwrap_err().schedule().to_string();
    let yields = "child #0 yields at the checkpoint `between`";
    assert!(schedule.contains(yields), "{schedule}");
}

#[test]
fn spinning_child_does_not_starve_sibling() {
    let explored = Explore::new().runs(300).find(|| async {
        let is_done = Cell::new(false);
        let spins = async {
            while !is_done.get() {
                yield_now().await;
            }
        };
        let ends = async {
            for _ in 0..20 {
                yield_now().await;
            }
            is_done.set(true);
        };
        settle!(spins, ends);
    });
    explored.unwrap();
}

#[test]
fn spinning_inner_join_does_not_starve_outer_join() {
    let most = Cell::new(0);
    let explored = Explore::new().runs(300).find(|| async {
        let (is_done, polls) = (Cell::new(false), Cell::new(0));
        let spin = || async {
            while !is_done.get() {
                polls.set(polls.get() + 1);
                yield_now().await;
            }
        };
        let spins = async { settle!(spin(), spin()) };
        let ends = async {
            yield_now().await;
            is_done.set(true);
        };
        settle!(spins, ends);
        most.set(most.get().max(polls.get()));
    });
    explored.unwrap();
    // An unfair schedule would make 20 000 decisions before fairness is forced.
    assert!(most.get() < 5_000, "{}", most.get());
}

#[test]
fn missing_overlap_reported_when_required() {
    let one_by_one = || async {
        for _ in 0..2 {
            let _ = settle_all([yield_now()]).await;
            straggler::spawn(yield_now()).await.unwrap();
        }
    };
    assert!(Explore::new().runs(20).find(one_by_one).is_ok());
    let exploring = Explore::new().runs(20).require_overlap();
    let failure = exploring.find(one_by_one).unwrap_err();
    let text = failure.to_string();
    let says = "in 20 runs of the test `missing_overlap_reported_when_required`";
    assert!(text.contains(says), "{text}");
    assert!(text.contains("in flight at once"), "{text}");
    assert!(
        !text.contains("nothing races"),
        "the run does not show that: {text}"
    );

    let explored = Explore::new().runs(1).require_overlap().find(one_by_one);
    let note = explored.unwrap().note().map(str::to_owned);
    assert!(note.is_some_and(|note| note.contains("was not checked")));

    let aborted = || async {
        straggler::background(pending::<()>());
        for _ in 0..2 {
            let task = straggler::spawn(pending::<()>());
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
    };
    let exploring = Explore::new().runs(20).require_overlap();
    assert!(
        exploring.find(aborted).is_err(),
        "the tasks ran one after the other"
    );

    let tasks = || async {
        let tasks = [(); 2].map(|()| straggler::spawn(yield_now()));
        for task in tasks {
            task.await.unwrap();
        }
    };
    assert!(
        Explore::new()
            .runs(20)
            .require_overlap()
            .find(tasks)
            .is_ok()
    );
}

#[test]
fn overlap_needs_pending_sibling() {
    let exploring = || Explore::new().runs(20).require_overlap();
    let at_once = || async {
        let _ = settle_all([ready(()), ready(())]).await;
    };
    let explored = exploring().find(at_once);
    assert!(explored.is_err(), "each ends at its first poll");

    let never = || async {
        let children = settle_all([pending::<()>(), pending()]);
        assert!(children.deadline(yield_now()).await.is_err());
    };
    exploring().find(never).unwrap();
}

#[test]
fn thread_name_not_taken_for_test_name() {
    let thread = std::thread::Builder::new().name("my worker".to_owned());
    let explore = || {
        Explore::new()
            .find(two_registrations)
            .unwrap_err()
            .to_string()
    };
    let text = thread.spawn(explore).unwrap().join().unwrap();
    assert!(
        !text.contains("my worker") && !text.contains("cargo test"),
        "{text}"
    );
    assert!(text.contains("`.replay(\""), "{text}");
}

#[test]
fn unsupported_exploration_says_why() {
    let explored = tokio_test::block_on(async { Explore::new().find(|| async {}) });
    let text = explored.unwrap_err().to_string();
    assert!(
        text.contains("was not run: it was called inside a tokio runtime"),
        "{text}"
    );

    let builder = tokio::runtime::Builder::new_multi_thread();
    let explored = LeakCheck::new()
        .runtime(builder)
        .explore()
        .find(|| async {});
    let text = explored.unwrap_err().to_string();
    assert!(text.contains("remove `runtime`"), "{text}");
}

#[test]
fn hanging_run_times_out() {
    let check = LeakCheck::new().timeout(Duration::from_millis(50));
    let failure = check.explore().find(|| {
        let mut kept = None::<std::task::Waker>;
        // Something outside the runtime could still use this waker, so it is no deadlock.
        poll_fn(move |context| {
            drop(kept.replace(context.waker().clone()));
            Poll::<()>::Pending
        })
    });
    let failure = failure.unwrap_err();
    assert!(
        matches!(verdict(&failure), Verdict::Hung { .. }),
        "{failure}"
    );
    assert!(failure.to_string().contains("spawned through straggler"));
    let text = failure.to_string();
    for condition in ["not inside another dependency", "no timer keeps firing"] {
        assert!(text.contains(condition), "{text}");
    }
}

/// Resumes a panic whose message equals that of another panic, caught before.
async fn resumes_equal_panic() {
    let caught = catch_unwind(|| panic!("no such table: {}", "users"));
    drop(caught);
    resume_unwind(Box::new("no such table: users".to_owned()))
}

/// Panics, and leaves a task that panics when the runtime drops it.
async fn panics_before_task() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the account was not closed");
        }
    }

    let bomb = Bomb;
    straggler::spawn(async move {
        let _bomb = bomb;
        pending::<()>().await;
    });
    yield_now().await;
    panic!("no such table: users");
}

#[test]
fn body_panic_matched_to_own_place() {
    let failure = Explore::new().find(resumes_equal_panic).unwrap_err();
    let text = failure.to_string();
    let without_place = "the body panicked: no such table";
    assert!(text.contains(without_place), "{text}");

    let failure = Explore::new().find(panics_before_task).unwrap_err();
    let text = failure.to_string();
    let with_place = format!("the body panicked at {}:", file!());
    assert!(text.contains(&with_place), "{text}");
}

/// A task panics before it notifies the body.
async fn panic_deadlocks_body() {
    let (sender, receiver) = oneshot::channel::<()>();
    Box::leak(Box::new(sender));
    straggler::spawn(async { panic!("no such table") });
    _ = receiver.await;
}

#[test]
fn task_panic_ranks_above_deadlock_of_run() {
    let failure = Explore::new().find(panic_deadlocks_body).unwrap_err();
    assert_eq!(*verdict(&failure), Verdict::Panicked, "{failure}");
    let ending = failure.report().and_then(Report::ending);
    assert!(
        matches!(ending, Some(Verdict::Deadlocked { .. })),
        "{failure}"
    );
    let replayed = Explore::new().replay(failure.seed().clone());
    let again = replayed.find(panic_deadlocks_body).unwrap_err();
    assert_eq!(*verdict(&again), Verdict::Panicked, "{again}");
}
