//! The grace on a paused clock.

use super::*;

#[test]
fn clock_frozen_in_grace_makes_sleeper_leak() {
    let slept = Arc::new(AtomicBool::new(false));
    let sleeper = Arc::clone(&slept);
    let report = paused().grace(SHORT).run(async move {
        straggler::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            sleeper.store(true, SeqCst);
        });
    });
    let report = report.unwrap_err();
    assert!(report.clock_stood_still());
    let text = report.to_string();
    assert!(
        text.contains("the paused clock stopped when the body ended"),
        "{text}"
    );
    assert!(!slept.load(SeqCst));
}

#[test]
fn interval_does_not_spin_in_grace() {
    let ticks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ticks);
    let report = paused().grace(SHORT).run(async move {
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_millis(1));
            loop {
                interval.tick().await;
                counted.fetch_add(1, SeqCst);
            }
        });
    });
    assert_eq!(report.unwrap_err().count(), 1);
    assert_eq!(ticks.load(SeqCst), 1, "the first tick is at once");
}

#[test]
fn clock_paused_by_test_frozen_in_grace() {
    let report = LeakCheck::new().grace(SHORT).run(async {
        tokio::time::pause();
        tokio::spawn(tokio::time::sleep(Duration::from_secs(3600)));
    });
    assert_eq!(report.unwrap_err().count(), 1);
}

#[test]
fn clock_advances_for_body() {
    let body = async { tokio::spawn(tokio::time::sleep(Duration::from_secs(3600))).await };
    paused().run(body).unwrap().unwrap();
}

#[test]
fn clock_frozen_in_grace_with_one_blocking_thread() {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1);
    let slept = Arc::new(AtomicBool::new(false));
    let sleeper = Arc::clone(&slept);
    let report = LeakCheck::new()
        .runtime(builder)
        .grace(SHORT)
        .run(async move {
            straggler::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                sleeper.store(true, SeqCst);
            });
        });
    assert!(report.unwrap_err().clock_stood_still());
    assert!(!slept.load(SeqCst));
}

#[test]
fn holding_clock_uses_no_task_numbers() {
    let (sender, mut numbers) = mpsc::unbounded_channel();
    let report = paused().grace(SHORT).run(async move {
        straggler::spawn(async move {
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)))
                .await
                .unwrap();
            straggler::spawn(pending::<()>());
            sender.send(()).unwrap();
        });
    });
    assert!(numbers.try_recv().is_ok());
    assert_eq!(report.unwrap_err().tasks()[0].number(), 2);
}

/// Only an instrumented tokio tells when timers fire: `.ci/instrumented test -p straggler --test leak`.
#[test]
fn time_until_timer_is_known_in_instrumented_builds() {
    const MINUTE: Duration = Duration::from_secs(60);

    let mut paused = Builder::new_current_thread();
    paused.enable_all().start_paused(true);
    let report = LeakCheck::new().runtime(paused).run(async {
        straggler::spawn(tokio::time::sleep(2 * MINUTE));
        straggler::spawn(tokio::time::timeout(MINUTE, tokio::time::sleep(2 * MINUTE)));
        straggler::spawn(pending::<()>());
        // A timer that has fired is none that the task waits for.
        straggler::spawn(async {
            _ = tokio::join!(tokio::time::sleep(Duration::ZERO), pending::<()>());
        });
        yield_now().await;
    });
    let report = report.unwrap_err();
    let tasks = report.tasks().iter();
    let fires_in: Vec<_> = tasks.map(straggler::leak::LeakedTask::fires_in).collect();
    let expected = if cfg!(straggler_instrumented) {
        [Some(2 * MINUTE), Some(MINUTE), None, None]
    } else {
        [None; 4]
    };
    assert_eq!(fires_in, expected, "{report}");
    let text = "its timer fires in 1m";
    assert_eq!(
        report.to_string().contains(text),
        cfg!(straggler_instrumented),
        "{report}"
    );
}
