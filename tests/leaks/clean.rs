//! Tests that leave nothing behind, and are not failed.

use super::*;

#[test]
fn a_body_that_spawns_nothing_waits_for_nothing() {
    for check in every_flavor() {
        check
            .grace(Duration::from_secs(3600))
            .run(async {})
            .unwrap();
    }
}

#[test]
fn a_set_that_the_future_itself_owns() {
    /// Owns tasks outside of an async block.
    struct Owner(JoinSet<()>);
    impl Future for Owner {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
            self.0.spawn(pending());
            Poll::Ready(())
        }
    }

    for check in every_flavor() {
        check.run(Owner(JoinSet::new())).unwrap();
    }
}

#[test]
fn tasks_that_were_awaited() {
    assert_clean(|| async {
        tokio::spawn(yield_now()).await.unwrap();
        straggler::spawn(yield_now()).await.unwrap();
    });
}

#[test]
fn a_task_that_ended_and_whose_handle_nobody_awaits() {
    assert_clean(|| async {
        let (ends, ended) = oneshot::channel();
        let handle = tokio::spawn(async { ends.send(()) });
        ended.await.unwrap();
        drop(handle);
    });
}

#[test]
fn aborted_tasks_awaited_or_not() {
    assert_clean(|| async {
        let task = straggler::spawn(pending::<()>());
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        tokio::spawn(pending::<()>()).abort();
        straggler::spawn(pending::<()>()).abort();
    });
}

#[test]
fn without_a_grace_a_task_gets_the_turns_it_needs() {
    for check in every_flavor() {
        let body = async {
            tokio::spawn(pending::<()>()).abort();
            drop(straggler::spawn(yield_now()));
        };
        // On its own thread a task may not get a processor at all.
        let grace = if format!("{check:?}").contains("MultiThread") {
            Duration::from_secs(10)
        } else {
            Duration::ZERO
        };
        check.grace(grace).run(body).unwrap();
    }
}

#[test]
fn sets_and_trackers_that_were_dropped_or_waited_for() {
    assert_clean(|| async {
        let mut dropped = JoinSet::new();
        dropped.spawn(pending::<()>());
        yield_now().await;
        drop(dropped);
        let mut dropped = straggler::tokio::task::JoinSet::new();
        dropped.spawn(pending::<()>());
        drop(dropped);
        let mut joined = straggler::tokio::task::JoinSet::new();
        joined.spawn(yield_now());
        while joined.join_next().await.is_some() {}
        let tracker = tokio_util::task::TaskTracker::new();
        tracker.spawn(yield_now());
        tracker.close();
        tracker.wait().await;
        drop(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
            pending::<()>(),
        )));
    });
}

#[test]
fn a_task_that_ends_shortly_after_the_body() {
    assert_clean(|| async {
        tokio::spawn(tokio::time::sleep(Duration::from_millis(1)));
        straggler::spawn(async {
            for _ in 0..1000 {
                yield_now().await;
            }
        });
    });
}

#[test]
fn blocking_work_that_was_awaited_and_the_threads_it_leaves_idle() {
    assert_clean(|| async {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        straggler::spawn_blocking(|| ()).await.unwrap();
    });
}

#[test]
fn the_tasks_of_a_local_set_that_goes_with_the_body() {
    for check in [LeakCheck::new(), multi_thread()] {
        let body = async {
            let set = LocalSet::new();
            set.run_until(async {
                tokio::task::spawn_local(pending::<()>());
                straggler::spawn_local(pending::<()>());
                yield_now().await;
            })
            .await;
        };
        check.grace(SHORT).run(body).unwrap();
    }
}

#[test]
fn timers_sockets_and_children_of_joins() {
    assert_clean(|| async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) =
            straggler::settle!(listener.accept(), tokio::net::TcpStream::connect(address));
        accepted.unwrap();
        connected.unwrap();
        let sleeps = (0..3).map(|_| tokio::time::sleep(Duration::from_micros(10)));
        let _ = straggler::settle_all(sleeps).await;
    });
}

#[test]
fn what_the_body_returns_comes_back() {
    let output = LeakCheck::new().run(async { tokio::spawn(async { 7 }).await.unwrap() });
    assert_eq!(output.unwrap(), 7);
}

#[test]
fn a_long_chain_of_spawns_is_kept_short() {
    fn spawn_next(left: usize, done: mpsc::Sender<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if left == 0 {
                done.send(()).await.unwrap();
            } else {
                straggler::spawn(spawn_next(left - 1, done));
            }
        })
    }

    let body = async {
        let (done, mut is_done) = mpsc::channel(1);
        straggler::spawn(spawn_next(200_000, done));
        is_done.recv().await.unwrap();
    };
    LeakCheck::new().run(body).unwrap();
}
