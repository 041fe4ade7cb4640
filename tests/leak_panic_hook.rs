//! The hook for panics, which belongs to the process: so this has one of its own, and one test.

#![cfg(feature = "tokio")]

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};

use straggler::LeakCheck;
use straggler::leak::Report;
use tokio::task::yield_now;

static BEFORE: AtomicUsize = AtomicUsize::new(0);
static OWN: AtomicUsize = AtomicUsize::new(0);

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
