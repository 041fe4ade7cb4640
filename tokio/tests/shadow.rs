//! One line in the crate root tracks every spawn below it.

extern crate straggler_tokio as tokio;

use std::future::pending;
use std::time::Duration;

use straggler::LeakCheck;
use straggler::leak::{LeakedTask, Report, Wait};

/// The lines where the leaked tasks were spawned, relative to the line of the check. Expects every
/// task to be tracked.
#[track_caller]
fn lines_of(report: Result<(), Report>) -> Vec<u32> {
    let report = report.unwrap_err();
    assert_eq!(report.unseen(), 0, "{report}");
    let call = report.place().line();
    let places = report.tasks().iter().map(LeakedTask::place);
    places
        .map(|place| {
            assert_eq!(place.file(), file!());
            place.line() - call
        })
        .collect()
}

fn check() -> LeakCheck {
    LeakCheck::new().grace(Duration::ZERO)
}

#[test]
fn spawn_paths_all_tracked_with_lines() {
    use tokio::{spawn, task};
    let report = check().run(async {
        tokio::spawn(pending::<()>());
        ::tokio::spawn(pending::<()>());
        spawn(pending::<()>());
        task::spawn(pending::<()>());
        tokio::task::spawn(pending::<()>());
    });
    assert_eq!(lines_of(report), [1, 2, 3, 4, 5]);
}

mod below {
    pub(super) mod further_below {
        pub(in super::super) fn spawns() {
            tokio::spawn(std::future::pending::<()>());
        }
    }
}

#[test]
fn nested_modules_tracked() {
    let report = check()
        .run(async { below::further_below::spawns() })
        .unwrap_err();
    assert_eq!((report.count(), report.unseen()), (1, 0));
}

#[test]
fn local_spawns_tracked() {
    let report = check().local().run(async {
        tokio::task::spawn_local(pending::<()>());
    });
    assert_eq!(lines_of(report), [1]);
}

#[test]
fn join_set_tracked_and_behaves_like_tokio() {
    let report = check().run(async {
        let mut set = tokio::task::JoinSet::new();
        set.spawn(pending::<()>());
        set.spawn_on(pending::<()>(), &tokio::runtime::Handle::current());
        set.extend([pending::<()>()]);
        set.detach_all();
        let set = tokio::task::JoinSet::from_iter([pending::<()>()]);
        std::mem::forget(set);
    });
    assert_eq!(lines_of(report), [2, 3, 4, 6]);

    let output = check().run(async {
        let mut set: tokio::task::JoinSet<u8> = tokio::task::JoinSet::default();
        assert!(set.is_empty());
        set.spawn(async { 1 });
        set.spawn_blocking(|| 2);
        set.spawn_blocking_on(|| 3, &tokio::runtime::Handle::current());
        assert_eq!(set.len(), 3);
        let first = set.join_next().await.unwrap().unwrap();
        first + set.join_all().await.iter().sum::<u8>()
    });
    assert_eq!(output.unwrap(), 6);
}

#[test]
fn join_set_converts_to_tokio_and_back() {
    let set: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
    let tokio_s: TokioJoinSet<()> = set.into();
    assert!(tokio::task::JoinSet::from(tokio_s).is_empty());
}

/// The type of tokio itself, which the shadow replaces.
type TokioJoinSet<T> = <tokio::task::JoinSet<T> as std::ops::Deref>::Target;

#[test]
fn local_join_set_tracked() {
    let sum = check().run(async {
        let local = tokio::task::LocalSet::new();
        let mut set = tokio::task::JoinSet::new();
        set.spawn_local_on(async { 1 }, &local);
        let set = local.run_until(async move {
            set.spawn_local(async { 2 });
            set.join_all().await
        });
        set.await.iter().sum::<u8>()
    });
    assert_eq!(sum.unwrap(), 3);
}

#[test]
fn task_of_kept_local_set_tracked() {
    let kept = tokio::task::LocalSet::new();
    let report = check().run(async {
        let mut set = tokio::task::JoinSet::new();
        set.spawn_local_on(pending::<()>(), &kept);
        set.detach_all();
    });
    assert_eq!(lines_of(report), [2]);
}

#[test]
fn spawn_inside_blocking_work_tracked() {
    let report = check().run(async {
        tokio::task::spawn_blocking(|| drop(tokio::spawn(pending::<()>())))
            .await
            .unwrap();
    });
    assert_eq!(lines_of(report), [1]);
}

#[tokio::test]
async fn test_attribute_is_leak_check() {
    straggler::leak::self_test();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2, allow = 1)]
async fn test_attribute_takes_both_argument_sets() {
    tokio::spawn(pending::<()>());
}

#[tokio::test]
async fn tokio_macros_work() {
    let (one, two) = tokio::join!(async { 1 }, async { 2 });
    tokio::select! {
        three = async { 3 } => assert_eq!(one + two, three),
        () = tokio::time::sleep(Duration::from_secs(60)) => unreachable!(),
    }
    let mut future = std::pin::pin!(tokio::task::yield_now());
    future.as_mut().await;
    assert_eq!(tokio::try_join!(async { Ok::<_, ()>(1) }), Ok((1,)));
}

tokio::task_local! {
    static NUMBER: u8;
}

#[tokio::test]
async fn task_locals_reach_tracked_tasks() {
    let task = tokio::spawn(NUMBER.scope(7, async { NUMBER.get() }));
    assert_eq!(task.await.unwrap(), 7);
}

#[test]
fn own_runtime_spawns_untracked() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert_eq!(
        runtime.block_on(async { tokio::spawn(async { 7 }).await.unwrap() }),
        7
    );
}

#[test]
fn task_waits_located() {
    let report = check().run(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
        tokio::spawn(async move {
            let _sender = sender;
            receiver.recv().await
        });
    });
    let report = report.unwrap_err();
    let Wait::At(places) = report.tasks()[0].wait() else {
        panic!("{report}");
    };
    assert_eq!(
        places[0].on(),
        Some("tokio::sync::mpsc::bounded::Receiver::recv")
    );
    assert_eq!(
        places[0].calls()[0].place().unwrap().line(),
        report.place().line() + 4
    );
}
