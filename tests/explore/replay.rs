//! A seed replays its run.

use super::*;

#[test]
fn same_seed_finds_same_run() {
    let find = |seed| {
        Explore::new()
            .seed(seed)
            .find(two_registrations)
            .unwrap_err()
    };
    let runs: Vec<_> = (0..5).map(|seed| find(seed).run()).collect();
    let again: Vec<_> = (0..5).map(|seed| find(seed).run()).collect();
    assert_eq!(runs, again);
    assert!(runs.iter().any(|run| *run != runs[0]), "{runs:?}");
}

#[test]
fn replay_repeats_schedule() {
    let found = Explore::new().find(two_registrations).unwrap_err();
    let replay = |seed: Seed| Explore::new().replay(seed).find(two_registrations);
    let again = replay(found.seed().clone()).unwrap_err();
    assert_eq!(again.schedule(), found.schedule());
    assert_eq!(again.seed(), found.seed());
    assert!(!again.to_string().contains("diverged"), "{again}");
    // A seed parsed from its text replays the same run.
    let again = replay(found.seed().to_string().parse().unwrap()).unwrap_err();
    assert_eq!(again.schedule(), found.schedule());
    // The plain order passes.
    assert!(replay("plain".parse().unwrap()).is_ok());
    assert!(replay("stepped".parse().unwrap()).is_ok());
}

#[test]
fn random_seed_replays_same_order() {
    let mut orders = std::collections::HashSet::new();
    for bits in 0..20 {
        let seed: Seed = format!("0x{bits:x}5").parse().unwrap();
        let order = || {
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let body = Arc::clone(&order);
            let explored = Explore::new().replay(seed.clone()).find(move || {
                let order = Arc::clone(&body);
                async move {
                    let note = |index: usize| {
                        let order = &order;
                        async move {
                            for step in 0..3 {
                                order.lock().unwrap().push((index, step));
                                yield_now().await;
                            }
                        }
                    };
                    let _ = settle_all([note(0), note(1), note(2)]).await;
                }
            });
            explored.unwrap();
            Arc::into_inner(order).unwrap().into_inner().unwrap()
        };
        let first = order();
        assert_eq!(first, order(), "{seed}");
        orders.insert(first);
    }
    assert!(orders.len() > 10, "{}", orders.len());
}

#[test]
fn replay_of_other_body_notes_divergence() {
    let found = Explore::new().find(two_registrations).unwrap_err();
    let exploring = Explore::new().replay(found.seed().clone());
    let explored = exploring.find(|| async {
        let _ = settle_all([yield_now(), yield_now(), yield_now()]).await;
    });
    let note = explored.unwrap().note().map(str::to_owned);
    let note = note.expect("the replay diverged");
    assert!(note.contains("diverged from the recorded run"), "{note}");

    // A seed with decisions that the run does not have.
    let exploring = Explore::new().replay("90:1".parse().unwrap());
    let explored = exploring.find(|| async {}).unwrap();
    assert!(explored.note().is_some());
}

#[test]
fn nondeterministic_body_noted() {
    let mut runs = 0;
    let failure = Explore::new().find(|| {
        runs += 1;
        let children = runs;
        async move {
            let _ = settle_all((0..children).map(|_| yield_now())).await;
            assert!(children < 5, "too many");
        }
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.run(), 5);
    let text = failure.to_string();
    let says = "note: replays of this seed diverged";
    assert!(text.contains(says), "{text}");
    assert!(text.contains("STRAGGLER_SEED=0x"), "{text}");
}

#[test]
fn replay_notes_run_that_passes_now() {
    let add_one = async |count: &Mutex<u32>, is_repaired: bool| {
        let mut locked = count.lock().await;
        if !is_repaired {
            let before = *locked;
            drop(locked);
            locked = count.lock().await;
            *locked = before;
        }
        *locked += 1;
    };
    let body = async |is_repaired| {
        let count = Mutex::new(0);
        let add = || add_one(&count, is_repaired);
        let _ = settle_all([add(), add()]).await;
        assert_eq!(count.into_inner(), 2);
    };
    let seed = Explore::new().find(|| body(false)).unwrap_err();
    let exploring = Explore::new().replay(seed.seed().clone());
    let explored = exploring.find(|| body(true)).unwrap();
    let note = explored.note().expect("the replay passes");
    assert!(
        note.contains("was printed for a failing run, but it passes now"),
        "{note}"
    );
}

#[test]
fn flaky_failure_distinguished_from_divergence() {
    // Counts every run of the body, including the plain one.
    let mut runs = 0;
    let mut once = || {
        runs += 1;
        let fails = runs == 5;
        async move {
            let _ = settle_all([yield_now(), yield_now()]).await;
            assert!(!fails, "once");
        }
    };
    let failure = Explore::new().find(&mut once).unwrap_err();
    let text = failure.to_string();
    let says = "note: replays of this seed took the same schedule, but none failed again";
    assert!(text.contains(says), "{text}");
    if cfg!(straggler_instrumented) {
        assert!(
            text.contains("a `futures::select!` that picks branches"),
            "{text}"
        );
    } else {
        assert!(text.contains("add `biased;`"), "{text}");
    }
    let exploring = Explore::new().replay(failure.seed().clone());
    let explored = exploring.find(once).unwrap();
    let note = explored.note().expect("the replay passes");
    assert!(note.contains("it passes now: "), "{note}");

    // The same holds for a failure in the plain order, which has no decisions.
    let mut fails = true;
    let mut at_first = || {
        let fails = std::mem::replace(&mut fails, false);
        async move { assert!(!fails, "at first") }
    };
    let failure = Explore::new().find(&mut at_first).unwrap_err();
    assert_eq!(failure.run(), 1);
    let exploring = Explore::new().replay(failure.seed().clone());
    let explored = exploring.find(at_first).unwrap();
    let note = explored.note().expect("the replay passes");
    assert!(note.contains("it passes now: "), "{note}");
    // A seed typed by hand has no failure to compare with.
    let exploring = Explore::new().replay("plain".parse().unwrap());
    let explored = exploring.find(|| async {}).unwrap();
    assert_eq!(explored.note(), None);

    // Run 6 is the control in the plain order, run 13 the seventh replay.
    let mut runs = 0;
    let failure = Explore::new().find(|| {
        runs += 1;
        let fails = runs % 8 == 5;
        async move {
            let _ = settle_all([yield_now(), yield_now()]).await;
            assert!(!fails, "every eighth time");
        }
    });
    let failure = failure.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("and 1 of 7 failed again"), "{text}");
    assert!(!failure.schedule().steps().is_empty(), "{text}");
}

#[test]
fn replay_not_timed_out_at_breakpoint() {
    let stands_still = Cell::new(Duration::ZERO);
    let body = || async {
        std::thread::sleep(stands_still.get());
        two_registrations().await;
    };
    let found = Explore::new().find(body).unwrap_err();
    stands_still.set(Duration::from_secs(11));
    let again = Explore::new().replay(found.seed().clone()).find(body);
    let again = again.unwrap_err();
    assert_eq!(again.message(), found.message(), "{again}");
}

#[test]
fn replay_finds_deadlock() {
    let both = async |one: &Mutex<()>, other: &Mutex<()>| {
        let _one = one.lock().await;
        let _other = other.lock().await;
    };
    let body = async || {
        let (ada, bob) = (Mutex::new(()), Mutex::new(()));
        settle!(both(&ada, &bob), both(&bob, &ada));
    };
    let found = Explore::new().find(body).unwrap_err();
    let again = Explore::new().replay(found.seed().clone()).find(body);
    let again = again.unwrap_err();
    let is_deadlock = matches!(verdict(&again), Verdict::Deadlocked { .. });
    assert!(is_deadlock, "{again}");
}

/// Keeps its waker, so that something outside the runtime could wake it; nothing does.
async fn hangs() {
    let mut kept = None::<std::task::Waker>;
    let waits = poll_fn(move |context| {
        drop(kept.replace(context.waker().clone()));
        Poll::<()>::Pending
    });
    waits.await;
}

#[test]
fn replay_command_keeps_timeout() {
    let exploring = || {
        let check = LeakCheck::new().timeout(Duration::from_millis(50));
        check.explore()
    };
    let found = exploring().find(hangs).unwrap_err();
    let text = found.to_string();
    let line = "\n  STRAGGLER_TIMEOUT=50ms STRAGGLER_SEED=plain/0000 ";
    assert!(text.contains(line), "{text}");
    let again = exploring().replay(found.seed().clone()).find(hangs);
    let again = again.unwrap_err();
    assert!(matches!(verdict(&again), Verdict::Hung { .. }), "{again}");

    let blocks = || async { std::thread::sleep(Duration::from_millis(100)) };
    let text = exploring().find(blocks).unwrap_err().to_string();
    assert!(text.contains("longer than its timeout"), "{text}");
    assert!(text.contains(line), "{text}");
}
