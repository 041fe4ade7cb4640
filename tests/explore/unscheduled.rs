//! Tasks that no schedule decides.
//!
//! With the hooks of `tokio_unstable` every task is scheduled, so nothing is refused there.

use super::*;

/// The failure of a body that passes in every run, if tokio schedules one of its tasks.
fn refused<R: Future<Output = ()>>(body: impl FnMut() -> R) -> Option<String> {
    let found = Explore::new().runs(10).find(body);
    found.err().map(|failure| {
        assert_eq!(failure.run(), 0, "{failure}");
        assert!(failure.schedule().steps().is_empty(), "{failure}");
        failure.to_string()
    })
}

#[track_caller]
fn assert_refused(failure: Option<String>, tasks: &str) {
    if cfg!(tokio_unstable) {
        assert_eq!(failure, None);
        return;
    }
    let failure = failure.expect("a task was not scheduled");
    let says = format!("no schedule decided when its untracked tasks ran: {tasks} alive at a time");
    assert!(failure.contains(&says), "{failure}");
}

#[test]
fn untracked_tasks_refused() {
    let failure = refused(|| async {
        let one = tokio::spawn(yield_now());
        tokio::spawn(yield_now()).await.unwrap();
        one.await.unwrap();
    });
    assert_refused(failure, "2 of them were");
}

#[test]
fn untracked_task_of_last_poll_refused() {
    let failure = refused(|| async { drop(tokio::spawn(async {})) });
    assert_refused(failure, "1 of them was");
}

#[test]
fn untracked_task_of_tracked_task_refused() {
    let failure = refused(|| async {
        let spawner = straggler::spawn(async { drop(tokio::spawn(async {})) });
        spawner.await.unwrap();
    });
    assert_refused(failure, "1 of them was");
}

#[test]
fn tracked_tasks_accepted() {
    let failure = refused(|| async {
        let cancelled = straggler::spawn(pending::<()>());
        straggler::spawn(async { drop(straggler::spawn(yield_now())) });
        let set = tokio::task::LocalSet::new();
        set.run_until(async { straggler::spawn_local(yield_now()).await.unwrap() })
            .await;
        _ = settle_all([yield_now()]).spawned().await;
        cancelled.abort();
    });
    assert_eq!(failure, None);
}

#[test]
fn untracked_tasks_may_be_allowed() {
    let explore = Explore::new().runs(10).allow_unscheduled();
    let explored = explore.find(|| async { tokio::spawn(yield_now()).await.unwrap() });
    assert_eq!(explored.unwrap().runs(), 10);
}

#[test]
fn failure_of_a_run_comes_first() {
    let count = || async {
        let count = Arc::new(Mutex::new(0));
        let adding = [(); 2].map(|()| {
            let count = Arc::clone(&count);
            async move {
                let before = *count.lock().await;
                *count.lock().await = before + 1;
            }
        });
        tokio::spawn(async {}).await.unwrap();
        _ = settle_all(adding).await;
        assert_eq!(*count.lock().await, 2, "an update was lost");
    };
    let failure = Explore::new().find(count).unwrap_err();
    assert!(
        failure.message().unwrap().contains("an update was lost"),
        "{failure}"
    );
}

#[straggler::test(explore = 10, unscheduled = "allow")]
async fn attribute_allows_untracked_tasks() {
    tokio::spawn(yield_now()).await.unwrap();
}
