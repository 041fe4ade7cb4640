//! The decisions of one run: drawn by a strategy, or as they were in an earlier run.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::schedule::seed::{Kind, length};
use crate::schedule::strategy::{Poll, Strategy};

/// After so many decisions a run goes on in the plain order, so that it comes to an end.
const LIMIT: usize = 20_000;

/// The ways to poll a task. The first is the plain one.
const POLLS: [Poll; 6] = [
    Poll::Plainly,
    Poll::With(0),
    Poll::With(1),
    Poll::With(2),
    Poll::With(3),
    Poll::Later,
];

/// What the decisions of a run are made by.
#[derive(Debug)]
enum Guide {
    Strategy(Strategy),
    /// The decisions that are not the plain ones, by their positions, the last first.
    Changes(Vec<(usize, u32)>),
}

/// The decisions of one run.
#[derive(Debug)]
pub(crate) struct Decisions {
    guide: Guide,
    /// What was decided: 0 is what the plain order has.
    made: Vec<u32>,
    /// Of everything that there was to decide, and between what.
    course: u64,
    /// Whether a decision of an earlier run could not be made again.
    do_not_fit: bool,
}

impl Decisions {
    /// Those of a run, or none if nothing is decided in it.
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        let guide = match kind {
            Kind::Plain => return None,
            Kind::Drawn(bits) => Guide::Strategy(Strategy::draw(*bits, length(*bits))),
            Kind::Changes(changes) => Guide::Changes(changes.iter().rev().copied().collect()),
        };
        Some(Self {
            guide,
            made: Vec::new(),
            course: 0,
            do_not_fit: false,
        })
    }

    /// Decides which of the children of a combinator that could be polled is. There is at least one.
    pub(crate) fn choose(&mut self, combinator: u32, ready: &[u32]) -> usize {
        self.meet((combinator, ready));
        self.decide(ready.len(), |strategy| strategy.choose(combinator, ready))
    }

    /// Decides how the task of this number is polled.
    pub(crate) fn poll(&mut self, task: usize) -> Poll {
        self.meet(task);
        let decided = self.decide(POLLS.len(), |strategy| {
            let drawn = strategy.poll(task);
            POLLS.iter().position(|poll| *poll == drawn).unwrap_or(0)
        });
        POLLS[decided]
    }

    /// Decides whether something happens that happens in no plain order.
    pub(crate) fn deviates(&mut self, what: &str) -> bool {
        self.meet(what);
        self.decide(2, |strategy| usize::from(strategy.deviates())) == 1
    }

    /// Adds to the course what there is to decide about.
    fn meet(&mut self, about: impl Hash) {
        let mut course = FxHasher::default();
        (self.course, about).hash(&mut course);
        self.course = course.finish();
    }

    fn decide(&mut self, among: usize, draw: impl FnOnce(&mut Strategy) -> usize) -> usize {
        let position = self.made.len();
        if position == LIMIT {
            return 0;
        }
        let decided = match &mut self.guide {
            Guide::Strategy(strategy) => draw(strategy),
            Guide::Changes(changes) => match changes.last().copied() {
                Some((at, to)) if at == position => {
                    changes.pop();
                    let fits = (to as usize) < among;
                    self.do_not_fit |= !fits;
                    if fits { to as usize } else { 0 }
                }
                _ => 0,
            },
        };
        self.made.push(u32::try_from(decided).unwrap_or_default());
        decided
    }

    /// How many there were.
    pub(crate) fn len(&self) -> usize {
        self.made.len()
    }

    /// A number that two runs have in common if they had the same to decide, all the way.
    pub(crate) fn course(&self) -> u64 {
        self.course
    }

    /// Whether those of an earlier run could all be made again.
    pub(crate) fn fit(&self) -> bool {
        let all_made = match &self.guide {
            Guide::Strategy(_) => true,
            Guide::Changes(changes) => changes.is_empty(),
        };
        all_made && !self.do_not_fit
    }

    /// Those that are not the plain ones, with their positions.
    pub(crate) fn changes(&self) -> Vec<(usize, u32)> {
        let made = self.made.iter().copied().enumerate();
        made.filter(|(_, decided)| *decided != 0).collect()
    }
}
