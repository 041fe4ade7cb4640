//! The registration service over HTTP, with a real database: the joins, the race and the lock.

use std::collections::HashMap;
use std::pin::pin;

use futures::future::{select, try_join_all};
use futures::poll;
use straggler::{barrier, settle, settle_all};
use straggler_examples::registration::{ClientError, Email, Fault, Locking, Trial};

type Outcome = anyhow::Result<()>;

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, ClientError>, with: u16, because: &str) {
    match result {
        Err(ClientError::Refused { status, message }) => {
            assert_eq!((status.as_u16(), message.as_str()), (with, because));
        }
        other => panic!("not refused: {other:?}"),
    }
}

const ADA_IS_REGISTERED: &str = "ada@example.com is already registered";

#[straggler::test]
async fn try_join_all_leaves_registration_running() -> Outcome {
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;

    let joined = try_join_all(trial.register_bob_and_ada()).await;

    assert_refused(joined, 409, ADA_IS_REGISTERED);
    assert_eq!(trial.activity().running, 1, "bob's registration still runs");
    assert_eq!(trial.users().emails().await?, ["ada@example.com"]);

    // If the test ended here, bob would turn up in the database of the next test.
    writes.release().await?;
    trial.until(|activity| activity.running == 0).await;
    assert_eq!(
        trial.users().emails().await?,
        ["ada@example.com", "bob@example.com"]
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn barrier_leaves_no_registration_running() -> Outcome {
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;
    {
        let mut joining = pin!(barrier(trial.register_bob_and_ada()));
        let refused = pin!(trial.until(|activity| activity.refused == 1));
        select(&mut joining, refused).await;
        assert!(poll!(&mut joining).is_pending(), "barrier waits for bob");
        assert_eq!(trial.activity().running, 1);

        writes.release().await?;
        assert_refused(joining.await, 409, ADA_IS_REGISTERED);
    }
    assert_eq!(trial.activity().running, 0, "no registration still runs");
    assert_eq!(
        trial.users().emails().await?,
        ["ada@example.com", "bob@example.com"]
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn settle_all_returns_winner_and_loser() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let settled = settle_all(twice).await;

    assert_eq!((settled.ok_count(), settled.err_count()), (1, 1));
    assert_eq!(trial.activity().running, 0);
    let error = settled.into_result();
    assert_refused(error, 409, "eve@example.com is already registered");
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn lock_lets_one_of_twenty_win() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let settled = settle_all((0..20).map(|_| trial.client.register("eve@example.com"))).await;

    assert_eq!((settled.ok_count(), settled.err_count()), (1, 19));
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn missing_lock_lets_both_win() -> Outcome {
    let trial = Trial::start(0, Locking::Without).await?;
    let writes = trial.users().hold_writes().await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let (settled, released) = settle!(settle_all(twice), async {
        trial.until(|activity| activity.found_free >= 2).await;
        writes.release().await
    });

    released?;
    assert_eq!(settled.ok_count(), 2);
    assert_eq!(trial.users().emails().await?, ["eve@example.com"; 2]);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn lock_delays_second_lookup_until_insert() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let (settled, released) = settle!(settle_all(twice), async {
        trial
            .until(|activity| activity.running == 2 && activity.found_free >= 1)
            .await;
        writes.release().await
    });

    released?;
    assert_eq!(settled.ok_count(), 1);
    assert_eq!(trial.activity().found_free, 1);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn address_registered_in_lower_case() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let ada = trial.client.register("Ada@Example.COM").await?;
    assert_eq!(ada.email, "ada@example.com");
    assert_refused(
        trial.client.register("aDA@example.com").await,
        409,
        ADA_IS_REGISTERED,
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn company_address_skips_duplicate_check() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let emails = [
        "boss@mycompany.com",
        "Boss@MyCompany.com",
        "boss@mycompany.com",
    ];
    let users = barrier(emails.map(|email| trial.client.register(email))).await?;

    assert_eq!(users.len(), 3);
    assert_eq!(trial.users().emails().await?, ["boss@mycompany.com"; 3]);
    let similar = ["x@notmycompany.com"; 2].map(|email| trial.client.register(email));
    assert_eq!(
        settle_all(similar).await.ok_count(),
        1,
        "only the exact domain skips the check"
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn invalid_address_refused_with_reason() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    for text in ["", "ada", "@example.com", "ada@", "ada <ada@example.com>"] {
        let reason = text.parse::<Email>().unwrap_err().to_string();
        assert!(
            reason.starts_with(&format!("{text:?} is not an email address: ")),
            "{reason}"
        );
        assert_refused(trial.client.register(text).await, 422, &reason);
    }
    assert!(trial.users().emails().await?.is_empty());
    Ok(trial.end().await?)
}

#[straggler::test]
async fn body_without_address_refused() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let body = HashMap::from([("mail", "ada@example.com")]);
    match trial.client.post(&body).await {
        Err(ClientError::Refused { status, message }) => {
            assert_eq!(status.as_u16(), 422);
            assert!(message.contains("missing field `email`"), "{message}");
        }
        other => panic!("not refused: {other:?}"),
    }
    assert!(trial.users().emails().await?.is_empty());
    Ok(trial.end().await?)
}

#[straggler::test]
async fn server_stop_waits_for_registration() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;
    {
        let registering = pin!(trial.client.register("bob@example.com"));
        let running = pin!(trial.until(|activity| activity.found_free == 1));
        // Dropping the client's future at the end of this block hangs up.
        select(registering, running).await;
    }
    let activity = trial.watch();
    let (ended, released) = settle!(trial.end(), writes.release());

    ended?;
    released?;
    assert_eq!(activity.borrow().running, 0);
    Ok(())
}

#[straggler::test]
async fn taken_port_named_in_error() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let port = trial.url().rsplit(':').next().unwrap_or_default().parse()?;

    let error = Trial::start(port, Locking::With).await.unwrap_err();

    assert_eq!(error.to_string(), format!("cannot listen on port {port}"));
    Ok(trial.end().await?)
}

#[straggler::test]
async fn barrier_returns_error_of_loser() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let result = barrier(twice).await;

    assert_refused(result, 409, "eve@example.com is already registered");
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    assert!(!trial.is_locked());
    Ok(trial.end().await?)
}

/// Registers one address twice while one lookup fails. Returns the error message of that client.
///
/// Asserts that the other registration gets the lock and succeeds.
async fn register_twice_with(fault: Fault) -> anyhow::Result<String> {
    let trial = Trial::start(0, Locking::With).await?;
    trial.users().inject_fault(fault);

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let settled = settle_all(twice).await;

    assert_eq!((settled.ok_count(), settled.err_count()), (1, 1));
    assert!(!trial.is_locked());
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    trial.end().await?;
    match settled.into_result() {
        Err(ClientError::Refused { status, message }) => {
            assert_eq!(status.as_u16(), 500);
            Ok(message)
        }
        other => panic!("unexpected success: {other:?}"),
    }
}

#[straggler::test]
async fn failed_lookup_releases_lock() -> Outcome {
    let message = register_twice_with(Fault::Fails).await?;
    assert!(message.starts_with("the database failed"), "{message}");
    Ok(())
}

#[straggler::test(panics = "allow")]
async fn panicking_handler_releases_lock() -> Outcome {
    let message = register_twice_with(Fault::Panics).await?;
    assert!(message.contains(Fault::PANIC_MESSAGE), "{message}");
    Ok(())
}

#[straggler::test]
async fn hung_up_client_releases_lock_when_done() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;
    {
        let registering = pin!(trial.client.register("eve@example.com"));
        let found_free = pin!(trial.until(|activity| activity.found_free == 1));
        select(registering, found_free).await;
    }
    assert!(trial.is_locked(), "the registration outlives its client");

    let (second, released) = settle!(trial.client.register("eve@example.com"), async {
        trial.until(|activity| activity.running == 2).await;
        writes.release().await
    });

    released?;
    assert_refused(second, 409, "eve@example.com is already registered");
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    assert!(!trial.is_locked());
    Ok(trial.end().await?)
}

/// Like a handler that the server drops with its connection.
#[straggler::test]
async fn dropped_registration_completes() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let service = trial.registrations();
    let writes = trial.users().hold_writes().await?;
    {
        let holds = pin!(service.register("bob@example.com"));
        let found_free = pin!(trial.until(|activity| activity.found_free == 1));
        select(holds, found_free).await;
        let waits = pin!(service.register("eve@example.com"));
        let running = pin!(trial.until(|activity| activity.running == 2));
        select(waits, running).await;
    }
    let lock = service.lock().expect("the service has a lock");
    assert!(
        lock.is_locked(),
        "until the database has completed the insert"
    );
    assert_eq!(lock.waiters().len(), 1);
    writes.release().await?;
    service.completed().await;
    assert!(!lock.is_locked());
    assert_eq!(trial.activity().running, 0);
    let emails = ["bob@example.com", "eve@example.com"];
    assert_eq!(trial.users().emails().await?, emails);
    Ok(trial.end().await?)
}
