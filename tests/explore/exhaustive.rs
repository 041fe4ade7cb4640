//! Exhaustive exploration: how many schedules there are, and what is said of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use straggler::explore::Explored;
use tokio::sync::mpsc;
use tokio::task::consume_budget;

use super::*;
use bugs::{CORPUS, Needs};

/// Explores all schedules of a body that passes in each of them.
#[track_caller]
fn all_pass<R: Future<Output = ()>>(body: impl FnMut() -> R) -> Explored {
    let explored = Explore::new().exhaustive(100_000).find(body).unwrap();
    assert!(explored.is_exhaustive(), "{explored}");
    explored
}

#[track_caller]
fn count<R: Future<Output = ()>>(body: impl FnMut() -> R) -> usize {
    all_pass(body).distinct_schedules()
}

/// In how many orders actors can take this many steps each.
fn orders(steps: &[usize]) -> usize {
    if steps.iter().all(|left| *left == 0) {
        return 1;
    }
    let next = (0..steps.len()).filter(|actor| steps[*actor] > 0);
    next.map(|actor| {
        let mut left = steps.to_vec();
        left[actor] -= 1;
        orders(&left)
    })
    .sum()
}

/// In how many schedules actors can make this many operations each, if each operation can yield once.
fn orders_with_yields(operations: &[usize]) -> usize {
    /// In how many ways a number of operations of one actor can yield.
    fn ways(operations: usize, yields: usize) -> usize {
        match (operations, yields) {
            (_, 0) => 1,
            (0, _) => 0,
            _ => {
                let kinds = if cfg!(straggler_instrumented) { 2 } else { 1 };
                ways(operations - 1, yields) + kinds * ways(operations - 1, yields - 1)
            }
        }
    }
    fn sum(operations: &[usize], polls: &mut Vec<usize>) -> usize {
        let Some((first, rest)) = operations.split_first() else {
            return orders(polls);
        };
        let yields = 0..=*first;
        yields
            .map(|yields| {
                polls.push(yields + 1);
                let sum = ways(*first, yields) * sum(rest, polls);
                polls.pop();
                sum
            })
            .sum()
    }
    sum(operations, &mut Vec::new())
}

/// A future of this many polls, which uses no operation of tokio.
async fn polls(count: usize) {
    for _ in 1..count {
        let mut is_passed = false;
        poll_fn(|context| {
            if is_passed {
                return Poll::Ready(());
            }
            is_passed = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// A future of this many operations, which need not wait.
async fn operations(count: usize) {
    for _ in 0..count {
        consume_budget().await;
    }
}

/// Notifies when a number of tasks has ended, without an operation of tokio.
#[derive(Default)]
struct Ended {
    left: usize,
    waker: Option<Waker>,
}

type SharedEnded = Arc<std::sync::Mutex<Ended>>;

fn spawn_and_notify(ended: &SharedEnded, task: impl Future<Output = ()> + Send + 'static) {
    ended.lock().unwrap().left += 1;
    let ended = Arc::clone(ended);
    straggler::spawn(async move {
        task.await;
        let mut ended = ended.lock().unwrap();
        ended.left -= 1;
        if ended.left == 0 {
            if let Some(waker) = ended.waker.take() {
                waker.wake();
            }
        }
    });
}

async fn all_ended(ended: &SharedEnded) {
    poll_fn(|context| {
        let mut ended = ended.lock().unwrap();
        if ended.left == 0 {
            return Poll::Ready(());
        }
        ended.waker = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}

#[test]
fn children_take_every_order() {
    for steps in [
        vec![],
        vec![1],
        vec![5],
        vec![1, 1],
        vec![2, 3],
        vec![4, 4],
        vec![1, 1, 1],
        vec![2, 2, 2],
        vec![1, 2, 3],
    ] {
        let all = count(async || _ = settle_all(steps.iter().copied().map(polls)).await);
        assert_eq!(all, orders(&steps), "{steps:?}");
    }
}

#[test]
fn nested_children_take_every_order() {
    for steps in [[1, 1, 1], [2, 2, 1], [1, 2, 3]] {
        let [one, two, three] = steps;
        let all = count(|| async move {
            settle!(async { settle!(polls(one), polls(two)) }, polls(three));
        });
        assert_eq!(all, orders(&steps), "{steps:?}");
    }
}

#[test]
fn tasks_take_every_order() {
    for steps in [[1, 1, 1], [2, 2, 1], [2, 1, 3], [3, 3, 1]] {
        let [one, two, body] = steps;
        let all = count(|| async move {
            let ended = SharedEnded::default();
            spawn_and_notify(&ended, polls(one));
            spawn_and_notify(&ended, polls(two));
            polls(body).await;
            all_ended(&ended).await;
        });
        // The body spawns them in its first poll.
        assert_eq!(all, orders(&[one, two, body - 1]), "{steps:?}");
    }
}

#[test]
fn tasks_and_children_take_every_order() {
    for steps in [[1, 1, 1], [2, 2, 1], [1, 2, 2]] {
        let [one, two, task] = steps;
        let all = count(|| async move {
            let ended = SharedEnded::default();
            spawn_and_notify(&ended, polls(task));
            polls(2).await;
            settle!(polls(one), polls(two));
            all_ended(&ended).await;
        });
        // A poll of the body is a poll of a child. The first two polls of the body are its own, but the second
        // also polls a child.
        let in_body = orders(&[one, two]) * orders(&[one + two, task]);
        assert_eq!(all, in_body, "{steps:?}");
    }
}

#[test]
fn operations_yield_in_every_way() {
    for counts in [
        vec![1],
        vec![3],
        vec![1, 1],
        vec![2, 1],
        vec![2, 2],
        vec![1, 1, 1],
    ] {
        let all = count(async || _ = settle_all(counts.iter().copied().map(operations)).await);
        assert_eq!(all, orders_with_yields(&counts), "{counts:?}");
    }
}

/// What a run recorded, in order.
type Trace = Arc<std::sync::Mutex<Vec<&'static str>>>;

fn push(trace: &Trace, event: &'static str) {
    trace.lock().unwrap().push(event);
}

/// Makes a body that records what happens.
type TracedBody = fn(Trace) -> bugs::Body;

/// The traces of all runs of an exploration.
fn traces(explore: Explore, body: TracedBody) -> (Explored, BTreeSet<Vec<&'static str>>) {
    let seen = RefCell::new(BTreeSet::new());
    let explored = explore.find(|| async {
        let trace = Trace::default();
        body(Arc::clone(&trace)).await;
        let trace = std::mem::take(&mut *trace.lock().unwrap());
        seen.borrow_mut().insert(trace);
    });
    (explored.unwrap(), seen.into_inner())
}

/// All ways to merge two sequences.
fn merges(one: &[&'static str], other: &[&'static str]) -> BTreeSet<Vec<&'static str>> {
    let (Some((first, one_rest)), Some((second, other_rest))) =
        (one.split_first(), other.split_first())
    else {
        return BTreeSet::from([[one, other].concat()]);
    };
    let before = |event: &'static str, rest: BTreeSet<Vec<&'static str>>| {
        rest.into_iter()
            .map(move |rest| [vec![event], rest].concat())
    };
    let begins_with_one = before(first, merges(one_rest, other));
    begins_with_one
        .chain(before(second, merges(one, other_rest)))
        .collect()
}

async fn in_turn(trace: &Trace, before: &'static str, lock: &Mutex<()>, after: &'static str) {
    push(trace, before);
    let _held = lock.lock().await;
    push(trace, after);
}

async fn in_section(trace: &Trace, lock: &Mutex<()>, events: [&'static str; 2]) {
    let _held = lock.lock().await;
    push(trace, events[0]);
    consume_budget().await;
    push(trace, events[1]);
}

#[test]
fn operations_merge_in_every_way() {
    let body = |trace: Trace| -> bugs::Body {
        Box::pin(async move {
            let child = async |events: [&'static str; 2]| {
                for event in events {
                    push(&trace, event);
                    consume_budget().await;
                }
            };
            settle!(child(["a", "b"]), child(["x", "y"]));
        })
    };
    let (explored, seen) = traces(Explore::new().exhaustive(50_000), body);
    assert!(explored.is_exhaustive(), "{explored}");
    assert_eq!(seen, merges(&["a", "b"], &["x", "y"]));
}

#[test]
fn lock_orders_are_all_and_only_these() {
    let body = |trace: Trace| -> bugs::Body {
        Box::pin(async move {
            let lock = Mutex::new(());
            settle!(
                in_section(&trace, &lock, ["a", "b"]),
                in_section(&trace, &lock, ["x", "y"])
            );
        })
    };
    let (explored, seen) = traces(Explore::new().exhaustive(50_000), body);
    assert!(explored.is_exhaustive(), "{explored}");
    let orders = [vec!["a", "b", "x", "y"], vec!["x", "y", "a", "b"]];
    assert_eq!(seen, BTreeSet::from(orders));
}

/// Bodies of every kind that is scheduled.
const BODIES: &[(&str, TracedBody)] = &[
    ("lock", |trace| {
        Box::pin(async move {
            let lock = Mutex::new(());
            settle!(
                in_turn(&trace, "a", &lock, "b"),
                in_turn(&trace, "x", &lock, "y")
            );
        })
    }),
    ("lock, in tasks", |trace| {
        Box::pin(async move {
            let lock = Arc::new(Mutex::new(()));
            let (of_task, lock_of_task) = (Arc::clone(&trace), Arc::clone(&lock));
            let task =
                straggler::spawn(async move { in_turn(&of_task, "a", &lock_of_task, "b").await });
            in_turn(&trace, "x", &lock, "y").await;
            task.await.unwrap();
        })
    }),
    ("channel", |trace| {
        Box::pin(async move {
            let (sender, mut receiver) = mpsc::channel(2);
            let send = async {
                sender.send("a").await.unwrap();
                push(&trace, "sent");
                drop(sender);
            };
            let receive = async {
                push(&trace, "x");
                while let Some(event) = receiver.recv().await {
                    push(&trace, event);
                }
                push(&trace, "closed");
            };
            settle!(send, receive);
        })
    }),
    ("answer of a task", |trace| {
        Box::pin(async move {
            let (send, receive) = oneshot::channel();
            let of_task = Arc::clone(&trace);
            let task = straggler::spawn(async move {
                push(&of_task, "a");
                _ = send.send(());
                consume_budget().await;
                push(&of_task, "b");
            });
            consume_budget().await;
            push(&trace, "x");
            receive.await.unwrap();
            push(&trace, "y");
            task.await.unwrap();
        })
    }),
    ("branches of the body", |trace| {
        Box::pin(async move {
            let lock = Mutex::new(());
            tokio::join!(
                in_turn(&trace, "a", &lock, "b"),
                in_turn(&trace, "x", &lock, "y")
            );
        })
    }),
    ("operations in branches of the body", |trace| {
        Box::pin(async move {
            let branch = async |before, after| {
                push(&trace, before);
                consume_budget().await;
                push(&trace, after);
            };
            tokio::join!(branch("a", "b"), branch("x", "y"));
        })
    }),
    ("branches of a child", |trace| {
        Box::pin(async move {
            let lock = Mutex::new(());
            // `tokio::join!` polls the branches in another order each time.
            let branches = futures::future::join(in_turn(&trace, "a", &lock, "b"), async {
                consume_budget().await;
                push(&trace, "c");
            });
            settle!(branches, in_turn(&trace, "x", &lock, "y"));
        })
    }),
    ("first of two", |trace| {
        Box::pin(async move {
            let (sender, mut receiver) = mpsc::channel(1);
            let lock = Mutex::new(());
            let first = async {
                tokio::select! {
                    biased;
                    _ = receiver.recv() => push(&trace, "a"),
                    _ = lock.lock() => push(&trace, "b"),
                }
            };
            let send = async {
                sender.send(()).await.unwrap();
                push(&trace, "x");
            };
            settle!(first, send);
        })
    }),
    ("notified", |trace| {
        Box::pin(async move {
            let notify = tokio::sync::Notify::new();
            let wait = async {
                consume_budget().await;
                notify.notified().await;
                push(&trace, "a");
            };
            let tell = async {
                push(&trace, "x");
                notify.notify_one();
                consume_budget().await;
                push(&trace, "y");
            };
            settle!(wait, tell);
        })
    }),
    ("checkpoints", |trace| {
        Box::pin(async move {
            let child = async |before, after| {
                push(&trace, before);
                checkpoint("between").await;
                push(&trace, after);
            };
            settle!(child("a", "b"), child("x", "y"));
        })
    }),
    ("yields", |trace| {
        Box::pin(async move {
            let child = async |events: [&'static str; 3]| {
                for event in events {
                    push(&trace, event);
                    yield_now().await;
                }
            };
            settle!(child(["a", "b", "c"]), child(["x", "y", "z"]));
        })
    }),
    ("timers", |trace| {
        Box::pin(async move {
            let child = async |event| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                push(&trace, event);
            };
            settle!(child("a"), child("b"));
        })
    }),
];

/// Not compared in a build with scheduling points. There an operation that yields before it begins lets the
/// other branches of its child or body go on, as the guide says; and the yields have more than 50 000 schedules.
const WITHOUT_POINTS: &[&str] = &[
    "branches of a child",
    "operations in branches of the body",
    "yields",
];

#[track_caller]
fn assert_sample_shows_nothing_new(name: &str, body: TracedBody) {
    let (explored, all) = traces(Explore::new().exhaustive(50_000), body);
    assert!(explored.is_exhaustive(), "{name}: {explored}");
    assert!(all.len() > 1, "{name}: {all:?}");
    let (_, sample) = traces(Explore::new().runs(500), body);
    let new: Vec<_> = sample.difference(&all).collect();
    assert!(new.is_empty(), "{name}: {new:?} is not among {all:?}");
}

#[test]
fn sample_shows_nothing_new() {
    for (name, body) in BODIES {
        if cfg!(straggler_instrumented) && WITHOUT_POINTS.contains(name) {
            continue;
        }
        assert_sample_shows_nothing_new(name, *body);
    }
}

#[test]
fn sample_of_futures_with_own_wakers_shows_nothing_new() {
    assert_sample_shows_nothing_new("futures with wakers of their own", |trace| {
        Box::pin(async move {
            let lock = Mutex::new(());
            let all = [["a", "b"], ["x", "y"]];
            let all = all.map(|[before, after]| in_turn(&trace, before, &lock, after));
            FuturesUnordered::from_iter(all).collect::<()>().await;
        })
    });
}

/// Bugs whose bodies have more schedules than a test has time for.
const LARGE: &[&str] = &["task that is late", "task that is later than two that talk"];

#[test]
fn known_bug_passes_no_full_exploration() {
    let is_tried = |needs| match needs {
        Needs::Budget => true,
        Needs::PointsBefore => cfg!(straggler_instrumented),
        Needs::YieldWhileHeld | Needs::Hooks | Needs::EagerSpawns => false,
    };
    let bugs = CORPUS.iter().flat_map(|(_, bugs)| *bugs);
    for bug in bugs.filter(|bug| is_tried(bug.needs)) {
        // With scheduling points most bodies have more schedules than a test has time for.
        let is_large = cfg!(straggler_instrumented) || LARGE.contains(&bug.name);
        let limit = if is_large { 1_000 } else { 10_000 };
        let body = || (bug.body)(false);
        match Explore::new().exhaustive(limit).find(body) {
            Ok(explored) => {
                assert!(is_large, "{}: {explored}", bug.name);
                assert!(!explored.is_exhaustive(), "{}: {explored}", bug.name);
            }
            Err(failure) => {
                assert!(failure.run() > 1, "{}: {failure}", bug.name);
                let seed = failure.seed().clone();
                let is_path = seed.to_string().starts_with("tree");
                assert!(is_path, "{}: {failure}", bug.name);
                let again = Explore::new().replay(seed).find(body).unwrap_err();
                assert_eq!(again.schedule(), failure.schedule(), "{}", bug.name);
            }
        }
    }
}

/// Finds the bug of a small body, and nothing in any schedule of its twin.
#[track_caller]
fn assert_distinguished(name: &str) {
    let body = bugs::named(name).body;
    let failure = Explore::new().exhaustive(10_000).find(|| body(false));
    assert!(failure.is_err(), "{failure:?}");
    let explored = all_pass(|| body(true));
    let schedules = explored.distinct_schedules();
    assert!(schedules > 1);
    assert_eq!(
        explored.to_string(),
        format!("all {schedules} schedules pass")
    );
    assert_eq!(explored.note(), None);
}

#[test]
fn twin_of_race_passes_all_schedules() {
    assert_distinguished("check, then insert");
    assert_distinguished("lost update");
    assert_distinguished("double release");
}

#[test]
fn twin_of_deadlock_passes_all_schedules() {
    assert_distinguished("missed `Notify`");
    assert_distinguished("deadlock of two locks");
}

#[test]
fn twin_of_race_in_branches_passes_all_schedules() {
    assert_distinguished("check, then insert, in `tokio::join!`");
    assert_distinguished("semaphore leak");
}

#[test]
fn failure_is_minimized() {
    let failure = Explore::new().exhaustive(10_000).find(two_registrations);
    let failure = failure.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("1 forced reordering"), "{text}");
    let run = format!("failed in run {}\n", failure.run());
    assert!(text.contains(&run), "{text}");
    assert!(text.contains("STRAGGLER_SEED=tree:"), "{text}");
}

#[test]
fn limit_is_reported() {
    let body = || async { _ = settle_all([polls(2), polls(2)]).await };
    let all = count(body);
    for limit in [1, 2, all - 1] {
        let explored = Explore::new().exhaustive(limit).find(body).unwrap();
        assert!(!explored.is_exhaustive());
        assert!(explored.runs() <= limit + 1);
        let tried = explored.distinct_schedules();
        let says = format!("{tried} of more than {tried} schedule");
        assert!(explored.to_string().starts_with(&says), "{explored}");
    }
    let sample = Explore::new().runs(50).find(body).unwrap();
    assert!(!sample.is_exhaustive());
    assert_eq!(sample.to_string(), "50 runs without a failure");
}

#[test]
fn single_schedule_is_reported() {
    let explored = all_pass(|| async {});
    assert_eq!(explored.to_string(), "the only schedule passes");
    assert_eq!((explored.runs(), explored.distinct_schedules()), (2, 1));
}

/// Explores a body that depends on more than its schedule.
#[track_caller]
fn assert_diverges<R: Future<Output = ()>>(body: impl FnMut() -> R) {
    let failure = Explore::new().exhaustive(10_000).find(body).unwrap_err();
    assert_eq!(failure.run(), 0, "{failure}");
    let text = failure.to_string();
    assert!(text.contains("cannot be enumerated"), "{text}");
    assert!(text.contains("the iteration order of a hash map"), "{text}");
}

#[test]
fn body_that_depends_on_chance_is_reported() {
    let runs = AtomicUsize::new(0);
    assert_diverges(|| {
        let children = 2 + runs.fetch_add(1, Relaxed) % 2;
        async move { _ = settle_all((0..children).map(|_| polls(2))).await }
    });
    let runs = AtomicUsize::new(0);
    assert_diverges(|| {
        // No child is chosen among several.
        let steps = runs.fetch_add(1, Relaxed);
        polls(1 + steps)
    });
    let runs = AtomicUsize::new(0);
    assert_diverges(|| {
        let count = runs.fetch_add(1, Relaxed) % 2;
        async move {
            settle!(operations(1), operations(1 + count));
        }
    });
}

#[test]
fn spinning_body_ends() {
    let says = "passed over more than 16 times in a row";
    let children = all_pass(|| async {
        let is_done = Cell::new(false);
        let spins = async {
            while !is_done.get() {
                polls(2).await;
            }
        };
        settle!(spins, async { is_done.set(true) });
    });
    assert!(children.to_string().contains(says), "{children}");
    // The other child ends after none to 16 polls of the one that spins.
    assert_eq!(children.distinct_schedules(), 17);

    let tasks = all_pass(|| async {
        let ended = SharedEnded::default();
        spawn_and_notify(&ended, async {});
        while ended.lock().unwrap().left > 0 {
            polls(2).await;
        }
    });
    assert!(tasks.to_string().contains(says), "{tasks}");
    assert_eq!(tasks.distinct_schedules(), 17);
}

#[test]
fn untracked_tasks_are_reported() {
    let body = || async { tokio::spawn(yield_now()).await.unwrap() };
    let failure = Explore::new().exhaustive(1_000).find(body).unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("no schedule decided when its untracked tasks ran"),
        "{text}"
    );
    let allowed = Explore::new().exhaustive(1_000).allow_unscheduled();
    let explored = allowed.find(body).unwrap();
    assert!(!explored.is_exhaustive());
    let text = explored.to_string();
    assert!(text.contains("no schedule decides the order of"), "{text}");
}

#[test]
fn tasks_that_outlive_body_are_reported() {
    let order = |tasks: usize| {
        let explored = Explore::new().exhaustive(1_000).find(|| async move {
            for _ in 0..tasks {
                straggler::spawn(yield_now());
            }
        });
        explored.unwrap()
    };
    assert!(order(0).is_exhaustive());
    // The body ends first, since it is never suspended. Even a single task may have a join in it.
    for late in [order(1), order(2)] {
        assert!(!late.is_exhaustive(), "{late}");
        let says = "no schedule decides the order";
        assert!(late.to_string().contains(says), "{late}");
    }
}

#[test]
fn tasks_of_local_set_are_reported() {
    let failure = Explore::new().exhaustive(1_000).find(|| async {
        let set = tokio::task::LocalSet::new();
        let task = async { straggler::spawn_local(yield_now()).await.unwrap() };
        set.run_until(task).await;
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("no schedule decided"), "{text}");
}

#[test]
fn blocking_threads_are_reported() {
    let explored = Explore::new().exhaustive(1_000).find(|| async {
        straggler::spawn_blocking(|| ()).await.unwrap();
    });
    // The thread may answer before the body asks, or after.
    let text = match explored {
        Ok(explored) => {
            assert!(!explored.is_exhaustive());
            explored.to_string()
        }
        Err(failure) => failure.to_string(),
    };
    let is_told = [
        "no schedule decides when its blocking threads",
        "cannot be enumerated",
    ];
    assert!(is_told.iter().any(|told| text.contains(told)), "{text}");
}

#[test]
fn cancelled_task_is_no_choice() {
    let explored = all_pass(|| async {
        let waits = straggler::spawn(pending::<()>());
        let yields = straggler::spawn(polls(3));
        polls(2).await;
        waits.abort();
        yields.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
    });
    assert!(explored.distinct_schedules() > 1);
}

#[test]
fn leak_fails_first_run() {
    let check = LeakCheck::new().grace(Duration::ZERO);
    let failure = check.explore().exhaustive(100).find(|| async {
        straggler::spawn(pending::<()>());
    });
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.run(), failure.seed().to_string()),
        (1, "plain/0000".to_owned())
    );
}

#[test]
fn panic_that_is_allowed_hides_no_schedule() {
    let check = LeakCheck::new().allow_panics();
    let explored = check.explore().exhaustive(10_000).find(|| async {
        let task = straggler::spawn(async {
            consume_budget().await;
            panic!("as intended");
        });
        operations(1).await;
        assert!(task.await.is_err());
    });
    assert!(explored.unwrap().is_exhaustive());
}

#[test]
fn required_overlap_is_checked() {
    let exploring = || Explore::new().exhaustive(1_000).require_overlap();
    let overlaps = || async { _ = settle_all([polls(2), polls(2)]).await };
    assert!(exploring().find(overlaps).unwrap().is_exhaustive());
    let failure = exploring().find(|| async { polls(3).await }).unwrap_err();
    assert!(
        failure.to_string().contains("in flight at once"),
        "{failure}"
    );
}

#[test]
fn cancel_and_race_timers_are_refused() {
    let explored = Explore::new().cancel().exhaustive(10).find(|| async {});
    let text = explored.unwrap_err().to_string();
    assert!(text.contains("was not run: `cancel` runs"), "{text}");
    let explored = Explore::new()
        .race_timers()
        .exhaustive(10)
        .find(|| async {});
    let text = explored.unwrap_err().to_string();
    assert!(
        text.contains("was not run: `exhaustive` lets timers"),
        "{text}"
    );
}

#[straggler::test(explore = "exhaustive")]
async fn attribute_runs_all_schedules() {
    let count = Mutex::new(0);
    let add = || async { *count.lock().await += 1 };
    let _ = settle_all([add(), add()]).await;
    assert_eq!(count.into_inner(), 2);
}

#[straggler::test(explore = "exhaustive")]
#[ignore = "run by another test"]
async fn three_children() {
    let _ = settle_all([polls(1), polls(1), polls(1)]).await;
    eprintln!("a run");
}

#[straggler::test(explore = "exhaustive")]
#[ignore = "fails on purpose"]
async fn race() {
    two_registrations().await;
}

#[test]
fn attribute_says_how_many_schedules_passed() {
    let all = orders(&[1, 1, 1]);
    let ended = child::run("exhaustive::three_children");
    assert!(ended.passed, "{ended:?}");
    let says = format!("explore: all {all} schedules pass\n");
    assert!(ended.stderr.ends_with(&says), "{ended:?}");

    let limited = child::run_with("exhaustive::three_children", &[("STRAGGLER_RUNS", "2")]);
    assert!(limited.passed, "{limited:?}");
    assert!(limited.stderr.contains("of more than"), "{limited:?}");

    for (name, value) in [("STRAGGLER", "off"), ("STRAGGLER_SEED", "tree:1:1")] {
        let ended = child::run_with("exhaustive::three_children", &[(name, value)]);
        assert_eq!(ended.stderr, "a run\n");
    }
}

#[test]
fn attribute_prints_seed_that_replays() {
    let ended = child::run("exhaustive::race");
    assert!(!ended.passed, "{ended:?}");
    let (_, line) = ended.stderr.split_once("STRAGGLER_SEED=").unwrap();
    let (seed, _) = line.split_once(' ').unwrap();
    let again = child::run_with("exhaustive::race", &[("STRAGGLER_SEED", seed)]);
    assert!(!again.passed, "{again:?}");
    assert!(again.stderr.contains("one name, one account"), "{again:?}");
    assert!(!again.stderr.contains("diverged"), "{again:?}");
}

#[test]
fn report_has_number_of_schedules() {
    let file = std::env::temp_dir().join(format!("straggler-schedules-{}", std::process::id()));
    let path = file.to_str().unwrap();
    let variables = [
        ("STRAGGLER_REPORT", path),
        ("STRAGGLER_REPORT_CLEAN", "true"),
    ];
    let ended = child::run_with("exhaustive::three_children", &variables);
    let lines = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(ended.passed, "{ended:?}");
    let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
    let explored = &line["explored"];
    assert_eq!(explored["schedules"], orders(&[1, 1, 1]), "{lines}");
    assert_eq!(explored["exhaustive"], true, "{lines}");
    assert_eq!(line["verdict"], "clean", "{lines}");
}

#[test]
fn steps_of_body_and_tasks_have_places() {
    let failure = Explore::new().exhaustive(1_000).find(|| async {
        let trace = Trace::default();
        let (send, receive) = oneshot::channel();
        let of_task = Arc::clone(&trace);
        let task = straggler::spawn(async move {
            push(&of_task, "begins");
            receive.await.unwrap();
        });
        consume_budget().await;
        push(&trace, "sends");
        send.send(()).unwrap();
        task.await.unwrap();
        assert_eq!(*trace.lock().unwrap(), ["sends", "begins"]);
    });
    let text = failure.unwrap_err().to_string();
    for step in ["the body yields at", "task #1 waits at"] {
        let step = format!("{step} tests/explore/exhaustive.rs:");
        assert!(text.contains(&step), "{text}");
    }
}
