//! The steps of a run as values and as text.

use std::fmt;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::schedule::recorder::{Action, Actor, BODY, CancelledAt, FIRST, Recorded, Recorder};
use crate::schedule::spot::Spot;
use crate::trace::symbols::Symbols;
use crate::trace::wait::{Wait, WaitPlace};
use crate::wording::count;

/// The steps of a run, in order.
///
/// `Display` writes one line per step. A run in the plain order has no steps. If a run has several
/// joins, each child has a path, such as ``child #0 `ada` of join 2 of child #1``. Joins are numbered
/// in the order of their first polls.
///
/// # Examples
///
/// ```
/// use std::cell::RefCell;
/// use straggler::{Explore, settle_all};
///
/// let failure = Explore::new().find(|| async {
///     let order = RefCell::new(Vec::new());
///     let arrive = async |name| order.borrow_mut().push(name);
///     let _ = settle_all([arrive("ada"), arrive("bob")]).await;
///     assert_eq!(order.into_inner(), ["ada", "bob"]);
/// });
/// let failure = failure.unwrap_err();
/// let schedule = failure.schedule();
/// assert_eq!((schedule.steps().len(), schedule.omitted()), (3, 0));
/// assert!(schedule.to_string().starts_with("1. child #1 ends\n2. child #0"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    steps: Vec<Step>,
    omitted: usize,
    /// Whether a poll panicked when its budget was spent.
    pub(crate) panics_without_budget: bool,
}

/// One step of a run: an actor and what it did.
///
/// The actor is a child of a join, a task or the body. In one step Straggler polls it once or lets
/// others run first, or the code under test cancels it.
///
/// # Examples
///
/// ```
/// use std::cell::RefCell;
/// use straggler::{Explore, settle_all};
///
/// let failure = Explore::new().find(|| async {
///     let order = RefCell::new(Vec::new());
///     let arrive = async |name| order.borrow_mut().push(name);
///     let _ = settle_all([arrive("ada"), arrive("bob")]).await;
///     assert_eq!(order.into_inner(), ["ada", "bob"]);
/// });
/// let failure = failure.unwrap_err();
/// let steps = failure.schedule().steps();
/// assert_eq!((steps[0].actor(), steps[0].action()), ("child #1", "ends"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    actor: String,
    mark: Mark,
    action: String,
    spot: Spot,
    wakes: Vec<String>,
}

/// The kind of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    RunsLater,
    TimerFires,
    IsPolled,
    Yields,
    Waits,
    Ends,
    IsCancelled,
    /// It cancels its operation, which was so far.
    Cancels(Progress),
    Panics,
}

/// How far an operation was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Unstarted,
    HalfDone,
    Done,
}

impl Schedule {
    pub(crate) fn new(recorder: Recorder) -> Self {
        let panics_without_budget = recorder.panicked_without_budget;
        let (records, omitted) = recorder.into_steps();
        let combinators = Combinators::of(&records);
        // The borrow of the records ends before their actions are taken.
        let paths: Vec<_> = records
            .iter()
            .map(|recorded| {
                let woken = recorded.wakes.iter();
                let woken = woken.map(|woken| combinators.path(woken)).collect();
                (combinators.path(&recorded.actor), woken)
            })
            .collect();
        let mut symbols = Symbols::default();
        let steps = paths.into_iter().zip(records);
        let steps = steps.map(|((actor, wakes), recorded)| {
            let (mark, action, spot) = recorded.action.describe(&mut symbols);
            Step {
                actor,
                mark,
                action,
                spot,
                wakes,
            }
        });
        Self {
            steps: steps.collect(),
            omitted,
            panics_without_budget,
        }
    }

    /// Returns the steps in order: all of them, or the first 200 and the last 50.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The number of the step at an index, from 1. The gap comes after the first steps, so the later ones keep
    /// their own numbers.
    pub(crate) fn number(&self, index: usize) -> usize {
        let gap = if index >= FIRST { self.omitted } else { 0 };
        index + 1 + gap
    }

    /// Returns how many steps are missing between the first 200 and the last 50. It is 0 for a run of
    /// up to 250 steps.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl Step {
    /// Returns the actor, such as `` child #0 `ada` ``, `task #3` or `the body`.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Returns what the actor did, such as `yields at src/service.rs:31:28 in service::register`.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// Returns a line for each branch of the `select!` or `join!` that the actor waits in, such as
    /// `on tokio::sync::oneshot::Receiver`.
    ///
    /// It is empty unless the actor waits for several futures at once.
    #[must_use]
    pub fn branches(&self) -> &[String] {
        &self.spot.branches
    }

    /// Returns the actors that the actor woke in this step.
    ///
    /// It has only wake-ups during the poll of the step: a lock that is released or a message that is
    /// sent, but not the end of a task that another one joins.
    #[must_use]
    pub fn wakes(&self) -> &[String] {
        &self.wakes
    }

    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    pub(crate) fn spot(&self) -> &Spot {
        &self.spot
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = (self.steps.len() + self.omitted).to_string().len();
        for (index, step) in self.steps.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            let number = self.number(index);
            if self.omitted > 0 && index == FIRST {
                write!(f, "\n{:>width$}.. {} more", "", self.omitted)?;
            }
            write!(f, "{before}{number:>width$}. {step}")?;
            for branch in &step.spot.branches {
                write!(f, "\n{:>width$}    {branch}", "")?;
            }
        }
        Ok(())
    }
}

/// Writes all but the branches.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.actor, self.action)?;
        if let [first, rest @ ..] = &*self.wakes {
            write!(f, ", and wakes {first}")?;
            rest.iter().try_for_each(|woken| write!(f, ", {woken}"))?;
        }
        Ok(())
    }
}

impl Recorder {
    /// The first wait in the run for a socket, a process or a signal.
    pub(crate) fn wait_for_system(&self, symbols: &mut Symbols) -> Option<String> {
        self.steps().find_map(|recorded| {
            let Action::Waits(trace) = &recorded.action else {
                return None;
            };
            let Wait::At(mut places) = Wait::of(trace.clone(), symbols) else {
                return None;
            };
            places.retain(WaitPlace::is_for_system);
            (!places.is_empty()).then(|| waits(&places))
        })
    }
}

impl Action {
    fn describe(self, symbols: &mut Symbols) -> (Mark, String, Spot) {
        let (mark, text) = match self {
            Self::RunsLater(1) => (Mark::RunsLater, "runs later".to_owned()),
            Self::RunsLater(turns) => (Mark::RunsLater, format!("runs {turns} turns later")),
            Self::ClockAdvanced(advance) => {
                let by = humantime::format_duration(advance.by);
                if advance.is_by_timer {
                    (
                        Mark::TimerFires,
                        format!("is woken by a timer that fires {by} early"),
                    )
                } else {
                    (
                        Mark::RunsLater,
                        format!("runs later, when the clock has advanced by {by}"),
                    )
                }
            }
            Self::BeginsInSpawn => {
                let text = "begins inside its spawn, before its spawner continues".to_owned();
                (Mark::IsPolled, text)
            }
            Self::SelectsFrom(first) => {
                let text = format!("polls branch {} of its `select!` first", first + 1);
                (Mark::IsPolled, text)
            }
            Self::HasBudget(operations) => {
                let operations = count(operations, "operation");
                let text = format!("is polled with a budget of {operations}");
                (Mark::IsPolled, text)
            }
            Self::StopsAt(name) => {
                let text = format!("yields at the checkpoint `{name}`");
                return (Mark::Yields, text, Spot::checkpoint(name));
            }
            Self::WaitsForChildren => (Mark::Waits, "waits for its children".to_owned()),
            Self::Ends => (Mark::Ends, "ends".to_owned()),
            Self::IsCancelled => (Mark::IsCancelled, "is cancelled".to_owned()),
            Self::Cancels(at) => return describe_cancelled(at, symbols),
            Self::Panics => (Mark::Panics, "panics".to_owned()),
            Self::Waits(trace) => return describe_wait(&Wait::of(trace, symbols)),
        };
        (mark, text, Spot::default())
    }
}

fn describe_wait(wait: &Wait) -> (Mark, String, Spot) {
    let (mark, verb, places) = match wait {
        Wait::At(places) => (Mark::Waits, "waits", places),
        Wait::Busy(places) => (Mark::Yields, "yields", places),
        _ => {
            let text = "is pending and keeps no waker".to_owned();
            return (Mark::Waits, text, Spot::default());
        }
    };
    let spot = Spot::of(places);
    (mark, format!("{verb} {}", spot.text()), spot)
}

fn describe_cancelled(at: CancelledAt, symbols: &mut Symbols) -> (Mark, String, Spot) {
    let (progress, text) = match at {
        CancelledAt::Start => (
            Progress::Unstarted,
            "cancels its operation before the first poll",
        ),
        CancelledAt::LastStep => (Progress::HalfDone, "cancels its operation where it is"),
        CancelledAt::End => (Progress::Done, "cancels its operation, which was done"),
        CancelledAt::Suspension(trace) => {
            let spot = match Wait::of(trace, symbols) {
                Wait::At(places) | Wait::Busy(places) => Spot::of(&places),
                _ => Spot::default(),
            };
            let text = format!("cancels its operation {}", spot.text());
            return (Mark::Cancels(Progress::HalfDone), text, spot);
        }
    };
    (Mark::Cancels(progress), text.to_owned(), Spot::default())
}

/// A wait in one line, with all its branches.
fn waits(places: &[WaitPlace]) -> String {
    let spot = Spot::of(places);
    let mut text = format!("waits {}", spot.text());
    for (index, branch) in spot.branches.iter().enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        text = text + before + branch;
    }
    text
}

/// The numbers of the combinators that each actor polls. `None` stands for an unknown actor.
#[derive(Default)]
struct Combinators<'a>(FxHashMap<Option<&'a Actor>, FxHashSet<u32>>);

impl<'a> Combinators<'a> {
    fn of(records: &'a [Recorded]) -> Self {
        let mut combinators = Self::default();
        for recorded in records {
            let mut actor = Some(&*recorded.actor);
            while let Some((number, polled_by)) = actor.and_then(|actor| actor.parent.as_ref()) {
                actor = polled_by.as_deref();
                combinators.0.entry(actor).or_default().insert(*number);
            }
        }
        combinators
    }

    /// The full path of an actor. It includes the number of a join only if its parent polls several,
    /// since the labels alone would be ambiguous.
    fn path(&self, actor: &Actor) -> String {
        let Some((number, polled_by)) = &actor.parent else {
            return actor.label.clone();
        };
        let polled_by = polled_by.as_deref();
        let own = if self.0.get(&polled_by).is_some_and(|of| of.len() > 1) {
            format!("{} of join {number}", actor.label)
        } else {
            actor.label.clone()
        };
        match polled_by {
            Some(polled_by) if polled_by.label != BODY => {
                format!("{own} of {}", self.path(polled_by))
            }
            _ => own,
        }
    }
}
