//! What is told of the steps of a run.

use super::*;

/// The steps of the first run that fails.
fn steps(failure: &Failure) -> Vec<String> {
    let steps = failure.schedule().steps().iter();
    steps
        .map(|step| format!("{} {}", step.actor(), step.action()))
        .collect()
}

/// Fails a run.
fn fails() {
    panic!("on purpose");
}

#[test]
fn the_last_step_of_the_body_is_told() {
    let seed: Seed = "stepped".parse().unwrap();
    let exploring = || Explore::new().replay(seed.clone());
    let failure = exploring().find(|| async { fails() });
    let failure = failure.unwrap_err();
    assert_eq!(steps(&failure), ["the body panics"]);
    assert!(!failure.to_string().contains("not recorded"), "{failure}");

    let failure = exploring().find(|| async { Err::<(), _>("disk full") });
    assert_eq!(steps(&failure.unwrap_err()), ["the body comes to its end"]);
}

#[test]
fn what_waits_beside_a_combinator_is_told_too() {
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
    let tells = |who: &str| steps.iter().any(|step| step.starts_with(who));
    assert!(tells("child #0 waits at "), "{failure}");
    // In the poll in which the child was polled too.
    assert!(tells("the body yields at "), "{failure}");
    assert!(tells("the body waits for its children"), "{failure}");
    assert!(!failure.to_string().contains("no waker"), "{failure}");

    // And of one that only waits for its children nothing else.
    let failure = Explore::new().find(two_registrations).unwrap_err();
    let of_body = failure.schedule().steps().iter();
    let of_body = of_body.filter(|step| step.actor() == "the body");
    assert_eq!(of_body.count(), 1, "its end: {failure}");
}

#[test]
fn children_of_several_combinators_are_told_apart() {
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
fn a_task_that_is_aborted_is_told_of() {
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
    let ends = ["task #2 comes to its end", "task #1 is cancelled"];
    assert_eq!(of_tasks[1..], ends, "{steps:?}");
}

#[test]
fn of_a_long_run_the_beginning_and_the_end_are_told() {
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
    assert!(text.contains("in this schedule of 1001 steps"), "{text}");
    assert!(text.contains("\n      .. 751 more\n"), "{text}");
    assert!(text.contains("\n  1001. the body panics\n"), "{text}");
}
