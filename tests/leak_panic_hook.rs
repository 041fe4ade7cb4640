//! The panic hook. It is process-wide, so these tests have a binary of their own and take turns.

#![cfg(feature = "tokio")]

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use straggler::LeakCheck;
use straggler::leak::Report;
use tokio::task::yield_now;

static BEFORE: AtomicUsize = AtomicUsize::new(0);
static OWN: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Held by the test that owns the hook.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The report on two panics: of a task spawned through tokio, and of one through straggler.
fn two_panics() -> Report {
    let checked = LeakCheck::new().run(async {
        tokio::spawn(async { panic!("of tokio") });
        straggler::spawn(async { panic!("of straggler") });
        yield_now().await;
        yield_now().await;
    });
    checked.unwrap_err()
}

fn messages(report: &Report) -> Vec<&str> {
    let panics = report.panics().iter();
    panics.filter_map(|panic| panic.message()).collect()
}

#[test]
fn hook_chained_once_and_replaceable() {
    let _turn = turn();
    panic::set_hook(Box::new(|_| {
        BEFORE.fetch_add(1, Ordering::SeqCst);
    }));
    let first = two_panics();
    let called_by_first = BEFORE.load(Ordering::SeqCst);
    let second = two_panics();
    let called_by_both = BEFORE.load(Ordering::SeqCst);

    // Some tests replace the hook to inspect their own panics.
    let installed = panic::take_hook();
    panic::set_hook(Box::new(|_| {
        OWN.fetch_add(1, Ordering::SeqCst);
    }));
    let replaced = two_panics();
    let called_meanwhile = BEFORE.load(Ordering::SeqCst);
    panic::set_hook(installed);
    let restored = two_panics();

    // Restores the default hook, so that failed assertions are printed.
    drop(panic::take_hook());
    assert_eq!(messages(&first), ["of tokio", "of straggler"]);
    assert_eq!(messages(&second), messages(&first));
    assert_eq!((called_by_first, called_by_both), (2, 4));
    assert_eq!(
        messages(&replaced),
        ["of straggler"],
        "tracked panics need no hook"
    );
    assert_eq!((OWN.load(Ordering::SeqCst), called_meanwhile), (2, 4));
    assert_eq!(messages(&restored), messages(&first));
    assert_eq!(replaced.panics()[0].place(), None);
}

#[test]
fn hook_reinstalled_after_being_dropped() {
    let _turn = turn();
    let first = two_panics();

    // Some tests silence a panic this way: they drop the old hook, and never restore it.
    panic::set_hook(Box::new(|_| {
        NEXT.fetch_add(1, Ordering::SeqCst);
    }));
    let silenced = two_panics();
    let calls_of_silenced = NEXT.load(Ordering::SeqCst);
    drop(panic::take_hook());
    let ended = two_panics();
    let calls_when_ended = NEXT.load(Ordering::SeqCst);

    // A hook that calls the previous one, as other crates install it, keeps ours.
    let installed = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        NEXT.fetch_add(1, Ordering::SeqCst);
        installed(info);
    }));
    let chained = two_panics();
    let calls_of_all = NEXT.load(Ordering::SeqCst);

    // Restores the default hook, so that failed assertions are printed.
    drop(panic::take_hook());
    for (report, when) in [
        (first, "at first"),
        (silenced, "on top of the new one"),
        (ended, "after the new one was dropped"),
        (chained, "once, below a hook that calls it"),
    ] {
        assert_eq!(messages(&report), ["of tokio", "of straggler"], "{when}");
    }
    let calls = (calls_of_silenced, calls_when_ended, calls_of_all);
    assert_eq!(calls, (2, 2, 4));
}
