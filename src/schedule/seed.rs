//! The seed of one run.

use std::fmt;
use std::str::FromStr;

/// How many bits of a seed say how long a run is taken to be.
const LENGTH_BITS: u32 = 4;

/// What one run of [`Explore`](crate::Explore) can be repeated by.
///
/// It is written as
/// - `plain`: the order that a runtime of tokio has without any of this;
/// - `0x3f9c20a1b7d4e680`: all decisions of the run are drawn from this number;
/// - `12:1,15:3`: the decisions that differ from those of the plain order, in a failing run that was
///   made simpler: the position of each, and what is decided (`stepped` if there is none, and the
///   children are merely polled one at a time).
///
/// A `/` and four digits may follow, by which it is seen whether the run takes the same course again.
/// A seed holds for one body and one version of `straggler` and tokio: elsewhere it is another run.
///
/// # Examples
///
/// ```
/// use straggler::explore::Seed;
///
/// let seed: Seed = "0x3f9c20a1b7d4e680".parse().unwrap();
/// assert_eq!(seed.to_string(), "0x3f9c20a1b7d4e680");
/// assert!("tomorrow".parse::<Seed>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seed {
    pub(crate) kind: Kind,
    /// Some bits of the course of the run.
    pub(crate) course: Option<u16>,
}

/// What the decisions of a run are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// None: nothing is steered.
    Plain,
    /// Drawn from this number. Its last bits say how long the run is taken to be, as a power of two:
    /// some strategies spread what they do over that length.
    Drawn(u64),
    /// The plain ones but for these, in the order of their positions.
    Changes(Vec<(usize, u32)>),
}

impl Seed {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, course: None }
    }

    /// A run whose decisions are drawn from `bits`, and that is about `length` decisions long.
    pub(crate) fn drawn(bits: u64, length: usize) -> Self {
        let power = length.max(1).ilog2() + 1;
        let longest = (1 << LENGTH_BITS) - 1;
        let bits = (bits << LENGTH_BITS) | u64::from(power.min(longest));
        Self::new(Kind::Drawn(bits))
    }

    /// The same with the course that the run took.
    pub(crate) fn with_course(self, course: u64) -> Self {
        Self {
            course: Some((course >> 48) as u16),
            ..self
        }
    }
}

/// How many decisions long the run of a number is taken to be.
pub(crate) fn length(drawn: u64) -> usize {
    1 << (drawn & ((1 << LENGTH_BITS) - 1))
}

/// A text that is no [`Seed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no seed of a run: one is written `0x3f9c20a1b7d4e680`, or `12:1,15:3`, or `plain`"
)]
pub struct ParseSeedError(String);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Plain => f.write_str("plain")?,
            Kind::Drawn(bits) => write!(f, "0x{bits:016x}")?,
            Kind::Changes(changes) if changes.is_empty() => f.write_str("stepped")?,
            Kind::Changes(changes) => {
                for (index, (position, decided)) in changes.iter().enumerate() {
                    let before = if index == 0 { "" } else { "," };
                    write!(f, "{before}{position}:{decided}")?;
                }
            }
        }
        match self.course {
            Some(course) => write!(f, "/{course:04x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Seed {
    type Err = ParseSeedError;

    fn from_str(text: &str) -> Result<Self, ParseSeedError> {
        parse(text).ok_or_else(|| ParseSeedError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Seed> {
    let (kind, course) = match text.split_once('/') {
        Some((kind, course)) => (kind, Some(u16::from_str_radix(course, 16).ok()?)),
        None => (text, None),
    };
    let kind = match kind {
        "plain" => Kind::Plain,
        "stepped" => Kind::Changes(Vec::new()),
        _ => match kind.strip_prefix("0x") {
            Some(digits) => Kind::Drawn(u64::from_str_radix(digits, 16).ok()?),
            None => Kind::Changes(parse_changes(kind)?),
        },
    };
    Some(Seed { kind, course })
}

fn parse_changes(text: &str) -> Option<Vec<(usize, u32)>> {
    let change = |text: &str| {
        let (position, decided) = text.split_once(':')?;
        Some((position.parse().ok()?, decided.parse().ok()?))
    };
    let changes: Vec<(usize, u32)> = text.split(',').map(change).collect::<Option<_>>()?;
    changes
        .is_sorted_by(|(one, _), (other, _)| one < other)
        .then_some(changes)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Seed, length};

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        let seeds = [
            Seed::new(Kind::Plain),
            Seed::drawn(0x1234_5678, 40),
            Seed::drawn(u64::MAX, 1).with_course(u64::MAX / 3),
            Seed::new(Kind::Changes(Vec::new())),
            Seed::new(Kind::Changes(vec![(3, 1)])),
            Seed::new(Kind::Changes(vec![(0, 1), (12, 5)])).with_course(1),
        ];
        for seed in seeds {
            assert_eq!(seed.to_string().parse(), Ok(seed));
        }
    }

    #[test]
    fn what_is_no_seed_is_an_error_that_shows_how_one_is_written() {
        for text in [
            "",
            "0x",
            "0xfg",
            "12",
            "0x11112222333344445",
            "1:1,1:2",
            "2:1,1:1",
            "1:-1",
            "plain/",
            "plain/12345",
        ] {
            let error = text.parse::<Seed>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is no seed")),
                "{error}"
            );
            assert!(error.contains("`12:1,15:3`"), "{error}");
        }
    }

    #[test]
    fn the_length_is_in_the_seed() {
        for (long, taken) in [
            (0, 2),
            (1, 2),
            (2, 4),
            (40, 64),
            (64, 128),
            (usize::MAX, 1 << 15),
        ] {
            let Kind::Drawn(bits) = Seed::drawn(u64::MAX, long).kind else {
                unreachable!("it is drawn");
            };
            assert_eq!(length(bits), taken, "{long}");
        }
    }
}
