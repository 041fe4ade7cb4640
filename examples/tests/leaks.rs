//! The leak check on tasks that a dependency spawns: axum spawns one for each connection.

#[cfg(tokio_unstable)]
#[path = "../../tests/common/child.rs"]
mod child;

use std::future::IntoFuture;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use straggler::LeakCheck;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Stops a server during a request, which leaks the task of the connection. Returns the client.
async fn stop_server_during_request() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, mut requested) = mpsc::channel(1);
    let never_answers = || async move {
        requests.send(()).await.unwrap();
        std::future::pending::<()>().await;
    };
    let router = Router::new().route("/", get(never_answers));
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
        .await
        .unwrap();
    requested.recv().await.unwrap();
    server.abort();
    client
}

fn check() -> LeakCheck {
    LeakCheck::new().grace(Duration::from_millis(20))
}

/// Checks the leak. The client outlives the check, so the connection stays open.
fn report(check: LeakCheck) -> Result<(), straggler::leak::Report> {
    let mut kept = None;
    check.run(async { kept = Some(stop_server_during_request().await) })
}

#[test]
#[cfg(not(tokio_unstable))]
fn leak_counted_without_hooks_and_flag_named() {
    let report = report(check()).unwrap_err();
    assert_eq!((report.count(), report.unseen()), (1, 1));
    let text = report.to_string();
    assert!(
        text.contains(r#"RUSTFLAGS="--cfg tokio_unstable""#),
        "{text}"
    );
}

#[test]
#[cfg(tokio_unstable)]
fn hooks_trace_leak_back_to_test() {
    use straggler::leak::SpawnedBy;

    let report = report(check()).unwrap_err();
    let [task] = report.tasks() else {
        panic!("{report}");
    };
    let place = task.place();
    assert!(place.file().starts_with("axum-"), "{place}");
    let [SpawnedBy::Task { place, .. }, SpawnedBy::Test] = task.spawned_by() else {
        panic!("{report}");
    };
    assert_eq!(place.file(), file!());
    assert_eq!(report.unseen(), 0);
}

#[test]
#[cfg(tokio_unstable)]
fn hooks_let_rule_allow_dependency() {
    report(check().allow_at("axum")).unwrap();
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn server_stopped_during_request() {
    std::mem::forget(stop_server_during_request().await);
}

#[test]
#[cfg(tokio_unstable)]
fn hooks_annotate_line_of_caller() {
    let ended = child::run_with(
        "server_stopped_during_request",
        &[("GITHUB_ACTIONS", "true")],
    );
    let mut annotations = ended.stderr.lines().filter(|line| line.starts_with("::"));
    let (Some(annotation), None) = (annotations.next(), annotations.next()) else {
        panic!("{ended:?}");
    };
    let (place, message) = annotation.split_once(",title=").unwrap();
    assert!(place.contains("examples/tests/leaks.rs,line="), "{place}");
    assert!(message.contains(" spawned at axum-"), "{message}");
}
