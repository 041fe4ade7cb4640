//! One run of the body under test, in one schedule.

use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::explore::failure::Cause;
use crate::explore::outcome::Outcome;
use crate::explore::{REPLAY_TIMEOUT, TIMEOUT};
use crate::leak;
use crate::leak::check::body::Body;
use crate::leak::check::run::{Checked, RuleUse};
use crate::leak::record::panic_hook::{Captured, Quiet, capture_panics, install_hook};
use crate::leak::settings::Settings;
use crate::schedule::cancellation::{self, Cancellations};
use crate::schedule::decisions::Decisions;
use crate::schedule::discarded::Discarded;
use crate::schedule::draws;
use crate::schedule::eager::Spawns;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::steering::{self, Run};
use crate::schedule::timer_race::Timers;

/// The fingerprint of a run in the plain order, which decides nothing.
pub(crate) const PLAIN_FINGERPRINT: u64 = 0;

/// The message with which tokio refuses to pause a paused clock.
const ALREADY_FROZEN: &str = "time is already frozen";

/// Who pauses the clock of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The run, before the body starts.
    AtStart,
    /// The body. Only such a body may call `tokio::time::pause`.
    ByBody,
}

/// The body under test and how to check it.
pub(crate) struct Subject<F> {
    pub(crate) settings: Settings,
    pub(crate) pause: Pause,
    /// Whether the runs cancel operations.
    pub(crate) cancels: bool,
    /// Whether timers may fire early.
    pub(crate) races_timers: bool,
    pub(crate) spawns: Spawns,
    /// Whether an operation that was polled by hand found no budget, which only a closer look has shown.
    pub(crate) polls_by_hand: bool,
    /// What the rules did in all runs that searched. `None` before the first one.
    pub(crate) rules: Option<RuleUse>,
    /// The path of the test, if it has the attribute.
    pub(crate) test: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) body: F,
}

/// A finished run.
pub(crate) struct Attempt {
    /// `None` if the run passed.
    pub(crate) cause: Option<Cause>,
    /// `None` for the plain order.
    pub(crate) run: Option<Run>,
    /// `None` if the runs do not cancel.
    pub(crate) cancellations: Option<Cancellations>,
}

/// Why a run is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To find a failure. The run prints its panics. A deadlock counts only after some real time
    /// without a wake-up, since a thread of the body might still send one.
    Find { grace: Grace },
    /// To show a recorded run, perhaps under a debugger. The run may stop there for any time.
    Replay,
    /// To see a known failure again. Its panics have been printed already. A known deadlock needs no
    /// waiting: the run ends as soon as nothing can run.
    Confirm { is_deadlock: bool, grace: Grace },
    /// To look more closely at the poll with this number, which ran out of budget.
    Look(usize),
}

/// How long leftovers of a run get to finish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grace {
    /// The grace of the check. Every printed report comes from such a run.
    Usual,
    /// None. Otherwise each run that leaks takes the whole grace.
    None,
}

impl Attempt {
    pub(crate) fn fingerprint(&self) -> u64 {
        let run = self.run.as_ref();
        run.map_or(PLAIN_FINGERPRINT, |run| run.decisions.fingerprint())
    }

    /// Why it counts as nothing, if it does. Then it has no cause either.
    pub(crate) fn discarded(&self) -> Option<Discarded> {
        self.run.as_ref()?.discarded
    }

    /// The decisions other than the plain ones.
    pub(crate) fn changes(&self) -> Vec<(usize, u32)> {
        let run = self.run.as_ref();
        run.map_or(Vec::new(), |run| run.decisions.changes())
    }

    /// How many choices there were at each decision.
    pub(crate) fn choices(self) -> Vec<u32> {
        self.run
            .map_or(Vec::new(), |run| run.decisions.into_choices())
    }

    /// Whether it failed, and the failure counts.
    pub(crate) fn has_failed(&self) -> bool {
        match &self.cause {
            Some(Cause::Found(report)) => !report.only_warns(),
            cause => cause.is_some(),
        }
    }

    pub(crate) fn fails_like(&self, cause: &Cause) -> bool {
        self.cause.as_ref().is_some_and(|own| own.is_like(cause))
    }
}

impl<F, R> Subject<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Runs the body once, and records the steps if `is_recorded`.
    ///
    /// If the body pauses the clock itself, it starts again with a running one, here and in all later runs.
    pub(crate) fn attempt(&mut self, seed: &Seed, is_recorded: bool, purpose: Purpose) -> Attempt {
        let (attempt, was_refused) = self.attempt_once(seed, is_recorded, purpose);
        if !was_refused {
            return attempt;
        }
        self.pause = Pause::ByBody;
        let (attempt, _) = self.attempt_once(seed, is_recorded, purpose);
        attempt
    }

    /// Makes a run that searches for a failure.
    pub(crate) fn search(&mut self, seed: &Seed, grace: Grace) -> Attempt {
        let mut attempt = self.attempt(seed, false, Purpose::Find { grace });
        self.look_again(seed, &mut attempt);
        if self.polls_by_hand && attempt.cause.as_ref().is_some_and(Cause::is_deadlock) {
            // A thread may wake it yet.
            self.polls_by_hand = false;
            attempt = self.attempt(seed, false, Purpose::Find { grace });
            self.polls_by_hand = true;
        }
        attempt
    }

    /// Discards a failed run if something was polled by hand in it and found no budget. Only replays show that, if
    /// the test itself was made to yield in the same poll.
    pub(crate) fn look_again(&mut self, seed: &Seed, attempt: &mut Attempt) {
        // Each look at a run that hangs would take as long again.
        let is_slow = attempt.cause.as_ref().is_some_and(Cause::is_slow);
        let has_failed = attempt.has_failed() && !is_slow;
        let Some(run) = attempt.run.as_mut().filter(|_| has_failed) else {
            return;
        };
        let mut suspects = run.hand_polls.suspects.iter();
        let is_confirmed = suspects.any(|number| {
            let again = self.attempt(seed, false, Purpose::Look(*number));
            again.run.is_some_and(|run| run.hand_polls.is_confirmed)
        });
        if is_confirmed {
            run.discarded = Some(Discarded::PolledByHand);
            attempt.cause = None;
            self.polls_by_hand = true;
        }
    }

    /// What steers the run, or `None` for the plain order.
    fn steered(&self, seed: &Seed, is_recorded: bool, purpose: Purpose) -> Option<Run> {
        let mut run = Run::new(Decisions::of(&seed.kind)?, is_recorded);
        if let Purpose::Look(number) = purpose {
            run.hand_polls.looked_at = Some(number);
        }
        run.spawns = self.spawns;
        // A running clock advances by itself.
        if self.races_timers && self.pause == Pause::AtStart {
            run.timers = Timers::Race(None);
        }
        Some(run)
    }

    /// Runs the body once. Also returns whether tokio refused to pause the clock again.
    fn attempt_once(
        &mut self,
        seed: &Seed,
        is_recorded: bool,
        purpose: Purpose,
    ) -> (Attempt, bool) {
        let mut builder = Builder::new_current_thread();
        let pauses_at_start = self.pause == Pause::AtStart;
        builder.enable_all().start_paused(pauses_at_start);
        // Otherwise `select!` draws its branches anew in each runtime.
        #[cfg(tokio_unstable)]
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(b"straggler"));
        let mut run = self.steered(seed, is_recorded, purpose);
        if let Some(run) = &mut run {
            // By default tokio wakes a task that yields only once no other task is ready.
            if run.tree.is_none() && run.decisions.deviates("each task lets others go first") {
                builder.event_interval(1);
            }
        }
        let (ends_when_idle, grace) = match purpose {
            // Such a body deadlocks often, for no reason.
            Purpose::Find { grace } => (self.polls_by_hand, grace),
            Purpose::Replay => (false, Grace::Usual),
            Purpose::Confirm { is_deadlock, grace } => (is_deadlock, grace),
            Purpose::Look(_) => (true, Grace::None),
        };
        let quiet = match purpose {
            Purpose::Confirm { .. } | Purpose::Look(_) => Quiet::All,
            Purpose::Find { .. } | Purpose::Replay => Quiet::Some {
                message: pauses_at_start.then_some(ALREADY_FROZEN),
                discarded: purpose != Purpose::Replay,
            },
        };
        let settings = Settings {
            grace: match grace {
                Grace::Usual => self.settings.grace,
                Grace::None => Some(Duration::ZERO),
            },
            default_timeout: match purpose {
                Purpose::Replay => REPLAY_TIMEOUT,
                Purpose::Find { .. } | Purpose::Confirm { .. } | Purpose::Look(_) => TIMEOUT,
            },
            // A rule may be there for one run only, so the exploration notes at its end what no run used.
            notes_rules: false,
            ends_when_idle,
            is_explored: true,
            ..self.settings.clone()
        };
        let body = &mut self.body;
        let (test, place) = (self.test, self.place);
        let check = || {
            let body = Body::new(Box::pin(async {
                // What runs after the body, such as the drain of leftovers, is not steered.
                let _steered = steering::until_dropped();
                let mut body = pinned(body);
                // Dropped before the body.
                let _over = cancellation::until_over();
                body.as_mut().await
            }));
            leak::check::run::run(Some(builder), settings, test, place, body)
        };
        // Otherwise it is missing under `STRAGGLER=off`.
        install_hook();
        let cancellations = self.cancels.then(|| match &seed.kind {
            Kind::Cancelled(places) => Cancellations::at(places, is_recorded),
            Kind::Plain => Cancellations::at(&[], is_recorded),
            Kind::Drawn(_) | Kind::Changes(_) | Kind::Tree(_) => Cancellations::decided(),
        });
        let check = || match cancellations {
            None => (check(), None),
            Some(cancellations) => {
                let (checked, cancellations) = cancellation::cancel(cancellations, check);
                (checked, Some(cancellations))
            }
        };
        let check = || draws::decided(check);
        let (((checked, cancellations), run), captured) = capture_panics(quiet, || match run {
            None => (check(), None),
            Some(run) => {
                let ((checked, cancellations), mut run) = steering::steer(run, check);
                run.cancelled = cancellations.as_ref().and_then(Cancellations::cancelled);
                ((checked, cancellations), Some(run))
            }
        });
        // A run that tokio could not make says nothing of the body.
        let counts = run.as_ref().is_none_or(|run| run.discarded.is_none());
        if let (true, Purpose::Find { .. }, Checked::Run { rules, .. }) =
            (counts, purpose, &checked)
        {
            self.rules.get_or_insert_with(|| rules.clone()).add(rules);
        }
        let cause = counts.then(|| cause(checked, &captured)).flatten();
        let attempt = Attempt {
            cause,
            run,
            cancellations,
        };
        (attempt, captured.has_message)
    }
}

/// Why a run failed, if it did.
fn cause<T: Outcome>(checked: Checked<T>, captured: &Captured) -> Option<Cause> {
    match checked {
        Checked::Failed(report) => Some(Cause::Found(report)),
        Checked::Run {
            outcome: Err(panic),
            report,
            ..
        } => {
            // Tasks may have panicked too.
            let place = captured.places.find(panic.payload_id());
            Some(Cause::Panicked {
                panic,
                place,
                report,
            })
        }
        Checked::Run {
            outcome: Ok(output),
            report,
            ..
        } => match (output.error(), report) {
            (Some(error), report) => Some(Cause::ReturnedError { error, report }),
            (None, report) => report.map(Cause::Found),
        },
    }
}

/// Makes the future of a run on the heap. Without optimization, whoever makes it has a copy of it on
/// the stack: this function, which returns before the future is polled.
#[inline(never)]
fn pinned<R>(body: &mut impl FnMut() -> R) -> Pin<Box<R>> {
    Box::pin(body())
}
