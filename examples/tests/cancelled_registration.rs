//! Registrations that are cancelled at each place, with the real database.

use std::time::Duration;

use straggler::{cancellable, settle};
use straggler_examples::registration::{Locking, Trial};
use tokio::time::timeout;

type Outcome = anyhow::Result<()>;

/// Long enough for a lookup, if nothing keeps it from overtaking an insert.
const LOOKUP: Duration = Duration::from_millis(100);

const EVE: &str = "eve@example.com";

/// Cancels a registration of eve, and repeats it while the database still blocks the insert of the first.
async fn cancel_and_repeat(register: impl AsyncFn(&Trial)) -> Outcome {
    // The database answers from threads of its own, for which a paused clock does not wait.
    tokio::time::resume();
    let trial = Trial::start(0, Locking::With).await?;
    let writes = trial.users().hold_writes().await?;

    let ((), released) = settle!(
        async {
            if cancellable(register(&trial)).await.is_none() {
                register(&trial).await;
            }
        },
        async {
            trial.until(|activity| activity.found_free >= 1).await;
            _ = timeout(LOOKUP, trial.until(|activity| activity.found_free >= 2)).await;
            writes.release().await
        },
    );

    released?;
    assert_eq!(
        trial.users().emails().await?,
        [EVE],
        "one address, one account"
    );
    assert_eq!(trial.activity().running, 0);
    assert!(!trial.is_locked());
    Ok(trial.end().await?)
}

#[straggler::test(cancel)]
async fn cancelled_registration_can_be_repeated() -> Outcome {
    cancel_and_repeat(async |trial| {
        // An error if the first one completed.
        _ = trial.registrations().register(EVE).await;
    })
    .await
}

#[straggler::test(cancel)]
async fn client_may_hang_up_and_repeat() -> Outcome {
    cancel_and_repeat(async |trial| {
        _ = trial.client.register(EVE).await;
    })
    .await
}
