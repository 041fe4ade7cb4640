//! An HTTP server written as a loop, as a script reads its input: it awaits the next request, and
//! answers it.
//!
//! `cargo run --example imperative_server` serves until Ctrl-C.

use std::fmt::Arguments;
use std::io::{self, Write as _};

use anyhow::{Context, Result};
use clap::Parser;
use straggler::settle;
use straggler_examples::imperative::Server;
use tokio::signal;

/// A web server that is a loop over its requests.
#[derive(Parser)]
struct Options {
    /// Listen on this port; 0 is any free one
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
    // In this order: whoever has read the first line may already press Ctrl-C.
    let (interrupted, ()) = settle!(
        async {
            let interrupted = signal::ctrl_c().await;
            stop.cancel();
            interrupted
        },
        async {
            say(format_args!("listening on {url}"));
            run(server).await;
        },
    );
    interrupted.context("cannot wait for Ctrl-C")
}

/// The whole server, from the first request to the last.
async fn run(mut server: Server) {
    while let Some((request, reply)) = server.next().await {
        say(format_args!("{} {}", request.method(), request.uri()));
        if reply.send("Hello World, Imperative\n").is_err() {
            say(format_args!("the client hung up"));
        }
    }
}

/// Prints a line. That nobody reads any more what is printed is no reason to stop.
fn say(line: Arguments<'_>) {
    _ = writeln!(io::stdout(), "{line}");
}
