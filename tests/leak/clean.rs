//! Bodies that leave nothing behind.

use super::*;

#[test]
fn body_without_spawns_has_no_delay() {
    for check in every_flavor() {
        check
            .grace(Duration::from_secs(3600))
            .run(async {})
            .unwrap();
    }
}

#[test]
fn join_set_owned_by_body_is_clean() {
    /// A hand-written future: its fields are dropped with it, not at its last poll.
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
fn awaited_tasks_are_clean() {
    assert_clean(|| async {
        tokio::spawn(yield_now()).await.unwrap();
        straggler::spawn(yield_now()).await.unwrap();
    });
}

#[test]
fn finished_task_with_dropped_handle_is_clean() {
    assert_clean(|| async {
        let (ends, ended) = oneshot::channel();
        let handle = tokio::spawn(async { ends.send(()) });
        ended.await.unwrap();
        drop(handle);
    });
}

#[test]
fn aborted_tasks_are_clean() {
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
fn quick_tasks_finish_without_grace() {
    for check in every_flavor() {
        let body = async {
            tokio::spawn(pending::<()>()).abort();
            drop(straggler::spawn(yield_now()));
        };
        // A loaded machine may not schedule the worker thread in time.
        let grace = if format!("{check:?}").contains("MultiThread") {
            Duration::from_secs(10)
        } else {
            Duration::ZERO
        };
        check.grace(grace).run(body).unwrap();
    }
}

#[test]
fn join_sets_and_task_trackers_are_clean() {
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
fn task_ending_within_grace_is_clean() {
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
fn awaited_blocking_work_is_clean() {
    assert_clean(|| async {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        straggler::spawn_blocking(|| ()).await.unwrap();
    });
}

#[test]
fn local_set_dropped_with_body_is_clean() {
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
fn timers_sockets_and_joins_are_clean() {
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
fn body_output_returned() {
    let output = LeakCheck::new().run(async { tokio::spawn(async { 7 }).await.unwrap() });
    assert_eq!(output.unwrap(), 7);
}

#[test]
fn long_spawn_chain_is_clean() {
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

#[test]
fn many_tasks_ending_after_one_yield_are_clean() {
    assert_clean(|| async {
        for _ in 0..10_000 {
            straggler::spawn(yield_now());
            tokio::spawn(yield_now());
        }
    });
}

#[test]
fn many_aborted_tasks_are_clean() {
    assert_clean(|| async {
        let mut set = straggler::tokio::task::JoinSet::new();
        for _ in 0..50_000 {
            set.spawn(pending::<()>());
        }
    });
}

/// Every flavor, with one thread for blocking work; on a paused clock where there is one.
fn with_one_blocking_thread() -> impl Iterator<Item = LeakCheck> {
    let flavors: [fn() -> Builder; 2] = [Builder::new_current_thread, Builder::new_multi_thread];
    let running = flavors.map(|new| (new(), false));
    let paused = [false, true].map(|is_local| (Builder::new_current_thread(), is_local));
    let paused = paused.map(|(mut builder, is_local)| {
        builder.enable_time().start_paused(true);
        (builder, is_local)
    });
    running
        .into_iter()
        .chain(paused)
        .map(|(mut builder, is_local)| {
            builder.max_blocking_threads(1).enable_time();
            let check = LeakCheck::new().runtime(builder);
            if is_local { check.local() } else { check }
        })
}

#[test]
fn blocking_work_in_grace_gets_only_thread() {
    for check in with_one_blocking_thread() {
        let body = async {
            tokio::spawn(async {
                // Past the turns that the grace begins with.
                for _ in 0..200 {
                    yield_now().await;
                }
                for _ in 0..3 {
                    tokio::task::spawn_blocking(|| ()).await.unwrap();
                }
            });
        };
        check.grace(Duration::from_secs(10)).run(body).unwrap();
    }
}
