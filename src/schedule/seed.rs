//! The seed of one run.

use std::fmt;
use std::str::FromStr;

/// How many low bits of a drawn seed hold the expected length of its run.
const LENGTH_BITS: u32 = 4;

/// Identifies one run of [`Explore`](crate::Explore), so that it can be replayed.
///
/// `Display` and `FromStr` use these forms:
/// - `plain`: tokio's own order. Straggler reorders nothing.
/// - `0x3f9c20a1b7d4e680`: the run draws all its decisions from this number.
/// - `12:1,15:3`: a minimized run. Decision 12 picks alternative 1 and decision 15 picks alternative 3;
///   all others keep the plain order. A decision may [cancel](crate::Explore::cancel_in_schedules) an operation.
/// - `cancel:3` or `cancel:3,7`: tokio's own order, with an operation
///   [cancelled](crate::Explore::cancel) at these places.
/// - `tree` or `tree:3:1,7:2`: a run of an [exhaustive](crate::Explore::exhaustive) exploration. Decision 3
///   picks alternative 1 and decision 7 picks alternative 2; all others pick the first.
/// - `stepped`: a minimized run without forced reorderings. Each join polls one child at a time.
///
/// The part after `/`, four hexadecimal digits, is a checksum: a replay warns if the run diverges.
///
/// A seed is valid for one body and one version of `straggler` and tokio. After a change to any of
/// them it identifies a different run.
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
    /// The top bits of the run's fingerprint. Only the seed of a failed run has them.
    pub(crate) checksum: Option<u16>,
}

/// Where the decisions of a run come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The run decides nothing.
    Plain,
    /// Drawn from this number. Its last bits hold the expected length of the run as a power of two:
    /// some strategies spread their changes over that length. Zero if the run yields often throughout.
    Drawn(u64),
    /// The plain decisions except for these, sorted by position.
    Changes(Vec<(usize, u32)>),
    /// The first alternatives of a run in which each choice is a decision, except for these, sorted by position.
    Tree(Vec<(usize, u32)>),
    /// The run decides nothing, and cancels operations at these places.
    Cancelled(Vec<usize>),
}

impl Seed {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            checksum: None,
        }
    }

    /// A seed that draws its decisions from `bits`, for a run of about `length` decisions.
    pub(crate) fn drawn(bits: u64, length: usize) -> Self {
        let power = length.max(1).ilog2() + 1;
        let longest = (1 << LENGTH_BITS) - 1;
        let bits = (bits << LENGTH_BITS) | u64::from(power.min(longest));
        Self::new(Kind::Drawn(bits))
    }

    /// A seed that draws its decisions from `bits`, for a run that yields often throughout.
    pub(crate) fn dense(bits: u64) -> Self {
        Self::new(Kind::Drawn(bits << LENGTH_BITS))
    }

    /// The seed of a run with these changes, of the same kind as this one or as its minimized runs.
    pub(crate) fn with_changes(&self, changes: Vec<(usize, u32)>) -> Self {
        Self::new(match self.kind {
            Kind::Tree(_) => Kind::Tree(changes),
            _ => Kind::Changes(changes),
        })
    }

    /// The same seed with the checksum of a run's fingerprint.
    pub(crate) fn with_checksum(self, fingerprint: u64) -> Self {
        Self {
            checksum: Some((fingerprint >> 48) as u16),
            ..self
        }
    }
}

/// The expected number of decisions of the run drawn from this number, `None` if it yields often throughout.
pub(crate) fn length(drawn: u64) -> Option<usize> {
    let power = drawn & ((1 << LENGTH_BITS) - 1);
    (power > 0).then(|| 1 << power)
}

/// The error for a text that is not a valid [`Seed`].
///
/// # Examples
///
/// ```
/// use straggler::explore::Seed;
///
/// let error = "tomorrow".parse::<Seed>().unwrap_err();
/// assert!(error.to_string().starts_with("invalid seed `tomorrow`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid seed `{0}`: expected `0x..`, `12:1,15:3`, `cancel:3` or `plain`")]
pub struct ParseSeedError(String);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Plain => f.write_str("plain")?,
            Kind::Drawn(bits) => write!(f, "0x{bits:016x}")?,
            Kind::Cancelled(places) => {
                let places: Vec<_> = places.iter().map(ToString::to_string).collect();
                write!(f, "cancel:{}", places.join(","))?;
            }
            Kind::Changes(changes) if changes.is_empty() => f.write_str("stepped")?,
            Kind::Changes(changes) => write_changes(f, "", changes)?,
            Kind::Tree(changes) => write_changes(f, "tree", changes)?,
        }
        match self.checksum {
            Some(checksum) => write!(f, "/{checksum:04x}"),
            None => Ok(()),
        }
    }
}

fn write_changes(f: &mut fmt::Formatter<'_>, kind: &str, changes: &[(usize, u32)]) -> fmt::Result {
    f.write_str(kind)?;
    for (index, (position, decided)) in changes.iter().enumerate() {
        let before = match index {
            0 if kind.is_empty() => "",
            0 => ":",
            _ => ",",
        };
        write!(f, "{before}{position}:{decided}")?;
    }
    Ok(())
}

impl FromStr for Seed {
    type Err = ParseSeedError;

    fn from_str(text: &str) -> Result<Self, ParseSeedError> {
        parse(text).ok_or_else(|| ParseSeedError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Seed> {
    let (kind, checksum) = match text.split_once('/') {
        Some((kind, checksum)) => (kind, Some(u16::from_str_radix(checksum, 16).ok()?)),
        None => (text, None),
    };
    let kind = match kind {
        "plain" => Kind::Plain,
        "stepped" => Kind::Changes(Vec::new()),
        "tree" => Kind::Tree(Vec::new()),
        _ => {
            if let Some(digits) = kind.strip_prefix("0x") {
                Kind::Drawn(u64::from_str_radix(digits, 16).ok()?)
            } else if let Some(places) = kind.strip_prefix("cancel:") {
                Kind::Cancelled(parse_places(places)?)
            } else if let Some(changes) = kind.strip_prefix("tree:") {
                Kind::Tree(parse_changes(changes)?)
            } else {
                Kind::Changes(parse_changes(kind)?)
            }
        }
    };
    Some(Seed { kind, checksum })
}

fn parse_places(text: &str) -> Option<Vec<usize>> {
    let places = text.split(',').map(|place| place.parse().ok());
    let places: Vec<usize> = places.collect::<Option<_>>()?;
    places
        .is_sorted_by(|one, other| one < other)
        .then_some(places)
}

fn parse_changes(text: &str) -> Option<Vec<(usize, u32)>> {
    let change = |text: &str| {
        let (position, decided) = text.split_once(':')?;
        Some((position.parse().ok()?, decided.parse().ok()?))
    };
    let changes: Vec<(usize, u32)> = text.split(',').map(change).collect::<Option<_>>()?;
    // Each position can have one decision only, and a replay takes them in order.
    changes
        .is_sorted_by(|(one, _), (other, _)| one < other)
        .then_some(changes)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Seed, length};

    #[test]
    fn seed_round_trips_through_text() {
        let seeds = [
            Seed::new(Kind::Plain),
            Seed::drawn(0x1234_5678, 40),
            Seed::dense(0x1234_5678),
            Seed::drawn(u64::MAX, 1).with_checksum(u64::MAX / 3),
            Seed::new(Kind::Changes(Vec::new())),
            Seed::new(Kind::Changes(vec![(3, 1)])),
            Seed::new(Kind::Changes(vec![(0, 1), (12, 5)])).with_checksum(1),
            Seed::new(Kind::Tree(Vec::new())),
            Seed::new(Kind::Tree(vec![(0, 1), (12, 5)])).with_checksum(7),
            Seed::new(Kind::Cancelled(vec![3])),
            Seed::new(Kind::Cancelled(vec![0, 7])),
        ];
        for seed in seeds {
            assert_eq!(seed.to_string().parse(), Ok(seed));
        }
    }

    #[test]
    fn invalid_seed_error_shows_valid_forms() {
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
            "cancel:",
            "cancel:3,3",
            "tree:",
            "tree:2:1,1:1",
        ] {
            let error = text.parse::<Seed>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("invalid seed `{text}`")),
                "{error}"
            );
            assert!(error.contains("`12:1,15:3`"), "{error}");
        }
    }

    #[test]
    fn drawn_seed_holds_run_length() {
        for (long, taken) in [
            (0, 2),
            (1, 2),
            (2, 4),
            (40, 64),
            (64, 128),
            (usize::MAX, 1 << 15),
        ] {
            let Kind::Drawn(bits) = Seed::drawn(u64::MAX, long).kind else {
                unreachable!("`drawn` returns a drawn seed");
            };
            assert_eq!(length(bits), Some(taken), "{long}");
        }
        let Kind::Drawn(bits) = Seed::dense(u64::MAX).kind else {
            unreachable!("`dense` returns a drawn seed");
        };
        assert_eq!(length(bits), None);
    }
}
