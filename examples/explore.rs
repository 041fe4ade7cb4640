//! Two registrations of one address at once, in many orders: without the lock one is found in which
//! both succeed, and repeated by its seed; with the lock there is none.
//!
//! `cargo run --example explore` prints them. The accounts are kept in memory, so that nothing but the
//! order of the steps decides what happens.

use straggler::explore::Failure;
use straggler::{Explore, Lock, settle_all};
use tokio::sync::RwLock;

/// Whether a registration keeps others out between its look-up and its insert.
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

/// The test: of two registrations of one address one is refused.
async fn two_registrations(locking: Locking) {
    let registrations = Registrations::new(locking);
    let registering = [(); 2].map(|()| registrations.register("eve@example.com"));
    let settled = settle_all(registering)
        .named(|index| ["eve", "eve again"][index])
        .await;
    assert_eq!(settled.ok_count(), 1, "one address, one account");
}

fn find(locking: Locking) -> Result<usize, Failure> {
    let explored = Explore::new().find(|| two_registrations(locking));
    explored.map(|explored| explored.runs())
}

fn main() {
    // The panics of the test are told in the reports.
    std::panic::set_hook(Box::new(|_| {}));
    println!("1. without the lock\n");
    let failure = match find(Locking::Without) {
        Err(failure) => failure,
        Ok(runs) => {
            println!("no race was found in {runs} runs");
            std::process::exit(1);
        }
    };
    println!("{failure}\n");

    println!("2. the same run again, by its seed {}\n", failure.seed());
    let exploring = Explore::new().replay(failure.seed().clone());
    match exploring.find(|| two_registrations(Locking::Without)) {
        Err(again) if again.schedule() == failure.schedule() => {
            println!("it fails again, in the same steps\n");
        }
        _ => {
            println!("it took another course");
            std::process::exit(1);
        }
    }

    println!("3. with the lock\n");
    match find(Locking::With) {
        Ok(runs) => println!("{runs} runs, and each of them passes"),
        Err(failure) => {
            println!("{failure}");
            std::process::exit(1);
        }
    }
}
