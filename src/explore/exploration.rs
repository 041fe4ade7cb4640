//! The order of events of an exploration: search, repeat, make simpler, tell.

use std::collections::HashSet;
use std::panic::Location;
use std::pin::pin;
use std::thread;

use fastrand::Rng;
use tokio::runtime::{Builder, Handle};

use super::decisions::Decisions;
use super::failure::{Cause, Explored, Failed, Failure};
use super::outcome::Outcome;
use super::seed::{Kind, Seed};
use super::shrink::shrink;
use super::steering::{self, Run};
use super::told::Schedule;
use super::{TIMEOUT, squeeze};
use crate::leak::{Checked, Environment, LeakCheck, Mode, Report, Verdict, panics, warn_of};

/// How many decisions the first run that is steered is taken to be long.
const FIRST_LENGTH: usize = 16;

/// What is explored.
pub(super) struct Exploration<F> {
    pub(super) check: LeakCheck,
    /// The path of the test, if it has the attribute.
    pub(super) test: Option<&'static str>,
    pub(super) place: &'static Location<'static>,
    pub(super) body: F,
    pub(super) runs: usize,
}

/// A run that was made.
struct Made {
    /// `None` if it did not fail.
    cause: Option<Cause>,
    /// `None` if nothing was steered.
    run: Option<Run>,
}

impl Made {
    fn course(&self) -> u64 {
        let run = self.run.as_ref();
        run.map_or(0, |run| run.decisions.course())
    }

    fn changes(&self) -> Vec<(usize, u32)> {
        let run = self.run.as_ref();
        run.map_or(Vec::new(), |run| run.decisions.changes())
    }

    fn fails_like(&self, cause: &Cause) -> bool {
        self.cause.as_ref().is_some_and(|own| own.is_like(cause))
    }
}

/// How the panics of a run are heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Panics {
    /// By whoever listens.
    Printed,
    /// Not at all: the same one was printed before.
    Quiet,
}

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Looks whether runs can be made, and what the environment says of them.
    pub(super) fn ready(&self) -> Result<Environment, String> {
        let environment = Environment::read()?;
        if Handle::try_current().is_ok() {
            return Err(
                "it is inside of a tokio runtime, and each run makes its own: call it in a plain \
                 `#[test]`"
                    .to_owned(),
            );
        }
        if self.check.has_runtime() {
            return Err(
                "each run makes a runtime of its own, with one thread and a paused clock: leave \
                 `runtime` out"
                    .to_owned(),
            );
        }
        squeeze::size().map_err(|reason| {
            format!("this version of tokio cannot be steered, please report it: {reason}")
        })?;
        Ok(environment)
    }

    /// Makes runs until one fails.
    pub(super) fn search(
        mut self,
        mut seeds: Rng,
        requires_overlap: bool,
    ) -> Result<Explored, Failure> {
        let mut courses = HashSet::new();
        let mut has_overlap = false;
        let mut longest = FIRST_LENGTH;
        let mut runs = 0;
        for run in 0..self.runs {
            runs += 1;
            let seed = match run {
                0 => Seed::new(Kind::Plain),
                _ => Seed::drawn(seeds.u64(..), longest),
            };
            let made = self.make(&seed, false, Panics::Printed);
            courses.insert(made.course());
            if let Some(steered) = &made.run {
                longest = longest.max(steered.decisions.len());
                has_overlap |= steered.has_overlap;
            }
            match made {
                Made { cause: None, .. } => {}
                Made {
                    cause: Some(Cause::Found(report)),
                    ..
                } if is_only_warned_of(&report) => {
                    warn_of(&report);
                    break;
                }
                Made {
                    cause: Some(cause),
                    run: steered,
                } => return Err(self.simplify(run, seed, cause, steered)),
            }
        }
        if requires_overlap && !has_overlap && runs > 1 {
            let plain = Seed::new(Kind::Plain);
            return Err(self.failure(0, plain, None, Cause::NoOverlap));
        }
        Ok(Explored {
            runs,
            courses: courses.len(),
            note: None,
        })
    }

    /// Makes one run that was made before.
    pub(super) fn repeat(mut self, seed: Seed) -> Result<Explored, Failure> {
        self.runs = 1;
        let made = self.make(&seed, true, Panics::Printed);
        let decisions = made.run.as_ref().map(|run| &run.decisions);
        let takes_another = decisions.is_some_and(|decisions| {
            let now = Seed::new(Kind::Plain).with_course(decisions.course());
            !decisions.fit() || seed.course.is_some() && seed.course != now.course
        });
        let note = takes_another.then(|| {
            format!(
                "the run of the seed {seed} took another course than before: the body has changed, or depends \
                 on more than its schedule (I/O, threads, real time, the order of a hash map)"
            )
        });
        let Made { cause, run } = made;
        let Some(cause) = cause else {
            return Ok(Explored {
                runs: 1,
                courses: 1,
                note,
            });
        };
        let mut failure = self.told(0, seed, cause, run);
        failure.note = note;
        Err(Failure::new(failure))
    }

    /// Repeats a run that failed, with fewer and fewer decisions that are not the plain ones.
    fn simplify(&mut self, run: usize, seed: Seed, cause: Cause, steered: Option<Run>) -> Failure {
        let Some(steered) = steered else {
            return self.failure(run, seed, None, cause);
        };
        let found = Made {
            cause: None,
            run: Some(steered),
        };
        let seed = seed.with_course(found.course());
        if is_slow(&cause) {
            // To repeat it takes as long again.
            return self.failure(run, seed, found.run, cause);
        }
        let again = self.make(&seed, true, Panics::Quiet);
        if again.course() != found.course() || !again.fails_like(&cause) {
            let mut failed = self.told(run, seed, cause, found.run);
            failed.note = Some(
                "the same seed took another course when it was repeated: the body depends on more than its \
                 schedule (I/O, threads, real time, the order of a hash map)"
                    .to_owned(),
            );
            return Failure::new(failed);
        }
        let changes = found.changes();
        let found_with = changes.len();
        let fewest = shrink(changes, |changes| {
            let made = self.make(&Seed::new(Kind::Changes(changes)), false, Panics::Quiet);
            made.fails_like(&cause).then(|| made.changes())
        });
        let simple = Seed::new(Kind::Changes(fewest));
        let made = self.make(&simple, true, Panics::Quiet);
        let (seed, made) = match made {
            made if made.fails_like(&cause) => (simple.with_course(made.course()), made),
            // It is not as simple as it seemed.
            _ => (seed, again),
        };
        let mut failed = self.told(run, seed, made.cause.unwrap_or(cause), made.run);
        if let Some((found, _)) = &mut failed.deviations {
            *found = found_with;
        }
        Failure::new(failed)
    }

    /// Makes a run.
    fn make(&mut self, seed: &Seed, tells: bool, panics: Panics) -> Made {
        let mut builder = Builder::new_current_thread();
        builder.enable_all().start_paused(true);
        // Otherwise `select!` draws its branches anew in each runtime.
        #[cfg(tokio_unstable)]
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(b"straggler"));
        let mut run = Decisions::of(&seed.kind).map(|decisions| Run::new(decisions, tells));
        if let Some(run) = &mut run {
            // By default one that yields waits until nobody else can run.
            if run.decisions.deviates("each task lets others go first") {
                builder.event_interval(1);
            }
        }
        let is_plain = run.is_none();
        let check = self.check.again(builder, TIMEOUT, is_plain);
        let body = &mut self.body;
        let (test, place) = (self.test, self.place);
        let make = || {
            let body = pin!(async {
                let _steered = steering::until_dropped();
                body().await
            });
            check.check(test, place, body)
        };
        let is_quiet = panics == Panics::Quiet;
        let ((checked, run), heard) = panics::hear(is_quiet, || match run {
            None => (make(), None),
            Some(run) => {
                let (checked, run) = steering::follow(run, make);
                (checked, Some(run))
            }
        });
        let cause = match checked {
            Checked::Failed(report) => Some(Cause::Found(report)),
            Checked::Run {
                outcome: Err(panic),
                report,
                ..
            } => {
                let is_same =
                    |(message, _): &(Option<String>, _)| message.as_deref() == panic.message();
                let place = heard.filter(is_same).map(|(_, place)| place);
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
        };
        Made { cause, run }
    }

    pub(super) fn failure(
        &self,
        run: usize,
        seed: Seed,
        steered: Option<Run>,
        cause: Cause,
    ) -> Failure {
        Failure::new(self.told(run, seed, cause, steered))
    }

    fn told(&self, run: usize, seed: Seed, cause: Cause, steered: Option<Run>) -> Failed {
        let deviations = steered.as_ref().map(|run| run.decisions.changes().len());
        let told = steered.and_then(|run| run.told).unwrap_or_default();
        let thread = thread::current();
        let of_thread = thread.name().filter(|name| *name != "main");
        Failed {
            cause,
            test: self.test.or(of_thread).map(str::to_owned),
            place: self.place,
            run,
            runs: self.runs,
            seed,
            schedule: Schedule::new(told),
            deviations: deviations.map(|changes| (changes, changes)),
            note: None,
        }
    }
}

/// Whether a failure by this lets the test pass.
fn is_only_warned_of(report: &Report) -> bool {
    let is_warned = Environment::read().is_ok_and(|read| read.mode == Mode::Warn);
    is_warned
        && !matches!(
            report.verdict(),
            Verdict::Hung { .. }
                | Verdict::Deadlocked { .. }
                | Verdict::Late { .. }
                | Verdict::NotRun(_)
        )
}

/// Whether the run took all the time it had.
fn is_slow(cause: &Cause) -> bool {
    match cause {
        Cause::Found(report) => {
            matches!(
                report.verdict(),
                Verdict::Hung { .. } | Verdict::Late { .. }
            )
        }
        _ => false,
    }
}
