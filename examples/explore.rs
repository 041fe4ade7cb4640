//! Explores two concurrent registrations of one address.
//!
//! Without a lock, `Explore` finds a schedule in which both succeed, and replays it from its seed. With
//! the lock there is none. Accounts are in memory, so only the schedule decides what happens.
//!
//! `cargo run --example explore` prints the failing schedule.

use std::panic;

use straggler::explore::Failure;
use straggler::{Explore, Lock, settle_all};
use tokio::sync::RwLock;

/// Whether a registration holds a lock around its lookup and its insert.
#[derive(Clone, Copy)]
enum Locking {
    Without,
    With,
}

struct Registrations {
    accounts: RwLock<Vec<String>>,
    lock: Option<Lock>,
}

impl Registrations {
    fn new(locking: Locking) -> Self {
        Self {
            accounts: RwLock::default(),
            lock: matches!(locking, Locking::With).then(Lock::new),
        }
    }

    async fn register(&self, email: &str) -> Result<(), String> {
        let _locked = match &self.lock {
            Some(lock) => Some(lock.acquire().await),
            None => None,
        };
        if self
            .accounts
            .read()
            .await
            .iter()
            .any(|account| account == email)
        {
            return Err(format!("409: {email} is already registered"));
        }
        self.accounts.write().await.push(email.to_owned());
        Ok(())
    }
}

/// What the test asserts.
const ONE_ACCOUNT: &str = "one address, one account";

/// The test: one of two registrations of the same address is refused.
async fn two_registrations(locking: Locking) {
    let registrations = Registrations::new(locking);
    let registering = [(); 2].map(|()| registrations.register("eve@example.com"));
    let settled = settle_all(registering)
        .named(|index| ["eve", "eve again"][index])
        .await;
    assert_eq!(settled.ok_count(), 1, "{ONE_ACCOUNT}");
}

fn find(locking: Locking) -> Result<usize, Failure> {
    let explored = Explore::new().find(|| two_registrations(locking));
    explored.map(|explored| explored.runs())
}

fn main() {
    silence_failed_assertion();
    println!("1. Without the lock\n");
    let failure = match find(Locking::Without) {
        Err(failure) => failure,
        Ok(runs) => {
            println!("{runs} runs passed, but one should find the race");
            std::process::exit(1);
        }
    };
    println!("{failure}\n");

    println!("2. Replay of the seed {}\n", failure.seed());
    let replay = Explore::new().replay(failure.seed().clone());
    match replay.find(|| two_registrations(Locking::Without)) {
        Err(again) if again.schedule() == failure.schedule() => {
            println!("The test fails again, in the same steps.\n");
        }
        _ => {
            println!("The replay diverged.");
            std::process::exit(1);
        }
    }

    println!("3. With the lock\n");
    match find(Locking::With) {
        Ok(runs) => println!("All {runs} runs pass."),
        Err(failure) => {
            println!("{failure}");
            std::process::exit(1);
        }
    }
}

/// Keeps the test's failed assertion out of the output: the reports already show it, and hundreds of
/// runs may repeat it. Other panics still reach the previous hook.
fn silence_failed_assertion() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str();
        if !message.is_some_and(|message| message.contains(ONE_ACCOUNT)) {
            previous(info);
        }
    }));
}
