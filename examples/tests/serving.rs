//! The examples that stay up, each in a process of its own: where they say that they listen, and that
//! Ctrl-C ends them well.

#![cfg(unix)]

use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use straggler::{LeakCheck, settle_all};
use straggler_examples::registration::Client;

/// The binary of an example. `cargo test` builds it, unless it is told what to test: then
/// `cargo build -p straggler-examples --examples` does.
fn binary(example: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    // Beside the folder of the tests.
    let profile = own.ancestors().nth(2).unwrap();
    let binary = profile.join("examples").join(example);
    assert!(
        binary.is_file(),
        "there is no {}: `cargo build -p straggler-examples --examples` makes it",
        binary.display()
    );
    binary
}

/// An example that serves, until this is dropped.
struct Serving {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    url: String,
}

impl Serving {
    fn start(example: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(binary(example))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").expect(&line).trim_end();
        Self {
            process,
            url: url.to_owned(),
            _stdout: stdout,
        }
    }

    fn port(&self) -> &str {
        let port = self.url.strip_prefix("http://127.0.0.1:").unwrap();
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        port
    }

    /// Presses Ctrl-C, and returns the status that it leaves with.
    fn interrupt(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "it stays up");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It is gone already, unless the test has failed.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[test]
fn the_server_that_is_a_loop_answers_until_ctrl_c() {
    let serving = Serving::start("imperative_server", &[]);
    let asked = LeakCheck::new().run(async {
        let texts = (0..3).map(async |_| reqwest::get(&serving.url).await?.text().await);
        settle_all(texts).await.into_result()
    });
    let hello = "Hello World, Imperative\n";
    assert_eq!(asked.unwrap().unwrap(), [hello; 3]);
    assert_eq!(serving.interrupt(), Some(0));
}

#[test]
fn the_registration_service_registers_until_ctrl_c() {
    let serving = Serving::start("register", &["--serve"]);
    let users = LeakCheck::new().run(async {
        let client = Client::new(&serving.url);
        let twice = ["ada@example.com"; 2].map(|email| client.register(email));
        settle_all(twice).await.ok_count()
    });
    assert_eq!(users.unwrap(), 1);
    assert_eq!(serving.interrupt(), Some(0));
}

#[test]
fn clients_that_stop_half_way_do_not_keep_a_server_from_stopping() {
    for (example, arguments) in [
        ("imperative_server", &[][..]),
        ("register", &["--serve"][..]),
    ] {
        let serving = Serving::start(example, arguments);
        let address = format!("127.0.0.1:{}", serving.port());
        let parts = [
            "",
            "GET / HTTP/1.1\r\nho",
            "POST /user HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{\"em",
        ];
        let _connections = parts.map(|part| {
            let mut connection = TcpStream::connect(&address).unwrap();
            connection.write_all(part.as_bytes()).unwrap();
            connection
        });
        assert_eq!(serving.interrupt(), Some(0), "{example}");
    }
}

#[test]
fn each_takes_the_port_that_it_is_given_and_can_be_interrupted_at_once() {
    for (example, arguments) in [
        ("imperative_server", &[][..]),
        ("register", &["--serve"][..]),
    ] {
        let any = Serving::start(example, arguments);
        let port = any.port().to_owned();
        assert_eq!(any.interrupt(), Some(0));
        // It is free again. The system gives out others before it gives out this one.
        let given = Serving::start(example, &[arguments, &["--port", &port]].concat());
        assert_eq!(given.port(), port);
        assert_eq!(given.interrupt(), Some(0));
    }
}
