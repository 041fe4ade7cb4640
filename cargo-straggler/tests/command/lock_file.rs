//! The lock file is as before, however the command ends.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::fixture::Fixture;

/// A run that has reached a test which waits.
struct Running {
    child: Child,
    /// The test ends when this is dropped.
    gate: TcpStream,
}

impl Running {
    fn start(fixture: &Fixture) -> Self {
        let gate = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = fixture.command(&["test", "--test=gate", "--", "--ignored"]);
        command.env("GATE", gate.local_addr().unwrap().to_string());
        // Ctrl-C reaches all of a group.
        command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (gate, _) = gate.accept().unwrap();
        Self { child, gate }
    }

    /// Ends the test, and returns the status of the command.
    fn finish(self) -> Option<i32> {
        drop(self.gate);
        self.child.wait_with_output().unwrap().status.code()
    }
}

/// Sends a signal to a process and its children, which have a group of their own.
fn signal(signal: &str, process: u32) {
    let group = format!("-{process}");
    let status = Command::new("kill").args([signal, "--", &group]).status();
    assert!(status.unwrap().success());
}

#[test]
fn ctrl_c_restores_it() {
    let fixture = Fixture::suite("ctrl-c");
    let before = fixture.files();
    let running = Running::start(&fixture);
    assert_ne!(fixture.files(), before);
    signal("-INT", running.child.id());
    assert_eq!(running.finish(), Some(130));
    assert_eq!(fixture.files(), before);
}

#[test]
fn ctrl_c_ends_a_run_that_waits() {
    let fixture = Fixture::suite("waiting");
    let first = Running::start(&fixture);
    let mut second = fixture.command(&["test", "--test=clean"]);
    second.process_group(0).stderr(Stdio::piped());
    let mut second = second.spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(second.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for another"), "{line}");
    signal("-INT", second.id());
    assert_eq!(second.wait().unwrap().code(), Some(130));
    assert_eq!(first.finish(), Some(0));
}

#[test]
fn next_run_restores_it_after_kill() {
    let fixture = Fixture::suite("kill");
    let before = fixture.files();
    let running = Running::start(&fixture);
    signal("-KILL", running.child.id());
    assert_eq!(running.finish(), None);
    assert_ne!(fixture.files(), before);
    assert!(
        fixture
            .read("Cargo.lock")
            .contains("\n# `cargo straggler` runs")
    );

    let ended = fixture.straggler(&["test", "--test=clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("restored Cargo.lock"), "{ended:?}");
    assert!(ended.stdout.contains("1 test checked"), "{ended:?}");
    // Its time is that of the first restoration.
    let now = fixture.files();
    assert!(now.keys().eq(before.keys()));
    assert!(
        now.iter()
            .all(|(path, (content, _))| before[path].0 == *content)
    );
}

#[test]
fn replaced_lock_file_is_kept_after_kill() {
    let fixture = Fixture::suite("replaced");
    let original = fixture.read("Cargo.lock");
    let running = Running::start(&fixture);
    signal("-KILL", running.child.id());
    running.finish();
    let own = format!("# Mine.\n{original}");
    fixture.write("Cargo.lock", &own);

    let ended = fixture.straggler(&["test", "--test=clean"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(fixture.read("Cargo.lock"), own);
    assert!(!fixture.root.join("Cargo.lock.before-straggler").exists());
}

#[test]
fn missing_lock_file_is_missing_again() {
    let fixture = Fixture::suite("missing");
    std::fs::remove_file(fixture.root.join("Cargo.lock")).unwrap();
    let before = fixture.files();
    let ended = fixture.straggler(&["test", "--test=clean", "--no-run"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(fixture.files(), before);
}

#[test]
fn change_of_another_program_is_undone_and_told() {
    let fixture = Fixture::suite("changed");
    let before = fixture.files();
    let running = Running::start(&fixture);
    fixture.write("Cargo.lock", "# Not mine.\n");
    drop(running.gate);
    let output = running.child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("another program changed Cargo.lock"),
        "{stderr}"
    );
    assert_eq!(fixture.files(), before);
}

#[test]
fn second_run_waits_for_the_first() {
    let fixture = Fixture::suite("two-runs");
    let before = fixture.files();
    let first = Running::start(&fixture);
    let mut second = fixture.command(&["test", "--test=clean"]);
    let mut second = second
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says so before it waits.
    let mut line = String::new();
    let mut stderr = BufReader::new(second.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(
        line.contains("waiting for another `cargo straggler`"),
        "{line}"
    );
    assert_eq!(second.try_wait().unwrap(), None);

    assert_eq!(first.finish(), Some(0));
    std::io::copy(&mut stderr, &mut std::io::sink()).unwrap();
    let output = second.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fixture.files(), before);
}
