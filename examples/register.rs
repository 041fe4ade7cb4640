//! Two registrations at once: what `try_join_all` leaves behind, what `barrier` does not, and who
//! wins when both want the same address; and that nothing loses the lock that decides it.
//!
//! `cargo run --example register` tells the story; with `-- --serve` the service stays up.

use std::fmt::{Debug, Display};
use std::pin::pin;

use anyhow::{Context, Result};
use clap::Parser;
use futures::future::{select, try_join_all};
use straggler::{barrier, settle, settle_all};
use straggler_examples::registration::{ClientError, Fault, Locking, Trial};
use tokio::signal;

/// A user-registration service on an embedded database, and the race in it.
#[derive(Parser)]
struct Arguments {
    /// Serve until Ctrl-C instead of telling the story
    #[arg(long)]
    serve: bool,
    /// Listen on this port; 0 is any free one
    #[arg(long, default_value_t = 0, requires = "serve")]
    port: u16,
    /// Serve with the bug: without the lock around look-up and insert
    #[arg(long, requires = "serve")]
    without_lock: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.serve {
        return serve(arguments.port, arguments.without_lock).await;
    }
    what_try_join_all_leaves_behind().await?;
    what_barrier_does_not().await?;
    who_wins(Locking::Without).await?;
    who_wins(Locking::With).await?;
    what_does_not_lose_the_lock().await
}

async fn serve(port: u16, without_lock: bool) -> Result<()> {
    let locking = if without_lock {
        Locking::Without
    } else {
        Locking::With
    };
    let trial = Trial::start(port, locking).await?;
    let url = trial.url();
    // In this order: whoever has read the first line may already press Ctrl-C.
    let (interrupted, ()) = settle!(signal::ctrl_c(), async {
        println!("listening on {url}");
        println!(
            "curl -i {url}/user -H 'content-type: application/json' -d '{{\"email\": \"ada@example.com\"}}'"
        );
    });
    interrupted.context("cannot wait for Ctrl-C")?;
    Ok(trial.end().await?)
}

async fn what_try_join_all_leaves_behind() -> Result<()> {
    println!("1. try_join_all registers bob, and ada, who is registered already");
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;

    let joined = try_join_all(trial.register_bob_and_ada()).await;

    say("it returned", outcome(&joined));
    say("still at work", trial.activity().at_work);
    say("in the database", accounts(&trial).await?);
    println!("   Here the test ends. During the next one the database is free again:");
    writes.release().await?;
    trial.until(|activity| activity.at_work == 0).await;
    say(
        "in the database",
        accounts(&trial).await? + "  <- left behind",
    );
    Ok(trial.end().await?)
}

async fn what_barrier_does_not() -> Result<()> {
    println!("\n2. barrier does the same");
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;

    let ((joined, at_work), released) = settle!(
        async {
            (
                barrier(trial.register_bob_and_ada()).await,
                trial.activity().at_work,
            )
        },
        async {
            trial.until(|activity| activity.refused == 1).await;
            println!("   Ada is refused, bob is at work. Now the database is free again:");
            writes.release().await
        },
    );
    released?;

    say("it returned", outcome(&joined));
    say("still at work", at_work);
    say("in the database", accounts(&trial).await?);
    Ok(trial.end().await?)
}

async fn who_wins(locking: Locking) -> Result<()> {
    // Without the lock both find the address free before either inserts it.
    let found_free = match locking {
        Locking::Without => {
            println!("\n3. settle_all registers eve twice, and the service takes no lock");
            2
        }
        Locking::With => {
            println!("\n4. settle_all registers eve twice, and the service takes a lock");
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
        say(&format!("registration {index}"), outcome(result));
    }
    match settled.oks().map(|(index, _)| index).collect::<Vec<_>>()[..] {
        [winner] => say("the winner", format!("registration {winner}")),
        _ => say("the winner", "both: one address, two accounts"),
    }
    say("in the database", accounts(&trial).await?);
    Ok(trial.end().await?)
}

async fn what_does_not_lose_the_lock() -> Result<()> {
    println!(
        "\n5. with the lock a look-up fails, a handler panics (and prints its message), and a client hangs up"
    );
    let trial = Trial::start(0, Locking::With).await?;
    for (what, fault) in [
        ("a look-up fails", Fault::Fails),
        ("a handler panics", Fault::Panics),
    ] {
        trial.users().break_next_look_up(fault);
        let failed = trial.client.register("eve@example.com").await;
        say(what, if failed.is_err() { "Err" } else { "Ok" });
        say("the lock", lock(&trial));
    }

    let writes = trial.users().hold_writes().await?;
    {
        let registering = pin!(trial.client.register("bob@example.com"));
        select(
            registering,
            pin!(trial.until(|activity| activity.found_free == 1)),
        )
        .await;
        // Here the client hangs up.
    }
    say("a client is gone", "its registration goes on");
    say("the lock", lock(&trial));
    writes.release().await?;
    let eve = trial.client.register("eve@example.com").await;
    say("then eve", outcome(&eve));
    say("the lock", lock(&trial));
    say("in the database", accounts(&trial).await?);
    Ok(trial.end().await?)
}

fn lock(trial: &Trial) -> &'static str {
    if trial.is_locked() {
        "is held"
    } else {
        "is free"
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

fn say(what: &str, is: impl Display) {
    println!("   {what:<16} {is}");
}
