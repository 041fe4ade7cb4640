//! Clean bodies of every shape, repeated on a busy machine: none may be reported.
//!
//! A binary of its own, since its spinning threads would disturb other tests. The long form:
//! `cargo test -p straggler --test leak_false_positives -- --ignored --nocapture`

#![cfg(feature = "tokio")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use straggler::LeakCheck;
use straggler::leak::Report;
use straggler::tokio::task::JoinSet as TrackedJoinSet;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

type Shape = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// Names each body by its identifier.
macro_rules! shapes {
    ($($name:ident: $body:block)*) => {
        [$((stringify!($name), || Box::pin(async $body))),*]
    };
}

const SHAPES: [Shape; 24] = shapes! {
    nothing: {}
    awaited_task: { tokio::spawn(async {}).await.unwrap(); }
    awaited_tracked_task: { straggler::spawn(yield_now()).await.unwrap(); }
    many_tasks: {
        let tasks: Vec<_> = (0..20).map(|_| tokio::spawn(yield_now())).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    detached_task_that_ends: { tokio::spawn(yield_now()); }
    detached_tracked_task_that_ends: { straggler::spawn(yield_now()); }
    aborted_task: { tokio::spawn(std::future::pending::<()>()).abort(); }
    aborted_tracked_task: { straggler::spawn(std::future::pending::<()>()).abort(); }
    dropped_join_set: {
        let mut set = JoinSet::new();
        set.spawn(std::future::pending::<()>());
        let mut tracked = TrackedJoinSet::new();
        tracked.spawn(std::future::pending::<()>());
        yield_now().await;
    }
    many_tasks_that_end_after_one_yield: {
        for _ in 0..2000 {
            straggler::spawn(yield_now());
        }
    }
    many_tasks_of_a_dropped_join_set: {
        let mut set = TrackedJoinSet::new();
        for _ in 0..2000 {
            set.spawn(std::future::pending::<()>());
        }
    }
    blocking_work_that_begins_late: {
        straggler::spawn(async {
            for _ in 0..200 {
                yield_now().await;
            }
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        });
    }
    worker_whose_channel_closes: {
        let (sender, mut receiver) = mpsc::channel::<u8>(1);
        straggler::spawn(async move { while receiver.recv().await.is_some() {} });
        tokio::spawn(async move { sender.send(1).await.unwrap() });
    }
    task_that_sleeps_a_millisecond: { tokio::spawn(tokio::time::sleep(Duration::from_millis(1))); }
    blocking_work: {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        straggler::spawn_blocking(|| drop(straggler::spawn(async {}))).await.unwrap();
    }
    many_threads_of_blocking_work: {
        let work: Vec<_> = (0..32).map(|_| tokio::task::spawn_blocking(|| ())).collect();
        for work in work {
            work.await.unwrap();
        }
    }
    blocking_work_that_is_left_to_end: {
        tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(1)));
        straggler::spawn_blocking(|| thread::sleep(Duration::from_millis(1)));
    }
    spawns_from_a_thread: {
        let handle = Handle::current();
        thread::spawn(move || drop(handle.spawn(yield_now()))).join().unwrap();
    }
    background_helper: {
        let (sender, receiver) = oneshot::channel();
        straggler::background(async move {
            sender.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        receiver.await.unwrap();
    }
    background_helper_that_begins_late: {
        straggler::spawn(async {
            yield_now().await;
            straggler::background(std::future::pending::<()>());
        });
    }
    local_set: {
        let set = LocalSet::new();
        set.run_until(async { straggler::spawn_local(yield_now()).await.unwrap() }).await;
    }
    sockets: {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
        drop(TcpStream::connect(address).await.unwrap());
        server.await.unwrap();
    }
    lock_that_another_test_holds: {
        static LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _guard = LOCK.lock().await;
        for _ in 0..20 {
            yield_now().await;
        }
        thread::yield_now();
    }
    answer_of_a_thread: {
        let (sender, receiver) = oneshot::channel();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(1));
            sender.send(()).unwrap();
        });
        receiver.await.unwrap();
        thread.join().unwrap();
    }
};

/// The ways to check a body.
#[derive(Clone, Copy, Debug)]
enum Way {
    CurrentThread,
    MultiThread,
    /// Multi-thread, with more workers than processors.
    ManyWorkers,
    Local,
    /// Current-thread, on a paused clock.
    Paused,
    /// On a paused clock, with one thread for blocking work.
    PausedWithOneThread,
    /// In a multi-thread runtime that the check does not own.
    Watched,
    /// Multi-thread, with leaked threads denied.
    #[cfg(target_os = "linux")]
    DeniesThreads,
}

const WAYS: &[Way] = &[
    Way::CurrentThread,
    Way::MultiThread,
    Way::ManyWorkers,
    Way::Local,
    Way::Paused,
    Way::PausedWithOneThread,
    Way::Watched,
    #[cfg(target_os = "linux")]
    Way::DeniesThreads,
];

impl Way {
    fn check(self, body: Pin<Box<dyn Future<Output = ()>>>) -> Result<(), Report> {
        let mut current = Builder::new_current_thread();
        current.enable_all();
        let mut multi = Builder::new_multi_thread();
        multi.worker_threads(2).enable_all();
        match self {
            Self::CurrentThread => LeakCheck::new().run(body),
            Self::MultiThread => LeakCheck::new().runtime(multi).run(body),
            Self::ManyWorkers => {
                multi.worker_threads(32);
                LeakCheck::new().runtime(multi).run(body)
            }
            #[cfg(target_os = "linux")]
            Self::DeniesThreads => LeakCheck::new().runtime(multi).deny_threads().run(body),
            Self::Local => LeakCheck::new().local().run(body),
            Self::Paused => {
                current.start_paused(true);
                LeakCheck::new().runtime(current).run(body)
            }
            Self::PausedWithOneThread => {
                current.start_paused(true).max_blocking_threads(1);
                LeakCheck::new().runtime(current).run(body)
            }
            Self::Watched => multi.build().unwrap().block_on(async {
                tokio::spawn(yield_now()).await.unwrap();
                let watch = LeakCheck::watch(&Handle::current());
                body.await;
                watch.verify().await
            }),
        }
    }
}

/// Runs each shape in every way, `rounds` times on each of two threads, and prints the longest time.
fn run_each(rounds: usize) {
    let is_done = AtomicBool::new(false);
    let threads = 2 * thread::available_parallelism().map_or(2, usize::from);
    let runs = AtomicUsize::new(0);
    let (flagged, slowest) = (Mutex::new(Vec::new()), Mutex::new(Duration::ZERO));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_done.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let run = || {
            for (name, body) in SHAPES {
                for &way in WAYS.iter().cycle().take(rounds * WAYS.len()) {
                    // A paused clock does not advance after the body, so the sleep would be a leak.
                    if matches!(way, Way::Paused | Way::PausedWithOneThread)
                        && name.contains("sleeps")
                    {
                        continue;
                    }
                    let begun = Instant::now();
                    if let Err(report) = way.check(body()) {
                        flagged
                            .lock()
                            .unwrap()
                            .push(format!("{name} ({way:?}): {report}"));
                    }
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = slowest.max(begun.elapsed());
                    runs.fetch_add(1, Relaxed);
                }
            }
        };
        let (one, other) = (scope.spawn(run), scope.spawn(run));
        let ended = [one.join(), other.join()];
        is_done.store(true, Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    let (flagged, slowest) = (flagged.into_inner().unwrap(), slowest.into_inner().unwrap());
    println!(
        "{} runs beside {threads} threads that spin: {} flagged, the slowest took {slowest:?}",
        runs.into_inner(),
        flagged.len()
    );
    assert!(flagged.is_empty(), "{}", flagged.join("\n\n"));
}

#[test]
fn clean_shapes_not_flagged() {
    run_each(3);
}

#[test]
#[ignore = "takes half an hour: the long form of the test above, 10^5 runs"]
fn clean_shapes_not_flagged_in_long_run() {
    run_each(300);
}
