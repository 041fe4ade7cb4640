//! Leaked threads, for checks that deny them.

use std::fs;
use std::thread;

use straggler::leak::LeakedThread;

use super::*;

/// Starts threads that wait until the test drops the sender.
#[derive(Clone)]
struct Threads(Arc<Mutex<std_mpsc::Receiver<()>>>);

impl Threads {
    fn new() -> (std_mpsc::Sender<()>, Self) {
        let (end, ended) = std_mpsc::channel();
        (end, Self(Arc::new(Mutex::new(ended))))
    }

    fn start(&self) -> thread::JoinHandle<()> {
        self.start_by(thread::Builder::new())
    }

    fn start_named(&self, name: &str) -> thread::JoinHandle<()> {
        self.start_by(thread::Builder::new().name(name.to_owned()))
    }

    fn start_by(&self, builder: thread::Builder) -> thread::JoinHandle<()> {
        let (Self(ended), (begins, begun)) = (self.clone(), std_mpsc::channel());
        let wait = move || {
            begins.send(()).unwrap();
            _ = ended.lock().unwrap().recv();
        };
        let thread = builder.spawn(wait).unwrap();
        // The thread has its name by now.
        begun.recv().unwrap();
        thread
    }
}

/// Runs the body in all flavors at once, next to an unrelated thread that could start others. The
/// threads of the body end after all checks.
fn each<F: Future>(body: impl Fn(Threads) -> F + Sync) -> [Result<F::Output, Report>; 3]
where
    F::Output: Send,
{
    let (_end, other) = Threads::new();
    other.start_named("might start one");
    let (_end, threads) = Threads::new();
    let run = |check: LeakCheck| check.grace(SHORT).deny_threads().run(body(threads.clone()));
    thread::scope(|scope| {
        let run = &run;
        let running = every_flavor().map(|check| scope.spawn(move || run(check)));
        running.map(|running| running.join().unwrap())
    })
}

#[test]
fn threads_found_whoever_started_them() {
    let results = each(|threads| async move {
        threads.start();
        let (by_task, by_blocking, by_thread) = (threads.clone(), threads.clone(), threads);
        let task = async move { drop(by_task.start()) };
        tokio::spawn(task).await.unwrap();
        let blocking = move || drop(by_blocking.start());
        tokio::task::spawn_blocking(blocking).await.unwrap();
        let between = thread::spawn(move || drop(by_thread.start()));
        between.join().unwrap();
    });
    for result in results {
        let report = result.unwrap_err();
        assert_eq!(*report.verdict(), Verdict::ThreadsLeaked);
        let names: Vec<_> = report.threads().iter().map(LeakedThread::name).collect();
        assert_eq!(names, [None; 4], "{report}");
        let text = report.to_string();
        let first = "leak_check: 4 threads outlived the check at ";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("\n  4 unnamed threads\n"), "{text}");
    }
}

#[test]
fn threads_ignored_unless_denied() {
    let (_end, threads) = Threads::new();
    let body = async { drop(threads.start()) };
    LeakCheck::new().run(body).unwrap();
}

#[test]
fn finished_threads_are_clean() {
    for check in every_flavor() {
        let (end, threads) = Threads::new();
        let body = async move {
            thread::spawn(|| ()).join().unwrap();
            thread::scope(|scope| drop(scope.spawn(|| ())));
            // Ends with the body, or soon after.
            threads.start();
            let _end = end;
            yield_now().await;
        };
        let check = check.grace(Duration::from_secs(3600)).deny_threads();
        check.run(body).unwrap();
    }
}

#[test]
fn runtime_and_check_threads_ignored() {
    for check in every_flavor() {
        let check = check.timeout(Duration::from_secs(3600)).deny_threads();
        let body = async {
            let (idle, busy) = std_mpsc::channel::<()>();
            tokio::task::spawn_blocking(|| drop(idle)).await.unwrap();
            busy.recv().unwrap_err();
            // A leftover task makes the check wait, which takes threads of its own.
            tokio::spawn(tokio::time::sleep(Duration::from_millis(1)));
        };
        check.run(body).unwrap();
    }
}

#[test]
fn blocked_pool_thread_reported_as_blocking_work() {
    let (end, ended) = std_mpsc::channel::<()>();
    let body = async { drop(tokio::task::spawn_blocking(move || ended.recv())) };
    let report = LeakCheck::new().grace(SHORT).deny_threads().run(body);
    let report = report.unwrap_err();
    assert_eq!(*report.verdict(), Verdict::BlockingLeaked);
    assert_eq!((report.unseen_blocking(), report.threads().len()), (1, 0));
    drop(end);
}

#[test]
fn concurrent_checks_charged_with_own_threads() {
    let (_end, threads) = Threads::new();
    thread::scope(|scope| {
        for count in 0..8 {
            let threads = threads.clone();
            scope.spawn(move || {
                let check = if count % 2 == 0 {
                    LeakCheck::new()
                } else {
                    multi_thread()
                };
                let result = check.grace(SHORT).deny_threads().run(async move {
                    for _ in 0..count {
                        let threads = threads.clone();
                        tokio::task::spawn_blocking(move || drop(threads.start()))
                            .await
                            .unwrap();
                    }
                });
                let found = result.map_err(|report| report.threads().len());
                assert_eq!(found.err().unwrap_or(0), count);
            });
        }
    });
}

#[test]
fn named_threads_not_charged_if_ambiguous() {
    for result in each(|threads| async move { drop(threads.start_named("worker")) }) {
        result.unwrap();
    }
}

#[test]
fn threads_rank_below_other_findings() {
    let leaks = each(|threads| async move {
        threads.start();
        tokio::spawn(pending::<()>());
    });
    let blocks = each(|threads| async move {
        let to_block = threads.clone();
        threads.start();
        straggler::spawn_blocking(move || _ = to_block.0.lock().unwrap().recv());
    });
    let hangs = {
        let (_end, threads) = Threads::new();
        let check = LeakCheck::new().timeout(SHORT).deny_threads();
        check.run(async move {
            threads.start();
            pending::<()>().await;
        })
    };
    for (results, verdict) in [(leaks, Verdict::Leaked), (blocks, Verdict::BlockingLeaked)] {
        for result in results {
            let report = result.unwrap_err();
            assert_eq!((report.verdict(), report.threads().len()), (&verdict, 1));
            let text = report.to_string();
            assert!(text.contains("also still running: 1 thread"), "{text}");
            assert!(text.contains("join the threads too"), "{text}");
        }
    }
    let report = hangs.unwrap_err();
    assert!(matches!(report.verdict(), Verdict::Hung { .. }));
    assert_eq!(report.threads().len(), 1, "{report}");
}

#[test]
fn thread_names_kept_and_restored() {
    let name = || fs::read_to_string("/proc/thread-self/comm").unwrap();
    let before = name();
    let body = async move {
        let in_body = name();
        let worker = tokio::spawn(async { thread::current().name().map(str::to_owned) });
        (in_body, worker.await.unwrap())
    };
    let (in_body, worker) = multi_thread().deny_threads().run(body).unwrap();
    assert_ne!(in_body, before);
    assert_eq!(worker.as_deref(), Some("tokio-rt-worker"));
    assert_eq!(name(), before);

    let panicking = || {
        LeakCheck::new()
            .deny_threads()
            .run(async { panic!("as it should") })
    };
    catch_unwind(panicking).unwrap_err();
    assert_eq!(name(), before);
}

#[test]
fn nested_check_owns_its_threads() {
    let (_end, threads) = Threads::new();
    let outer = LeakCheck::new()
        .grace(SHORT)
        .deny_threads()
        .run(async move {
            let check = move || {
                let inner = LeakCheck::new().grace(SHORT).deny_threads();
                inner.run(async move { drop(threads.start()) })
            };
            thread::spawn(check).join().unwrap()
        });
    assert_eq!(outer.unwrap().unwrap_err().threads().len(), 1);
}
