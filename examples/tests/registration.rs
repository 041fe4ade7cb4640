//! The registration service on a real database, over HTTP: what each join leaves behind.

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
async fn try_join_all_returns_while_a_registration_is_at_work() -> Outcome {
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;

    let joined = try_join_all(trial.register_bob_and_ada()).await;

    assert_refused(joined, 409, ADA_IS_REGISTERED);
    assert_eq!(trial.activity().at_work, 1, "bob's registration goes on");
    assert_eq!(trial.users().emails().await?, ["ada@example.com"]);

    // A test that ended here would disturb the next one: bob turns up in its database.
    writes.release().await?;
    trial.until(|activity| activity.at_work == 0).await;
    assert_eq!(
        trial.users().emails().await?,
        ["ada@example.com", "bob@example.com"]
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn barrier_returns_when_no_registration_is_at_work() -> Outcome {
    let (trial, writes) = Trial::start_with_ada_and_held_writes().await?;
    {
        let mut joining = pin!(barrier(trial.register_bob_and_ada()));
        let refused = pin!(trial.until(|activity| activity.refused == 1));
        select(&mut joining, refused).await;
        assert!(poll!(&mut joining).is_pending(), "barrier waits for bob");
        assert_eq!(trial.activity().at_work, 1);

        writes.release().await?;
        assert_refused(joining.await, 409, ADA_IS_REGISTERED);
    }
    assert_eq!(trial.activity().at_work, 0, "nothing is left behind");
    assert_eq!(
        trial.users().emails().await?,
        ["ada@example.com", "bob@example.com"]
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn settle_all_shows_that_one_of_two_registrations_wins() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let settled = settle_all(twice).await;

    assert_eq!((settled.ok_count(), settled.err_count()), (1, 1));
    assert_eq!(trial.activity().at_work, 0);
    let error = settled.into_result();
    assert_refused(error, 409, "eve@example.com is already registered");
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn of_many_registrations_with_the_lock_exactly_one_wins() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let settled = settle_all((0..20).map(|_| trial.client.register("eve@example.com"))).await;

    assert_eq!((settled.ok_count(), settled.err_count()), (1, 19));
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn without_the_lock_two_registrations_both_win() -> Outcome {
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
async fn with_the_lock_the_second_look_up_waits_for_the_first_insert() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let (settled, released) = settle!(settle_all(twice), async {
        trial
            .until(|activity| activity.at_work == 2 && activity.found_free >= 1)
            .await;
        writes.release().await
    });

    released?;
    assert_eq!(settled.ok_count(), 1);
    assert_eq!(trial.activity().found_free, 1);
    Ok(trial.end().await?)
}

#[straggler::test]
async fn an_address_is_registered_in_lower_case() -> Outcome {
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
async fn addresses_of_the_company_skip_the_check() -> Outcome {
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
        "only the very domain skips it"
    );
    Ok(trial.end().await?)
}

#[straggler::test]
async fn what_is_no_address_is_refused_by_name() -> Outcome {
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
async fn a_body_without_an_address_is_refused() -> Outcome {
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
async fn a_registration_that_has_begun_is_finished_before_the_server_stops() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;
    {
        let registering = pin!(trial.client.register("bob@example.com"));
        let at_work = pin!(trial.until(|activity| activity.found_free == 1));
        // The client hangs up here, when its future is dropped.
        select(registering, at_work).await;
    }
    let activity = trial.watch();
    let (ended, released) = settle!(trial.end(), writes.release());

    ended?;
    released?;
    assert_eq!(activity.borrow().at_work, 0);
    Ok(())
}

#[straggler::test]
async fn a_taken_port_is_named() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let port = trial.url().rsplit(':').next().unwrap_or_default().parse()?;

    let error = Trial::start(port, Locking::With).await.unwrap_err();

    assert_eq!(error.to_string(), format!("cannot listen on port {port}"));
    Ok(trial.end().await?)
}

#[straggler::test]
async fn barrier_of_two_registrations_names_the_one_that_lost() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;

    let twice = ["eve@example.com"; 2].map(|email| trial.client.register(email));
    let result = barrier(twice).await;

    assert_refused(result, 409, "eve@example.com is already registered");
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    assert!(!trial.is_locked());
    Ok(trial.end().await?)
}

/// Registers one address twice at once, while one of the look-ups goes wrong. Returns what the client
/// is told of that: the other registration gets the lock, and succeeds.
async fn register_twice_despite(fault: Fault) -> anyhow::Result<String> {
    let trial = Trial::start(0, Locking::With).await?;
    trial.users().break_next_look_up(fault);

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
        other => panic!("it did not fail: {other:?}"),
    }
}

#[straggler::test]
async fn a_look_up_that_fails_does_not_lose_the_lock() -> Outcome {
    let message = register_twice_despite(Fault::Fails).await?;
    assert!(message.starts_with("the database failed"), "{message}");
    Ok(())
}

#[straggler::test(panics = "allow")]
async fn a_handler_that_panics_does_not_lose_the_lock() -> Outcome {
    let message = register_twice_despite(Fault::Panics).await?;
    assert!(message.contains("as it was told to"), "{message}");
    Ok(())
}

#[straggler::test]
async fn a_client_that_hangs_up_while_it_has_the_lock_keeps_it_from_nobody() -> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;
    {
        let registering = pin!(trial.client.register("eve@example.com"));
        let found_free = pin!(trial.until(|activity| activity.found_free == 1));
        select(registering, found_free).await;
    }
    assert!(
        trial.is_locked(),
        "a registration that has begun is finished"
    );

    let (second, released) = settle!(trial.client.register("eve@example.com"), async {
        trial.until(|activity| activity.at_work == 2).await;
        writes.release().await
    });

    released?;
    assert_refused(second, 409, "eve@example.com is already registered");
    assert_eq!(trial.users().emails().await?, ["eve@example.com"]);
    assert!(!trial.is_locked());
    Ok(trial.end().await?)
}

/// What becomes of a handler whose server drops it with the connection.
#[straggler::test]
async fn a_registration_that_is_dropped_in_the_middle_or_in_the_queue_gives_the_lock_back()
-> Outcome {
    let trial = Trial::start(0, Locking::With).await?;
    let service = trial.registrations();
    let writes = trial.users().hold_writes().await?;
    {
        let mut holds = Box::pin(service.register("bob@example.com"));
        let found_free = pin!(trial.until(|activity| activity.found_free == 1));
        select(&mut holds, found_free).await;
        let mut waits = Box::pin(service.register("eve@example.com"));
        assert!(poll!(&mut waits).is_pending());
        let lock = service.lock().expect("there is one");
        assert_eq!(lock.waiters().len(), 1);
        drop(waits);
        assert!(lock.waiters().is_empty() && trial.is_locked());
        drop(holds);
        assert!(!trial.is_locked());
    }
    writes.release().await?;
    trial.client.register("ada@example.com").await?;
    assert_eq!(trial.activity().at_work, 0);
    Ok(trial.end().await?)
}
