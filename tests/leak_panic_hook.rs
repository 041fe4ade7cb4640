//! The hook for panics, which belongs to the process: so this has one of its own, and its tests take
//! turns.

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

/// Who has it holds the hook.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The report of a test in which one task of tokio and one of straggler panic.
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
fn is_installed_once_on_top_of_the_one_that_is_there_and_may_be_replaced() {
    let _turn = turn();
    panic::set_hook(Box::new(|_| {
        BEFORE.fetch_add(1, Ordering::SeqCst);
    }));
    let first = two_panics();
    let called_by_first = BEFORE.load(Ordering::SeqCst);
    let second = two_panics();
    let called_by_both = BEFORE.load(Ordering::SeqCst);

    // As a test does that looks at its own panics.
    let installed = panic::take_hook();
    panic::set_hook(Box::new(|_| {
        OWN.fetch_add(1, Ordering::SeqCst);
    }));
    let replaced = two_panics();
    let called_meanwhile = BEFORE.load(Ordering::SeqCst);
    panic::set_hook(installed);
    let restored = two_panics();

    // From here on a failed assertion has to be seen.
    drop(panic::take_hook());
    assert_eq!(messages(&first), ["of tokio", "of straggler"]);
    assert_eq!(messages(&second), messages(&first));
    assert_eq!((called_by_first, called_by_both), (2, 4));
    assert_eq!(
        messages(&replaced),
        ["of straggler"],
        "tracked ones are seen all the same"
    );
    assert_eq!((OWN.load(Ordering::SeqCst), called_meanwhile), (2, 4));
    assert_eq!(messages(&restored), messages(&first));
    assert_eq!(replaced.panics()[0].place(), None);
}

#[test]
fn is_installed_again_by_the_next_check_when_somebody_threw_it_away() {
    let _turn = turn();
    let first = two_panics();

    // As a test does that silences a panic: what was there is dropped, and nobody puts it back.
    panic::set_hook(Box::new(|_| {
        NEXT.fetch_add(1, Ordering::SeqCst);
    }));
    let silenced = two_panics();
    let calls_of_silenced = NEXT.load(Ordering::SeqCst);
    drop(panic::take_hook());
    let ended = two_panics();
    let calls_when_ended = NEXT.load(Ordering::SeqCst);

    // One that goes on to call it, as the hooks of other crates do, keeps it.
    let installed = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        NEXT.fetch_add(1, Ordering::SeqCst);
        installed(info);
    }));
    let chained = two_panics();
    let calls_of_all = NEXT.load(Ordering::SeqCst);

    // From here on a failed assertion has to be seen.
    drop(panic::take_hook());
    for (report, when) in [
        (first, "at first"),
        (silenced, "on top of the new one"),
        (ended, "when the new one was thrown away too"),
        (chained, "once, below one that calls it"),
    ] {
        assert_eq!(messages(&report), ["of tokio", "of straggler"], "{when}");
    }
    let calls = (calls_of_silenced, calls_when_ended, calls_of_all);
    assert_eq!(calls, (2, 2, 4));
}
