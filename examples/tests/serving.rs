//! The examples as processes of their own: the servers answer and stop on Ctrl-C, and the story fits
//! one screen.

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

/// Returns the binary of an example.
///
/// `cargo test` builds it. With a filter such as `--test serving` it does not: run
/// `cargo build -p straggler-examples --examples` first.
fn binary(example: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    // The tests are in `deps/`, the examples in `examples/`.
    let profile = own.ancestors().nth(2).unwrap();
    let binary = profile.join("examples").join(example);
    assert!(
        binary.is_file(),
        "no {}: run `cargo build -p straggler-examples --examples`",
        binary.display()
    );
    binary
}

/// A running server. Dropping it kills the process.
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

    /// Presses Ctrl-C and returns the exit status.
    fn interrupt(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "the server does not stop"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The process is still there only if the test has failed.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[test]
fn register_story_fits_one_screen() {
    for backtrace in ["0", "1", "full"] {
        let story = Command::new(binary("register"))
            .env("RUST_BACKTRACE", backtrace)
            .output()
            .unwrap();
        assert!(story.status.success(), "{story:?}");
        assert_eq!(String::from_utf8(story.stderr).unwrap(), "");
        let printed = String::from_utf8(story.stdout).unwrap();
        assert!(printed.lines().count() <= 40, "{printed}");
    }
}

#[test]
fn imperative_server_answers_until_ctrl_c() {
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
fn register_serves_until_ctrl_c() {
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
fn partial_requests_do_not_block_ctrl_c() {
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
fn port_option_works_and_port_is_freed() {
    for (example, arguments) in [
        ("imperative_server", &[][..]),
        ("register", &["--serve"][..]),
    ] {
        let any = Serving::start(example, arguments);
        let port = any.port().to_owned();
        assert_eq!(any.interrupt(), Some(0));
        // The port is free again, and the system assigns every other free port first.
        let given = Serving::start(example, &[arguments, &["--port", &port]].concat());
        assert_eq!(given.port(), port);
        assert_eq!(given.interrupt(), Some(0));
    }
}
