//! What the leak check sees of a task that a dependency spawns: axum's, one for each connection.

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

/// Stops a server while it answers a request, which keeps the connection's task alive. Returns the
/// client.
async fn stop_while_it_answers() -> TcpStream {
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

/// The client outlives the check.
fn report(check: LeakCheck) -> Result<(), straggler::leak::Report> {
    let mut kept = None;
    check.run(async { kept = Some(stop_while_it_answers().await) })
}

#[test]
#[cfg(not(tokio_unstable))]
fn without_hooks_it_is_counted_and_the_flag_named_that_would_show_it() {
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
fn with_hooks_it_is_named_with_the_user_s_own_line_and_traced_back_to_the_test() {
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
fn with_hooks_a_rule_for_the_dependency_allows_it() {
    report(check().allow_at("axum")).unwrap();
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn a_server_is_stopped() {
    std::mem::forget(stop_while_it_answers().await);
}

#[test]
#[cfg(tokio_unstable)]
fn with_hooks_it_is_annotated_at_the_user_s_own_line() {
    let ended = child::run_with("a_server_is_stopped", &[("GITHUB_ACTIONS", "true")]);
    let mut annotations = ended.stderr.lines().filter(|line| line.starts_with("::"));
    let (Some(annotation), None) = (annotations.next(), annotations.next()) else {
        panic!("{ended:?}");
    };
    let (place, message) = annotation.split_once(",title=").unwrap();
    assert!(place.contains("examples/tests/leaks.rs,line="), "{place}");
    assert!(message.contains(" spawned at axum-"), "{message}");
}
