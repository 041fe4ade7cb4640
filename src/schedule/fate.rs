//! What a schedule decides about an operation that it may cancel.

use fastrand::Rng;

/// What becomes of an operation that is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is polled, and continues.
    Continues,
    /// It is cancelled without this poll.
    Unpolled,
    /// It is cancelled after this poll, also if it ends in it.
    Polled,
    /// If it waits after this poll, it is cancelled while it waits: some time later, though nothing has woken it.
    Waiting,
    /// It is cancelled in the operation of tokio that follows this many others in the poll.
    In(usize),
    /// It is cancelled before the operation of tokio that follows this many others in the poll. Only in builds
    /// with scheduling points.
    #[cfg_attr(
        not(straggler_instrumented),
        allow(dead_code, reason = "no point is there")
    )]
    Before(usize),
}

impl Fate {
    /// The plain one comes first.
    pub(crate) const ALL: &[Self] = &[
        Self::Continues,
        Self::Unpolled,
        Self::Polled,
        Self::Waiting,
        Self::In(0),
        Self::In(1),
        Self::In(2),
        Self::In(3),
        #[cfg(straggler_instrumented)]
        Self::Before(0),
        #[cfg(straggler_instrumented)]
        Self::Before(1),
        #[cfg(straggler_instrumented)]
        Self::Before(2),
        #[cfg(straggler_instrumented)]
        Self::Before(3),
    ];
}

/// The first of the fates that cancel within a poll.
const FIRST_WITHIN: usize = 4;

/// Draws fates, for one run.
#[derive(Debug)]
pub(crate) struct Fates {
    rng: Rng,
    /// How many more operations may be cancelled. One is mostly enough, and two show whether a second attempt
    /// can be cancelled too.
    left: u32,
    /// One poll in this many is the last one.
    one_in: u32,
}

impl Fates {
    pub(crate) fn draw(seed: u64) -> Self {
        // Other numbers than the strategy draws, whose schedule does not depend on what is cancelled.
        let mut rng = Rng::with_seed(!seed);
        Self {
            left: [1, 1, 1, 2][rng.usize(..4)],
            one_in: 1 << rng.u32(1..5),
            rng,
        }
    }

    pub(crate) fn next(&mut self) -> Fate {
        if self.left == 0 || self.rng.u32(..self.one_in) > 0 {
            return Fate::Continues;
        }
        self.left -= 1;
        match self.rng.u32(..5) {
            0 => Fate::Unpolled,
            1 => Fate::Polled,
            2 => Fate::Waiting,
            _ => Fate::ALL[self.rng.usize(FIRST_WITHIN..Fate::ALL.len())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Fates};

    #[test]
    fn every_fate_is_drawn() {
        let drawn: Vec<_> = (0..500)
            .flat_map(|seed| {
                let mut fates = Fates::draw(seed);
                (0..40).map(move |_| fates.next()).collect::<Vec<_>>()
            })
            .collect();
        for fate in Fate::ALL {
            assert!(drawn.contains(fate), "{fate:?}");
        }
    }

    #[test]
    fn run_cancels_at_most_twice() {
        for seed in 0..500 {
            let mut fates = Fates::draw(seed);
            let cancelled = (0..1_000)
                .filter(|_| fates.next() != Fate::Continues)
                .count();
            assert!(
                (1..=2).contains(&cancelled),
                "{cancelled} with the seed {seed}"
            );
        }
    }
}
