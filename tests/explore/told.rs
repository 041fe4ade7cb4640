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
