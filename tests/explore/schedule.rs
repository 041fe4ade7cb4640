//! The recorded steps of a failing run.

use super::*;

/// The steps of the failing run, as `actor action`.
fn steps(failure: &Failure) -> Vec<String> {
    let steps = failure.schedule().steps().iter();
    steps
        .map(|step| format!("{} {}", step.actor(), step.action()))
        .collect()
}

/// Panics, in a function that returns `()`.
fn fails() {
    panic!("on purpose");
}

#[test]
fn last_step_of_body_recorded() {
    let seed: Seed = "stepped".parse().unwrap();
    let exploring = || Explore::new().replay(seed.clone());
    let failure = exploring().find(|| async { fails() });
    let failure = failure.unwrap_err();
    assert_eq!(steps(&failure), ["the body panics"]);
    assert!(!failure.to_string().contains("not recorded"), "{failure}");

    let failure = exploring().find(|| async { Err::<(), _>("disk full") });
    assert_eq!(steps(&failure.unwrap_err()), ["the body ends"]);
}

#[test]
fn steps_beside_combinator_recorded() {
    let failure = Explore::new().find(|| async {
        let count = Mutex::new(0);
        let add = || async {
            let before = *count.lock().await;
            *count.lock().await = before + 1;
        };
        tokio::join!(add(), async { settle_all([add()]).await.into_vec() });
        assert_eq!(*count.try_lock().unwrap(), 2);
    });
    let failure = failure.unwrap_err();
    let steps = steps(&failure);
    let has_step = |who: &str| steps.iter().any(|step| step.starts_with(who));
    assert!(has_step("child #0 waits at "), "{failure}");
    // The body yields in the poll that also polled the child.
    assert!(has_step("the body yields at "), "{failure}");
    assert!(has_step("the body waits for its children"), "{failure}");
    assert!(!failure.to_string().contains("no waker"), "{failure}");

    // A body that only waits for its children has no steps but its end.
    let failure = Explore::new().find(two_registrations).unwrap_err();
    let of_body = failure.schedule().steps().iter();
    let of_body = of_body.filter(|step| step.actor() == "the body");
    assert_eq!(of_body.count(), 1, "its end: {failure}");
}

#[test]
fn children_named_by_their_combinator() {
    let add = async |count: &RwLock<u32>| {
        let before = *count.read().await;
        *count.write().await = before + 1;
    };
    let failure = Explore::new().find(|| async {
        let count = RwLock::new(0);
        let two = || async { settle_all([add(&count), add(&count)]).await.into_vec() };
        let _ = settle_all([two(), two()]).await;
        assert_eq!(*count.read().await, 4);
    });
    let text = failure.unwrap_err().schedule().to_string();
    for inner in [0, 1] {
        for outer in [0, 1] {
            let path = format!(" child #{inner} of child #{outer} ");
            assert!(text.contains(&path), "{path}: {text}");
        }
    }
    assert!(!text.contains("join"), "{text}");

    let failure = Explore::new().find(|| async {
        let count = RwLock::new(0);
        let one = || async { settle_all([add(&count)]).await.into_vec() };
        tokio::join!(one(), one());
        assert_eq!(*count.read().await, 2);
    });
    let text = failure.unwrap_err().schedule().to_string();
    assert!(text.contains(" child #0 of join 1 "), "{text}");
    assert!(text.contains(" child #0 of join 2 "), "{text}");
}

#[test]
fn aborted_task_recorded() {
    let seed = "stepped".parse().unwrap();
    let failure = Explore::new().replay(seed).find(|| async {
        let waits = straggler::spawn(pending::<()>());
        let ends = straggler::spawn(async {});
        yield_now().await;
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        ends.await.unwrap();
        fails();
    });
    let steps = steps(&failure.unwrap_err());
    let of_tasks: Vec<_> = steps
        .iter()
        .filter(|step| step.starts_with("task"))
        .collect();
    let ends = ["task #2 ends", "task #1 is cancelled"];
    assert_eq!(of_tasks[1..], ends, "{steps:?}");
}

#[test]
fn long_schedule_keeps_start_and_end() {
    let seed = "stepped".parse().unwrap();
    let failure = Explore::new().replay(seed).find(|| async {
        for _ in 0..1_000 {
            yield_now().await;
        }
        fails();
    });
    let failure = failure.unwrap_err();
    let schedule = failure.schedule();
    assert_eq!((schedule.steps().len(), schedule.omitted()), (250, 751));
    let text = failure.to_string();
    assert!(text.contains("failing schedule: 1001 steps"), "{text}");
    assert!(text.contains("\n      .. 751 more\n"), "{text}");
    assert!(text.contains("\n  1001. the body panics\n"), "{text}");
}
