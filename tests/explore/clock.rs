//! The clock of a run: a body may pause it, and clean-up may wait for it.

use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, channel};

use tokio::net::TcpStream;
use tokio::time::{pause, sleep, timeout};

use super::*;

/// Would take years on a running clock.
async fn sleeps_long() {
    sleep(Duration::from_secs(100_000_000)).await;
}

#[straggler::test(explore = 20)]
async fn body_pauses_clock() {
    pause();
    sleeps_long().await;
}

#[straggler::test(explore = 2)]
#[ignore = "belongs to pause_in_body_prints_nothing"]
async fn pauses() {
    pause();
}

#[test]
fn pause_in_body_prints_nothing() {
    for mode in ["deny", "off"] {
        let ended = child::run_with("clock::pauses", &[("STRAGGLER", mode)]);
        assert!(ended.passed, "{mode}: {ended:?}");
        assert!(!ended.stderr.contains("frozen"), "{mode}: {ended:?}");
    }
}

#[test]
fn pause_accepted_in_task() {
    let explored = Explore::new().runs(20).find(|| async {
        let pauses = straggler::spawn(async { pause() });
        pauses.await.unwrap();
        sleeps_long().await;
    });
    assert_eq!(explored.unwrap().runs(), 20);
}

#[test]
fn race_found_and_replayed_after_pause() {
    let body = || async {
        pause();
        two_registrations().await;
    };
    let found = Explore::new().find(body).unwrap_err();
    assert!(found.run() > 1, "{found}");
    assert_eq!(shrink::reorderings(&found), 1, "{found}");
    let again = Explore::new().replay(found.seed().clone()).find(body);
    assert_eq!(again.unwrap_err().schedule(), found.schedule());
}

#[test]
fn second_pause_fails() {
    let failure = Explore::new().find(|| async {
        pause();
        pause();
    });
    let failure = failure.unwrap_err();
    let message = failure.message().unwrap();
    assert!(message.contains("already frozen"), "{failure}");
}

/// Leaves a task that ends after this time.
fn left_for(time: Duration) {
    straggler::spawn(sleep(time));
}

#[test]
fn clean_up_sleeps_in_virtual_time() {
    let explored = Explore::new().runs(20).find(|| async {
        left_for(Duration::from_millis(100));
    });
    assert!(explored.is_ok(), "{explored:?}");
}

#[test]
fn sleep_longer_than_grace_leaks() {
    let failure = Explore::new().find(|| async {
        left_for(Duration::from_secs(60));
    });
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), &Verdict::Leaked);
}

/// Asks a server that answers after this time, or stops once nobody waits for it any more.
async fn asks_server(answers_after: Duration, patience: Duration) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_waits, waiting) = channel::<()>();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        if waiting.recv_timeout(answers_after) == Err(RecvTimeoutError::Timeout) {
            client.write_all(b"!").unwrap();
        }
    });
    let server = TcpStream::connect(address).await.unwrap();
    let answer = timeout(patience, server.readable()).await;
    answer.expect("no answer in time").unwrap();
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn timeout_beside_socket_is_not_explored() {
    let explored = Explore::new().find(|| asks_server(SECOND / 10, 5 * SECOND));
    let explored = explored.unwrap();
    assert_eq!(explored.runs(), 1);
    let note = explored.note().unwrap();
    assert!(note.starts_with("not explored"), "{note}");
    assert!(note.contains("jumped by 5s"), "{note}");
    assert!(note.contains("tests/explore/clock.rs:"), "{note}");
}

#[test]
fn timeout_on_running_clock_fails_too() {
    let failure = Explore::new().find(|| asks_server(60 * SECOND, SECOND / 20));
    let failure = failure.unwrap_err();
    assert_eq!(failure.run(), 1);
    assert!(failure.message().unwrap().contains("no answer in time"));
}

#[test]
fn jump_beside_socket_noted_in_failure() {
    let failure = Explore::new().find(|| async {
        let users = RwLock::default();
        let both = [register(&users, "eve"), register(&users, "eve")];
        if settle_all(both).await.ok_count() == 2 {
            asks_server(SECOND / 10, 5 * SECOND).await;
        }
    });
    let failure = failure.unwrap_err();
    assert!(failure.run() > 1, "{failure}");
    let text = failure.to_string();
    assert!(text.contains("the paused clock jumped by 5s"), "{text}");
}

#[test]
fn jump_without_socket_not_noted() {
    let failure = Explore::new().find(|| async {
        timeout(SECOND, pending::<()>()).await.unwrap();
    });
    let text = failure.unwrap_err().to_string();
    assert!(!text.contains("jumped"), "{text}");
}
