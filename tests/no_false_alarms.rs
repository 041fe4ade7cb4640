//! Clean tests of every shape, again and again on a machine that is kept busy: none may be flagged.
//!
//! A process of its own, since its threads that spin are to disturb nobody else. The long form:
//! `cargo test -p straggler --test no_false_alarms -- --ignored --nocapture`

#![cfg(feature = "tokio")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use straggler::LeakCheck;
use straggler::tokio::task::JoinSet as TrackedJoinSet;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

type Shape = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// A shape by name.
macro_rules! shapes {
    ($($name:ident: $body:block)*) => {
        [$((stringify!($name), || Box::pin(async $body))),*]
    };
}

const SHAPES: [Shape; 16] = shapes! {
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
};

fn builders() -> [(&'static str, Builder); 2] {
    let mut current = Builder::new_current_thread();
    current.enable_all();
    let mut multi = Builder::new_multi_thread();
    multi.worker_threads(2).enable_all();
    [("current_thread", current), ("multi_thread", multi)]
}

/// Runs each shape in both flavors as often as it is told, and says how long the slowest took.
fn run_each(rounds: usize) {
    let is_done = AtomicBool::new(false);
    let threads = 2 * thread::available_parallelism().map_or(2, usize::from);
    let (mut flagged, mut slowest) = (Vec::new(), Duration::ZERO);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_done.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        for (name, body) in SHAPES {
            for _ in 0..rounds {
                for (flavor, builder) in builders() {
                    let begun = Instant::now();
                    if let Err(report) = LeakCheck::new().runtime(builder).run(body()) {
                        flagged.push(format!("{name} ({flavor}): {report}"));
                    }
                    slowest = slowest.max(begun.elapsed());
                }
            }
        }
        is_done.store(true, Relaxed);
    });
    let runs = 2 * rounds * SHAPES.len();
    println!(
        "{runs} runs beside {threads} threads that spin: {} flagged, the slowest took {slowest:?}",
        flagged.len()
    );
    assert!(flagged.is_empty(), "{}", flagged.join("\n\n"));
}

#[test]
fn clean_tests_are_not_flagged() {
    run_each(5);
}

#[test]
#[ignore = "takes minutes: the long form of the test above"]
fn clean_tests_are_not_flagged_in_a_thousand_rounds() {
    run_each(1000);
}
