//! What is told of the steps of a run.

use super::*;

/// The steps of the first run that fails.
fn steps(failure: &Failure) -> Vec<String> {
    let steps = failure.schedule().steps().iter();
    steps
        .map(|step| format!("{} {}", step.who(), step.does()))
        .collect()
}

#[test]
fn the_last_step_of_the_body_is_told() {
    let seed: Seed = "stepped".parse().unwrap();
    let exploring = || Explore::new().replay(seed.clone());
    let failure = exploring().find(|| async { None::<()>.expect("something") });
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
    let of_body = of_body.filter(|step| step.who() == "the body");
    assert_eq!(of_body.count(), 1, "its end: {failure}");
}
