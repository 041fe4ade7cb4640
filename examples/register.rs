//! Concurrent registrations in a small HTTP service.
//!
//! Shows what `try_join_all` leaves running and `barrier` does not, which of two registrations of one
//! address wins, and that errors, panics and disconnects release the service's lock.
//!
//! `cargo run --example register` prints the story. Add `-- --serve` to serve until Ctrl-C instead.

use std::fmt::{Debug, Display};
use std::panic;
use std::pin::pin;

use anyhow::{Context, Result};
use clap::Parser;
use futures::future::{select, try_join_all};
use straggler::{barrier, settle, settle_all};
use straggler_examples::registration::{ClientError, Fault, Locking, Trial};
use tokio::signal;

/// A user-registration service with a race, on an embedded database
#[derive(Parser)]
struct Arguments {
    /// Serve until Ctrl-C instead of printing the story
    #[arg(long)]
    serve: bool,
    /// Listen on this port; 0 picks a free one
    #[arg(long, default_value_t = 0, requires = "serve")]
    port: u16,
    /// Serve with the race: without the lock around lookup and insert
    #[arg(long, requires = "serve")]
    without_lock: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.serve {
        return serve(arguments.port, arguments.without_lock).await;
    }
    silence_injected_panic();
    try_join_all_leaves_bob_running().await?;
    barrier_waits_for_bob().await?;
    settle_all_registers_eve_twice(Locking::Without).await?;
    settle_all_registers_eve_twice(Locking::With).await?;
    failures_release_the_lock().await
}

/// Keeps the panic that the story injects out of its output, which says itself that a handler panics.
/// Other panics still reach the previous hook.
fn silence_injected_panic() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(Fault::PANIC_MESSAGE) {
            previous(info);
        }
    }));
}

async fn serve(port: u16, without_lock: bool) -> Result<()> {
    let locking = if without_lock {
        Locking::Without
    } else {
        Locking::With
    };
    let trial = Trial::start(port, locking).await?;
    let url = trial.url();
    // Listens for Ctrl-C before it prints: a reader of the first line may already press it.
    let (interrupted, ()) = settle!(signal::ctrl_c(), async {
        println!("listening on {url}");
        println!(
            "curl -i {url}/user -H 'content-type: application/json' -d '{{\"email\": \"ada@example.com\"}}'"
        );
    });
    interrupted.context("cannot wait for Ctrl-C")?;
    Ok(trial.end().await?)
}

async fn try_join_all_leaves_bob_running() -> Result<()> {
    println!("1. try_join_all registers bob, and ada, who already has an account");
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;

    let joined = try_join_all(trial.register_bob_and_ada()).await;

    print_row("it returned", outcome(&joined));
    print_row("still running", trial.activity().running);
    print_row("in the database", accounts(&trial).await?);
    println!("   The test ends here. During the next test, the database unblocks:");
    writes.release().await?;
    trial.until(|activity| activity.running == 0).await;
    print_row(
        "in the database",
        accounts(&trial).await? + "  <- left behind",
    );
    Ok(trial.end().await?)
}

async fn barrier_waits_for_bob() -> Result<()> {
    println!("\n2. barrier does the same");
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;

    let ((joined, running), released) = settle!(
        async {
            (
                barrier(trial.register_bob_and_ada()).await,
                trial.activity().running,
            )
        },
        async {
            trial.until(|activity| activity.refused == 1).await;
            println!(
                "   The server refuses ada while bob is still running. Now the database unblocks:"
            );
            writes.release().await
        },
    );
    released?;

    print_row("it returned", outcome(&joined));
    print_row("still running", running);
    print_row("in the database", accounts(&trial).await?);
    Ok(trial.end().await?)
}

async fn settle_all_registers_eve_twice(locking: Locking) -> Result<()> {
    // Without the lock, wait until both find the address free. With it, only one can.
    let found_free = match locking {
        Locking::Without => {
            println!("\n3. settle_all registers eve twice, without a lock");
            2
        }
        Locking::With => {
            println!("\n4. settle_all registers eve twice, with a lock");
            1
        }
    };
    let trial = Trial::start(0, locking).await?;
    let writes = trial.users().hold_writes().await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let (settled, released) = settle!(settle_all(twice), async {
        trial
            .until(|activity| activity.found_free >= found_free)
            .await;
        writes.release().await
    });
    released?;

    for (index, result) in settled.iter().enumerate() {
        print_row(&format!("registration {index}"), outcome(result));
    }
    match settled.oks().map(|(index, _)| index).collect::<Vec<_>>()[..] {
        [winner] => print_row("winner", format!("registration {winner}")),
        _ => print_row("winner", "both: one address, two accounts"),
    }
    print_row("in the database", accounts(&trial).await?);
    Ok(trial.end().await?)
}

async fn failures_release_the_lock() -> Result<()> {
    println!("\n5. With a lock: a lookup fails, a handler panics, a client hangs up");
    let trial = Trial::start(0, Locking::With).await?;
    for (what, fault) in [
        ("lookup fails", Fault::Fails),
        ("handler panics", Fault::Panics),
    ] {
        trial.users().inject_fault(fault);
        let failed = trial.client.register("eve@example.com").await;
        let failed = if failed.is_err() { "Err" } else { "Ok" };
        print_row(what, format!("{failed}; {}", lock(&trial)));
    }

    let writes = trial.users().hold_writes().await?;
    {
        let registering = pin!(trial.client.register("bob@example.com"));
        select(
            registering,
            pin!(trial.until(|activity| activity.found_free == 1)),
        )
        .await;
        // Dropping the future hangs up.
    }
    print_row(
        "client hangs up",
        format!("bob's registration continues; {}", lock(&trial)),
    );
    writes.release().await?;
    let eve = trial.client.register("eve@example.com").await;
    print_row(
        "eve registers",
        format!("{}; {}", outcome(&eve), lock(&trial)),
    );
    print_row("in the database", accounts(&trial).await?);
    Ok(trial.end().await?)
}

fn lock(trial: &Trial) -> &'static str {
    if trial.is_locked() {
        "the lock is held"
    } else {
        "the lock is free"
    }
}

async fn accounts(trial: &Trial) -> Result<String> {
    Ok(trial.users().emails().await?.join(", "))
}

fn outcome<T: Debug>(result: &Result<T, ClientError>) -> String {
    match result {
        Ok(value) => format!("Ok: {value:?}"),
        Err(error) => format!("Err: {error}"),
    }
}

fn print_row(name: &str, value: impl Display) {
    println!("   {name:<16} {value}");
}
