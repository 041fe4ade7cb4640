//! The order of events of an exploration: search, repeat, make simpler, tell.

use std::collections::HashSet;
use std::panic::Location;
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::runtime::{Builder, Handle};

use crate::explore::divergence;
use crate::explore::divergence::Repeated;
use crate::explore::failure::{Cause, Explored, Failed, Failure};
use crate::explore::outcome::Outcome;
use crate::explore::shrink::shrink;
use crate::explore::{TIMEOUT, TIMEOUT_WHEN_SHOWN};
use crate::leak;
use crate::leak::check::body::Body;
use crate::leak::check::run::Checked;
use crate::leak::record::panic_hook::capture_panics;
use crate::leak::render::emit::warn_of;
use crate::leak::report::verdict::Verdict;
use crate::leak::settings::Settings;
use crate::leak::settings::environment::Environment;
use crate::schedule::budget;
use crate::schedule::decisions::Decisions;
use crate::schedule::recorder::Schedule;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::steering::{self, Run};

/// How many decisions the first run that is steered is taken to be long.
const FIRST_LENGTH: usize = 16;

/// How often a run that failed is repeated until it fails again, and for how long.
const REPETITIONS: usize = 20;
const TIME_TO_REPEAT: Duration = Duration::from_secs(2);

/// The course of a run in which nothing is decided.
const NOTHING_DECIDED: u64 = 0;

/// Of a single run, in which there need be no overlap.
const NOT_LOOKED_AT: &str = "whether anything is in flight at once, as is required, was not looked at: that \
                             needs more than one run";

/// What is explored.
pub(crate) struct Exploration<F> {
    /// Whether the check was given the builder of a runtime.
    pub(crate) has_runtime: bool,
    pub(crate) settings: Settings,
    /// The path of the test, if it has the attribute.
    pub(crate) test: Option<&'static str>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) body: F,
    pub(crate) runs: usize,
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
        run.map_or(NOTHING_DECIDED, |run| run.decisions.course())
    }

    fn changes(&self) -> Vec<(usize, u32)> {
        let run = self.run.as_ref();
        run.map_or(Vec::new(), |run| run.decisions.changes())
    }

    fn fails_like(&self, cause: &Cause) -> bool {
        self.cause.as_ref().is_some_and(|own| own.is_like(cause))
    }
}

/// For what a run is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To find something. Its panics are printed; that it cannot go on is seen when nothing has woken it
    /// for a time, since a thread of its own might.
    Find { grace: Grace },
    /// To show what was found before, to somebody who may look on with a debugger: it may stand still for
    /// any time.
    Show,
    /// To see once more what was found. Its panics were printed before; and if what was found could not
    /// go on, that is seen at once now.
    Confirm { is_deadlock: bool, grace: Grace },
}

/// How long what a run leaves behind has to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grace {
    /// As in any check: what is told of has had it.
    Usual,
    /// Not at all, since a run that leaves something behind takes all the time there is.
    None,
}

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Looks whether runs can be made, and what the environment says of them.
    pub(crate) fn ready(&self) -> Result<&'static Environment, String> {
        let environment = Environment::read()?;
        if Handle::try_current().is_ok() {
            return Err(
                "it is inside of a tokio runtime, and each run makes its own: call it in a plain \
                 `#[test]`"
                    .to_owned(),
            );
        }
        if self.has_runtime {
            return Err(
                "each run makes a runtime of its own, with one thread and a paused clock: leave \
                 `runtime` out"
                    .to_owned(),
            );
        }
        budget::size().map_err(|reason| {
            format!("this version of tokio cannot be steered, please report it: {reason}")
        })?;
        Ok(environment)
    }

    /// Makes runs until one fails.
    pub(crate) fn search(
        mut self,
        mut seeds: Rng,
        requires_overlap: bool,
    ) -> Result<Explored, Failure> {
        let mut courses = HashSet::new();
        let mut has_overlap = false;
        let mut length = FIRST_LENGTH;
        let mut warnings = 0;
        for run in 1..=self.runs {
            let seed = match run {
                1 => Seed::new(Kind::Plain),
                _ => Seed::drawn(seeds.u64(..), length),
            };
            // What is left is told of once. Of the other runs it only matters why they fail besides.
            let grace = if warnings == 0 {
                Grace::Usual
            } else {
                Grace::None
            };
            let made = self.make(&seed, false, Purpose::Find { grace });
            courses.insert(made.course());
            if let Some(steered) = &made.run {
                length = steered.decisions.len();
                has_overlap |= steered.has_overlap;
            }
            match made.cause {
                None => {}
                Some(Cause::Found(report)) if report.only_warns() => {
                    // The others would say the same.
                    if warnings == 0 {
                        warn_of(&report);
                    }
                    warnings += 1;
                }
                Some(cause) => return Err(self.simplify(run, seed, cause, made.run)),
            }
        }
        let misses_overlap = requires_overlap && !has_overlap;
        if misses_overlap && self.runs > 1 {
            let plain = Seed::new(Kind::Plain);
            return Err(self.failure(0, plain, None, Cause::NoOverlap));
        }
        Ok(Explored {
            runs: self.runs,
            courses: courses.len(),
            note: misses_overlap.then(|| NOT_LOOKED_AT.to_owned()),
        })
    }

    /// Makes one run that was made before.
    pub(crate) fn repeat(
        mut self,
        seed: Seed,
        requires_overlap: bool,
    ) -> Result<Explored, Failure> {
        self.runs = 1;
        let made = self.make(&seed, true, Purpose::Show);
        let decisions = made.run.as_ref().map(|run| &run.decisions);
        let takes_another = decisions.is_some_and(|decisions| {
            let now = Seed::new(Kind::Plain).with_course(decisions.course());
            !decisions.fit() || seed.course.is_some() && seed.course != now.course
        });
        let note = takes_another.then(|| divergence::another_course(&seed));
        let has_overlap = made.run.as_ref().is_some_and(|run| run.has_overlap);
        let misses_overlap = requires_overlap && !has_overlap;
        let of_overlap = misses_overlap.then(|| NOT_LOOKED_AT.to_owned());
        let explored = |note: Option<String>| Explored {
            runs: 1,
            courses: 1,
            note: note
                .into_iter()
                .chain(of_overlap)
                .reduce(|one, other| format!("{one}\n{other}")),
        };
        let cause = match made.cause {
            None => {
                // Only the seed of a run that failed has a course.
                let has_failed = seed.course.is_some();
                let passes = has_failed.then(|| divergence::passes_now(&seed, takes_another));
                return Ok(explored(passes.or(note)));
            }
            Some(Cause::Found(report)) if report.only_warns() => {
                warn_of(&report);
                return Ok(explored(note));
            }
            Some(cause) => cause,
        };
        let mut failure = self.failed(1, seed, cause, made.run);
        failure.note = note;
        Err(Failure::new(failure))
    }

    /// Repeats a run that failed, with fewer and fewer decisions that are not the plain ones.
    fn simplify(&mut self, run: usize, seed: Seed, cause: Cause, steered: Option<Run>) -> Failure {
        let Some(steered) = steered else {
            // It has one course, which says that it was printed for a run that failed.
            return self.failure(run, seed.with_course(NOTHING_DECIDED), None, cause);
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
        let is_deadlock = matches!(&cause, Cause::Found(report)
            if matches!(report.verdict(), Verdict::Deadlocked { .. }));
        let confirm = |grace| Purpose::Confirm { is_deadlock, grace };
        let again = match self.fail_again(&seed, &cause, confirm(Grace::Usual)) {
            (
                Some(again),
                Repeated {
                    failures: 1,
                    others: 0,
                    of: 1,
                },
            ) => again,
            (again, repeated) => {
                // Whether a simpler one fails would be a matter of luck.
                let (cause, told) = match again {
                    Some(again) => (again.cause.unwrap_or(cause), again.run),
                    None => (cause, found.run),
                };
                let mut failed = self.failed(run, seed, cause, told);
                failed.note = Some(repeated.to_string());
                return Failure::new(failed);
            }
        };
        let changes = found.changes();
        let found_with = changes.len();
        let mut simpler = None;
        for grace in [Grace::None, Grace::Usual] {
            // In a hurry it may fail in another way, and something simpler that does not fail otherwise.
            if grace == Grace::None && !self.make(&seed, false, confirm(grace)).fails_like(&cause) {
                continue;
            }
            let fewest = shrink(changes.clone(), |changes| {
                let seed = Seed::new(Kind::Changes(changes));
                let made = self.make(&seed, false, confirm(grace));
                made.fails_like(&cause).then(|| made.changes())
            });
            let simple = Seed::new(Kind::Changes(fewest));
            let made = self.make(&simple, true, confirm(Grace::Usual));
            if made.fails_like(&cause) {
                simpler = Some((simple.with_course(made.course()), made));
                break;
            }
        }
        // If there is none it is not as simple as it seemed.
        let (seed, made) = simpler.unwrap_or((seed, again));
        let mut failed = self.failed(run, seed, made.cause.unwrap_or(cause), made.run);
        if let Some((found, _)) = &mut failed.deviations {
            *found = found_with;
        }
        Failure::new(failed)
    }

    /// Repeats a run that failed until it takes the same course and fails in the same way, which it does
    /// at once unless it depends on more than its schedule. Otherwise some run that failed in this
    /// way will do.
    fn fail_again(
        &mut self,
        seed: &Seed,
        cause: &Cause,
        confirm: Purpose,
    ) -> (Option<Made>, Repeated) {
        let begun = Instant::now();
        let mut repeated = Repeated::default();
        let mut like_it = None;
        while repeated.of < REPETITIONS && (repeated.of == 0 || begun.elapsed() < TIME_TO_REPEAT) {
            repeated.of += 1;
            let made = self.make(seed, true, confirm);
            let now = Seed::new(Kind::Plain).with_course(made.course());
            let is_another = now.course != seed.course;
            repeated.others += usize::from(is_another);
            if made.fails_like(cause) {
                repeated.failures += 1;
                if !is_another {
                    return (Some(made), repeated);
                }
                like_it = like_it.or(Some(made));
            }
        }
        (like_it, repeated)
    }

    /// Makes a run.
    fn make(&mut self, seed: &Seed, tells: bool, purpose: Purpose) -> Made {
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
        let (is_quiet, ends_when_idle, grace) = match purpose {
            Purpose::Find { grace } => (false, false, grace),
            Purpose::Show => (false, false, Grace::Usual),
            Purpose::Confirm { is_deadlock, grace } => (true, is_deadlock, grace),
        };
        let timeout = match purpose {
            Purpose::Show => TIMEOUT_WHEN_SHOWN,
            Purpose::Find { .. } | Purpose::Confirm { .. } => TIMEOUT,
        };
        let settings = Settings {
            grace: match grace {
                Grace::Usual => self.settings.grace,
                Grace::None => Some(Duration::ZERO),
            },
            default_timeout: timeout,
            // The other runs would note the same.
            notes_unused_rules: is_plain,
            ends_when_idle,
            ..self.settings.clone()
        };
        let body = &mut self.body;
        let (test, place) = (self.test, self.place);
        let make = || {
            let body = pin!(Body::new(async {
                let _steered = steering::until_dropped();
                body().await
            }));
            leak::check::run::run(Some(builder), settings, test, place, body)
        };
        let ((checked, run), captured) = capture_panics(is_quiet, || match run {
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
                let place = captured.filter(is_same).map(|(_, place)| place);
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

    pub(crate) fn failure(
        &self,
        run: usize,
        seed: Seed,
        steered: Option<Run>,
        cause: Cause,
    ) -> Failure {
        Failure::new(self.failed(run, seed, cause, steered))
    }

    fn failed(&self, run: usize, seed: Seed, cause: Cause, steered: Option<Run>) -> Failed {
        let deviations = steered.as_ref().map(|run| run.decisions.changes().len());
        let told = steered.and_then(|run| run.told).unwrap_or_default();
        let thread = thread::current();
        // A thread that the harness makes is called what its test is. Others may be called anything.
        let of_thread = thread
            .name()
            .filter(|name| *name != "main" && is_path(name));
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

/// Whether this is how a test is called: a path of Rust.
fn is_path(name: &str) -> bool {
    name.split("::").all(|part| {
        let is_part = |letter: char| letter == '_' || letter.is_alphanumeric();
        part.chars().all(is_part) && part.starts_with(|first: char| !first.is_numeric())
    })
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
