//! What happened in a run, step by step.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::trace::symbols::Symbols;
use crate::trace::wait::{Wait, WaitPlace};
use crate::trace::waker::Trace;

/// How many steps are kept of a run, from its beginning and up to its end. One that hangs makes
/// thousands.
const FIRST: usize = 200;
const LAST: usize = 50;

/// What the body is called.
pub(crate) const BODY: &str = "the body";

/// What is told of a run while it is made.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    first: Vec<Told>,
    last: VecDeque<Told>,
    /// How many steps there were.
    count: usize,
    /// Who is polled now.
    polled: Option<Rc<Actor>>,
    /// The tasks that were seen to end.
    ended: FxHashSet<String>,
}

/// Whose turn a step was.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Actor {
    label: String,
    /// The number of the combinator whose child it is, and who polls that. A task or the body has
    /// none.
    of: Option<(u32, Option<Rc<Actor>>)>,
}

/// What was seen of one step.
#[derive(Debug)]
struct Told {
    who: Rc<Actor>,
    action: Action,
}

impl Recorder {
    pub(crate) fn push(&mut self, who: &Rc<Actor>, action: Action) {
        if matches!(action, Action::Ends | Action::Panics) && who.of.is_none() {
            self.ended.insert(who.label.clone());
        }
        self.count += 1;
        let who = Rc::clone(who);
        let told = Told { who, action };
        if self.first.len() < FIRST {
            self.first.push(told);
            return;
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(told);
    }

    /// How many steps there were so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether the task of this name was seen to end.
    pub(crate) fn has_ended(&self, task: &str) -> bool {
        self.ended.contains(task)
    }

    /// The body, or the task of this name.
    pub(crate) fn task(label: String) -> Rc<Actor> {
        Rc::new(Actor { label, of: None })
    }

    /// A child of the combinator of this number, which is being polled.
    pub(crate) fn child(&self, label: String, combinator: u32) -> Rc<Actor> {
        let of = Some((combinator, self.polled.clone()));
        Rc::new(Actor { label, of })
    }

    /// Sets who is polled, and returns who was before.
    pub(crate) fn set_polled(&mut self, polled: Option<Rc<Actor>>) -> Option<Rc<Actor>> {
        std::mem::replace(&mut self.polled, polled)
    }
}

/// The combinators that each polls.
#[derive(Default)]
struct Combinators<'a>(FxHashMap<Option<&'a Actor>, FxHashSet<u32>>);

impl<'a> Combinators<'a> {
    fn of(told: impl Iterator<Item = &'a Told>) -> Self {
        let mut combinators = Self::default();
        for told in told {
            let mut who = Some(&*told.who);
            while let Some((number, polled_by)) = who.and_then(|who| who.of.as_ref()) {
                who = polled_by.as_deref();
                combinators.0.entry(who).or_default().insert(*number);
            }
        }
        combinators
    }

    /// The whole path, with the number of the combinator where that alone tells it from another.
    fn path(&self, who: &Actor) -> String {
        let Some((number, polled_by)) = &who.of else {
            return who.label.clone();
        };
        let polled_by = polled_by.as_deref();
        let own = if self.0.get(&polled_by).is_some_and(|of| of.len() > 1) {
            format!("{} of join {number}", who.label)
        } else {
            who.label.clone()
        };
        match polled_by {
            Some(polled_by) if polled_by.label != BODY => {
                format!("{own} of {}", self.path(polled_by))
            }
            _ => own,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Action {
    /// It could be polled, and others were first.
    IsPutOff,
    /// It may do so many operations before it has to yield. More is not seen of it.
    #[cfg_attr(not(tokio_unstable), allow(dead_code, reason = "there are no hooks"))]
    MayDo(usize),
    /// It was dropped before its end.
    IsCancelled,
    /// It was polled until it waited for something, or yielded.
    Waits(Trace),
    /// None of the children of its combinators could be polled.
    WaitsForChildren,
    /// It was made to yield at a checkpoint.
    StopsAt(&'static str),
    Ends,
    Panics,
}

/// The steps of a run, in the order in which they were made.
///
/// `Display` writes one line for each. Of a run with the plain order there are none. Where there are
/// several combinators the children have paths, as in ``child #0 `ada` of join 2 of child #1``: the joins
/// are numbered in the order of their first polls.
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
/// assert!(schedule.to_string().starts_with("1. child #1 comes to its end\n2. child #0"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    steps: Vec<Step>,
    omitted: usize,
}

/// A step of a run: a child of a combinator, a task or the body was polled once, put off or cancelled.
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
/// assert_eq!((steps[0].actor(), steps[0].action()), ("child #1", "comes to its end"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    who: String,
    does: String,
}

impl Schedule {
    pub(crate) fn new(telling: Recorder) -> Self {
        let mut symbols = Symbols::default();
        let combinators = Combinators::of(telling.first.iter().chain(&telling.last));
        let paths = |told: &Told| combinators.path(&told.who);
        let paths: Vec<_> = telling
            .first
            .iter()
            .chain(&telling.last)
            .map(paths)
            .collect();
        let told = telling.first.into_iter().chain(telling.last);
        let steps = paths.into_iter().zip(told).map(|(who, told)| Step {
            who,
            does: told.action.into_text(&mut symbols),
        });
        let steps: Vec<_> = steps.collect();
        Self {
            omitted: telling.count - steps.len(),
            steps,
        }
    }

    /// Returns the steps, in the order in which they were made: all of them, or the first 200 and the
    /// last 50.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns how many steps there were between the first 200 and the last 50.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl Step {
    /// Returns whose turn it was, as in `` child #0 `ada` ``, `task #3` or `the body`.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.who
    }

    /// Returns how far it came, as in `yields at src/service.rs:31:28 in service::register`.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.does
    }
}

impl Action {
    fn into_text(self, symbols: &mut Symbols) -> String {
        match self {
            Self::IsPutOff => "is put off".to_owned(),
            Self::MayDo(1) => "is polled, and has to yield after 1 operation".to_owned(),
            Self::MayDo(count) => {
                format!("is polled, and has to yield after {count} operations")
            }
            Self::StopsAt(name) => format!("yields at the checkpoint `{name}`"),
            Self::WaitsForChildren => "waits for its children".to_owned(),
            Self::Ends => "comes to its end".to_owned(),
            Self::IsCancelled => "is cancelled".to_owned(),
            Self::Panics => "panics".to_owned(),
            Self::Waits(trace) => match Wait::of(trace, symbols) {
                Wait::At(places) => at("waits", &places),
                Wait::Busy(places) => at("yields", &places),
                _ => "waits, and keeps no waker".to_owned(),
            },
        }
    }
}

/// Names the places by their innermost lines: what leads there stands in the source.
fn at(does: &str, places: &[WaitPlace]) -> String {
    let places = places.iter().map(|place| {
        let call = place.calls().first().map(ToString::to_string);
        match (call, place.on()) {
            (Some(call), Some(on)) => format!("{call}, on {on}"),
            (Some(call), None) => call,
            (None, Some(on)) => on.to_owned(),
            (None, None) => "a place that is not known".to_owned(),
        }
    });
    format!("{does} at {}", places.collect::<Vec<_>>().join(" and "))
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = (self.steps.len() + self.omitted).to_string().len();
        for (index, Step { who, does }) in self.steps.iter().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            let mut number = index + 1;
            if self.omitted > 0 && index >= FIRST {
                number += self.omitted;
            }
            if self.omitted > 0 && index == FIRST {
                write!(f, "\n{:>width$}.. {} more", "", self.omitted)?;
            }
            write!(f, "{before}{number:>width$}. {who} {does}")?;
        }
        Ok(())
    }
}
