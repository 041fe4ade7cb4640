//! `joined`: handles of tasks that return a `Result`.

use std::error::Error;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, panic_any};

use crate::common::{Gate, in_each_flavor, until};
use futures::FutureExt;
use futures::executor::block_on;
use straggler::{JoinedError, barrier, joined, settle, settle_all};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_test::{assert_pending, task};

/// A task that waits for a gate and then returns `result`.
fn gated<E: Send + 'static>(gate: &Gate, result: Result<u8, E>) -> JoinHandle<Result<u8, E>> {
    let gate = gate.clone();
    tokio::spawn(async move {
        gate.await;
        result
    })
}

#[test]
fn values_are_in_input_order() {
    in_each_flavor(|| async {
        let tasks = [1, 2, 3].map(|number| tokio::spawn(ready(Ok::<u8, ()>(number))));
        assert_eq!(barrier(tasks.map(joined)).await, Ok(vec![1, 2, 3]));
    });
}

#[test]
fn first_error_is_first_in_time() {
    in_each_flavor(|| async {
        let gates = Gate::many(3);
        let results = [Err("late"), Ok(7), Err("early")];
        let tasks = gates.iter().zip(results);
        let tasks: Vec<_> = tasks.map(|(gate, result)| gated(gate, result)).collect();
        let mut settling = task::spawn(settle_all(tasks.into_iter().map(joined)));
        assert_pending!(settling.poll());
        for index in [2, 0] {
            gates[index].open();
            until(|| settling.is_woken()).await;
            assert_pending!(settling.poll());
        }
        gates[1].open();
        let settled = settling.await;
        assert_eq!(settled[1], Ok(7));
        assert_eq!((settled.ok_count(), settled.err_count()), (1, 2));
        assert_eq!(settled.completion_order(), [2, 0, 1]);
        assert_eq!(settled.first_error(), Some(&JoinedError::Task("early")));
    });
}

#[test]
fn task_panic_resumes_after_all_settle() {
    #[derive(Debug, PartialEq)]
    struct Custom(u8);

    in_each_flavor(|| async {
        let gate = Gate::default();
        let handles = [
            tokio::spawn(async { panic_any(Custom(7)) }),
            tokio::spawn(ready(Err("disk full"))),
            gated(&gate, Ok(1)),
        ];
        until(|| handles[..2].iter().all(JoinHandle::is_finished)).await;
        let mut joining = task::spawn(barrier(handles.map(joined)));
        assert_pending!(joining.poll());
        gate.open();
        let payload = AssertUnwindSafe(joining).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&Custom(7)));
    });
}

#[test]
fn catch_unwind_returns_task_panic() {
    in_each_flavor(|| async {
        let handles = [false, true].map(|panics| {
            tokio::spawn(async move {
                assert!(!panics, "no such account");
                Ok::<_, ()>(())
            })
        });
        let settled = settle_all(handles.map(joined)).catch_unwind().await;
        assert!(matches!(settled[0], Ok(Ok(()))));
        let panic = settled.first_error().unwrap();
        assert_eq!(panic.message(), Some("no such account"));
    });
}

#[test]
fn aborted_task_is_error() {
    in_each_flavor(|| async {
        let task = tokio::spawn(pending::<Result<u8, ()>>());
        task.abort();
        let other = tokio::spawn(ready(Ok(1)));
        let settled = settle_all([task, other].map(joined)).await;
        assert_eq!(settled.into_vec(), [Err(JoinedError::Cancelled), Ok(1)]);
    });
}

#[test]
fn runtime_shutdown_is_error() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.worker_threads(2).build().unwrap();
        let task = runtime.spawn(pending::<Result<u8, ()>>());
        drop(runtime);
        assert_eq!(block_on(joined(task)), Err(JoinedError::Cancelled));
    }
}

#[test]
fn drop_leaves_task_running() {
    in_each_flavor(|| async {
        let gate = Gate::default();
        let (ends, ended) = oneshot::channel();
        let waits = gate.clone();
        let task = tokio::spawn(async move {
            waits.await;
            ends.send(7)
        });
        let mut joining = task::spawn(settle_all([joined(task)]));
        assert_pending!(joining.poll());
        drop(joining);
        gate.open();
        assert_eq!(ended.await, Ok(7));
    });
}

#[test]
fn joins_blocking_work_and_mixed_types() {
    in_each_flavor(|| async {
        let (parsed, text) = settle!(
            joined(spawn_blocking(|| "x".parse::<u8>())),
            joined(tokio::spawn(ready(Ok::<_, String>("text")))),
        );
        assert!(matches!(parsed, Err(JoinedError::Task(_))));
        assert_eq!(text, Ok("text"));
    });
}

#[test]
fn plain_handle_yields_join_error() {
    in_each_flavor(|| async {
        let panics = |panics: bool| {
            tokio::spawn(async move {
                assert!(!panics, "no such account");
                7
            })
        };
        let values = barrier([false, false].map(panics)).await;
        assert_eq!(values.unwrap(), [7, 7]);
        let result = barrier([false, true].map(panics)).await;
        assert!(result.unwrap_err().is_panic());
    });
}

#[tokio::test]
#[should_panic(expected = "JoinHandle polled after completion")]
async fn repoll_panics() {
    let mut joining = joined(tokio::spawn(ready(Ok::<(), ()>(()))));
    assert_eq!((&mut joining).await, Ok(()));
    let _ = joining.await;
}

#[tokio::test]
async fn debug_needs_no_debug_output() {
    struct Hidden;

    let joining = joined(tokio::spawn(async { Ok::<Hidden, Hidden>(Hidden) }));
    let text = format!("{joining:?}");
    assert!(text.starts_with("Joined { task: "), "{text}");
    assert!(joining.await.is_ok());
}

#[test]
fn error_has_full_text_and_no_source() {
    let of_task = "x".parse::<u8>().unwrap_err();
    let error = JoinedError::Task(of_task.clone());
    assert_eq!(
        error.to_string(),
        "the task returned an error: invalid digit found in string"
    );
    assert!(error.source().is_none());

    let error = JoinedError::<std::num::ParseIntError>::Cancelled;
    assert_eq!(
        error.to_string(),
        "the task was aborted, or its runtime was shut down, before it ended"
    );
    assert!(error.source().is_none());

    // The task's error need not implement `Error`.
    let error = JoinedError::Task("disk full");
    assert_eq!(error.to_string(), "the task returned an error: disk full");
}
