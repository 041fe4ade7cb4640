//! An HTTP server written as a loop, like a script that reads its input line by line.
//!
//! `cargo run --example imperative_server` serves until Ctrl-C.

use std::fmt::Arguments;
use std::io::{self, Write as _};

use anyhow::{Context, Result};
use clap::Parser;
use straggler::settle;
use straggler_examples::imperative::Server;
use tokio::signal;

/// A web server written as a loop over its requests
#[derive(Parser)]
struct Options {
    /// Listen on this port; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Options { port } = Options::parse();
    let server = Server::bind(port)
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    let (url, stop) = (server.url(), server.stop());
    // Listens for Ctrl-C before it prints: a reader of the first line may already press it.
    let (interrupted, ()) = settle!(
        async {
            let interrupted = signal::ctrl_c().await;
            stop.cancel();
            interrupted
        },
        async {
            print_line(format_args!("listening on {url}"));
            run(server).await;
        },
    );
    interrupted.context("cannot wait for Ctrl-C")
}

/// Answers every request until the server is stopped.
async fn run(mut server: Server) {
    while let Some((request, reply)) = server.next().await {
        print_line(format_args!("{} {}", request.method(), request.uri()));
        if reply.send("Hello World, Imperative\n").is_err() {
            print_line(format_args!("the client hung up"));
        }
    }
}

/// Prints a line. Keeps serving if nothing reads the output any more.
fn print_line(line: Arguments<'_>) {
    _ = writeln!(io::stdout(), "{line}");
}
