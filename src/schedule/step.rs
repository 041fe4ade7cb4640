//! The steps of a run as values and as text.

use std::fmt;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::schedule::recorder::{Action, Actor, BODY, FIRST, Recorded, Recorder};
use crate::trace::symbols::Symbols;
use crate::trace::wait::{Wait, WaitPlace};

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
    action: String,
}

impl Schedule {
    pub(crate) fn new(recorder: Recorder) -> Self {
        let (records, omitted) = recorder.into_steps();
        let combinators = Combinators::of(&records);
        let paths: Vec<_> = records
            .iter()
            .map(|recorded| combinators.path(&recorded.actor))
            .collect();
        let mut symbols = Symbols::default();
        let steps = paths.into_iter().zip(records).map(|(actor, recorded)| {
            let action = recorded.action.into_text(&mut symbols);
            Step { actor, action }
        });
        Self {
            steps: steps.collect(),
            omitted,
        }
    }

    /// Returns the steps in order: all of them, or the first 200 and the last 50.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
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
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = (self.steps.len() + self.omitted).to_string().len();
        for (index, Step { actor, action }) in self.steps.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            let mut number = index + 1;
            // The gap comes after the first steps, so the later ones keep their own numbers.
            if self.omitted > 0 && index >= FIRST {
                number += self.omitted;
            }
            if self.omitted > 0 && index == FIRST {
                write!(f, "\n{:>width$}.. {} more", "", self.omitted)?;
            }
            write!(f, "{before}{number:>width$}. {actor} {action}")?;
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
            (!places.is_empty()).then(|| at("waits", &places))
        })
    }
}

impl Action {
    fn into_text(self, symbols: &mut Symbols) -> String {
        match self {
            Self::RunsLater(1) => "runs later".to_owned(),
            Self::RunsLater(turns) => format!("runs {turns} turns later"),
            Self::HasBudget(1) => "is polled with a budget of 1 operation".to_owned(),
            Self::HasBudget(count) => format!("is polled with a budget of {count} operations"),
            Self::StopsAt(name) => format!("yields at the checkpoint `{name}`"),
            Self::WaitsForChildren => "waits for its children".to_owned(),
            Self::Ends => "ends".to_owned(),
            Self::IsCancelled => "is cancelled".to_owned(),
            Self::Panics => "panics".to_owned(),
            Self::Waits(trace) => match Wait::of(trace, symbols) {
                Wait::At(places) => at("waits", &places),
                Wait::Busy(places) => at("yields", &places),
                _ => "is pending and keeps no waker".to_owned(),
            },
        }
    }
}

/// Names each place by its innermost line only: the callers are in the source.
fn at(verb: &str, places: &[WaitPlace]) -> String {
    let places = places.iter().map(|place| {
        let call = place.calls().first().map(ToString::to_string);
        match (call, place.on()) {
            (Some(call), Some(on)) => format!("{call}, on {on}"),
            (Some(call), None) => call,
            (None, Some(on)) => on.to_owned(),
            (None, None) => "an unknown place".to_owned(),
        }
    });
    format!("{verb} at {}", places.collect::<Vec<_>>().join(" and "))
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
