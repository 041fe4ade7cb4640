//! The decisions of one run: drawn by a strategy, or replayed from a seed.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::FxHasher;

use crate::schedule::fate::Fate;
use crate::schedule::seed::{Kind, length};
use crate::schedule::strategy::{Poll, Strategy};

/// After this many decisions a run continues in the plain order, so that it ends even if the strategy
/// would yield forever.
const LIMIT: usize = 20_000;

/// For how many decisions a run reserves memory at most.
const RESERVED: usize = 1_024;

/// The ways to poll a task. The plain one comes first: decision 0 is always the plain one.
const POLLS: &[Poll] = &[
    Poll::Plainly,
    Poll::With(0),
    Poll::With(1),
    Poll::With(2),
    Poll::With(3),
    Poll::Later,
    Poll::LaterFor(4),
    Poll::LaterFor(16),
    Poll::LaterFor(64),
    #[cfg(straggler_instrumented)]
    Poll::Before(0),
    #[cfg(straggler_instrumented)]
    Poll::Before(1),
    #[cfg(straggler_instrumented)]
    Poll::Before(2),
    #[cfg(straggler_instrumented)]
    Poll::Before(3),
];

/// For how long at most the clock advances to the next timer before a task is polled. Not at all comes first.
///
/// A little more than a second, a minute and an hour, so that timers of just that time fire.
pub(crate) const ADVANCES: [Option<Duration>; 4] = [
    None,
    Some(Duration::from_millis(1_001)),
    Some(Duration::from_millis(60_001)),
    Some(Duration::from_millis(3_600_001)),
];

/// Where the decisions of a run come from.
#[derive(Debug)]
enum Guide {
    Strategy(Strategy),
    /// The replayed decisions other than the plain ones, by position, the last first.
    Changes(Vec<(usize, u32)>),
}

/// One decision.
#[derive(Debug)]
pub(crate) struct Decision {
    /// 0 is the plain order's.
    pub(crate) made: u32,
    /// How many choices there were.
    choices: u32,
    /// A hash of every question of the run up to this one.
    pub(crate) question: u64,
    /// The choices other than 0, if the run notes them.
    pub(crate) others: Vec<u32>,
}

/// The decisions of one run.
#[derive(Debug)]
pub(crate) struct Decisions {
    guide: Guide,
    /// The decisions so far.
    made: Vec<Decision>,
    /// Whether the run is a path in the tree of decisions.
    pub(crate) is_tree: bool,
    /// Whether the run was too long to make all its decisions.
    pub(crate) is_cut_off: bool,
    /// A hash of every question the run asked so far, with the alternatives.
    fingerprint: u64,
    /// Whether a replayed decision named an alternative that this run did not have.
    is_out_of_range: bool,
}

impl Decisions {
    /// The decisions of a run of this kind, or `None` for a plain run, which decides nothing.
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        let guide = match kind {
            Kind::Plain | Kind::Cancelled(_) => return None,
            Kind::Drawn(bits) => Guide::Strategy(Strategy::draw(*bits, length(*bits))),
            Kind::Changes(changes) | Kind::Tree(changes) => {
                Guide::Changes(changes.iter().rev().copied().collect())
            }
        };
        let expected = match kind {
            Kind::Drawn(bits) => length(*bits).unwrap_or_default().min(RESERVED),
            _ => 0,
        };
        Some(Self {
            guide,
            made: Vec::with_capacity(expected),
            is_tree: matches!(kind, Kind::Tree(_)),
            is_cut_off: false,
            fingerprint: 0,
            is_out_of_range: false,
        })
    }

    /// Picks the position in `ready` of the child that the combinator polls next. `ready` is not empty.
    pub(crate) fn choose(&mut self, combinator: u32, ready: &[u32]) -> usize {
        self.note_question((combinator, ready));
        self.decide(ready.len(), |strategy| strategy.choose(combinator, ready))
    }

    /// Decides how to poll the task with this number.
    pub(crate) fn poll(&mut self, task: usize) -> Poll {
        self.note_question(task);
        let decided = self.decide(POLLS.len(), |strategy| {
            let drawn = strategy.poll(task);
            POLLS.iter().position(|poll| *poll == drawn).unwrap_or(0)
        });
        POLLS[decided]
    }

    /// Decides whether the run deviates from the plain order in the way named by `what`.
    pub(crate) fn deviates(&mut self, what: &str) -> bool {
        self.note_question(what);
        self.decide(2, |strategy| usize::from(strategy.deviates())) == 1
    }

    /// Decides which of its branches a `select!` polls first. There is at least one.
    #[cfg(straggler_instrumented)]
    pub(crate) fn first_branch(&mut self, branches: u32) -> u32 {
        self.note_question(("select!", branches));
        if branches < 2 {
            return 0;
        }
        to_u32(self.decide(branches as usize, |strategy| {
            strategy.first_branch(branches)
        }))
    }

    /// Decides whether the next timer fires first, if it fires within this time.
    pub(crate) fn timers_first(&mut self) -> Option<Duration> {
        self.note_question("timers first");
        let decided = self.decide(ADVANCES.len(), Strategy::timers_first);
        ADVANCES[decided]
    }

    /// Decides what becomes of the operation with this number, which is polled.
    pub(crate) fn fate(&mut self, operation: usize) -> Fate {
        self.note_question(("operation", operation));
        let decided = self.decide(Fate::ALL.len(), |strategy| {
            let drawn = strategy.fate();
            let fates = &mut Fate::ALL.iter();
            fates.position(|fate| *fate == drawn).unwrap_or(0)
        });
        Fate::ALL[decided]
    }

    /// Picks one of the alternatives of a question. There is at least one.
    pub(crate) fn pick(&mut self, question: impl Hash, alternatives: usize) -> usize {
        self.note_question((question, alternatives));
        if alternatives < 2 {
            return 0;
        }
        self.decide(alternatives, |_| 0)
    }

    /// Decides where the task with this number yields, before it is known which places there are. Returns the
    /// position of the decision too.
    pub(crate) fn cut(&mut self, task: usize) -> (usize, u32) {
        self.note_question(task);
        let position = self.made.len();
        let decided = self.decide(usize::MAX, |_| 0);
        if let Some(decision) = self.made.get_mut(position) {
            decision.choices = 1;
            decision.others.clear();
        }
        (position, to_u32(decided))
    }

    /// Sets the choices other than 0 of the decision at a position.
    pub(crate) fn set_others(&mut self, position: usize, others: Vec<u32>) {
        if let Some(decision) = self.made.get_mut(position) {
            decision.choices = 1 + others.last().copied().unwrap_or_default();
            decision.others = others;
        }
    }

    /// Adds a question to the fingerprint.
    pub(crate) fn note_question(&mut self, question: impl Hash) {
        let mut hasher = FxHasher::default();
        (self.fingerprint, question).hash(&mut hasher);
        self.fingerprint = hasher.finish();
    }

    fn decide(&mut self, alternatives: usize, draw: impl FnOnce(&mut Strategy) -> usize) -> usize {
        let position = self.made.len();
        if position == LIMIT {
            self.is_cut_off = true;
            return 0;
        }
        let decided = match &mut self.guide {
            Guide::Strategy(strategy) => draw(strategy),
            Guide::Changes(changes) => match changes.last().copied() {
                Some((at, to)) if at == position => {
                    changes.pop();
                    // The body may have changed since the seed was printed: note it and carry on.
                    let fits = (to as usize) < alternatives;
                    self.is_out_of_range |= !fits;
                    if fits { to as usize } else { 0 }
                }
                _ => 0,
            },
        };
        let choices = to_u32(alternatives);
        self.made.push(Decision {
            made: to_u32(decided),
            choices,
            question: self.fingerprint,
            others: if self.is_tree && choices < u32::MAX {
                (1..choices).collect()
            } else {
                Vec::new()
            },
        });
        decided
    }

    /// The number of decisions so far.
    pub(crate) fn len(&self) -> usize {
        self.made.len()
    }

    /// How many choices there were at each decision.
    pub(crate) fn into_choices(self) -> Vec<u32> {
        self.made.iter().map(|decision| decision.choices).collect()
    }

    /// All decisions in order.
    pub(crate) fn into_made(self) -> Vec<Decision> {
        self.made
    }

    /// A hash of all questions of the run. Two runs with the same questions have the same fingerprint.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether the run could replay all decisions of its seed.
    pub(crate) fn fit(&self) -> bool {
        let all_made = match &self.guide {
            Guide::Strategy(_) => true,
            Guide::Changes(changes) => changes.is_empty(),
        };
        all_made && !self.is_out_of_range
    }

    /// The decisions other than the plain ones, with their positions.
    pub(crate) fn changes(&self) -> Vec<(usize, u32)> {
        let made = self.made.iter().map(|decision| decision.made);
        made.enumerate().filter(|(_, made)| *made != 0).collect()
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
