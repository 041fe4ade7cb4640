//! What the children of a combinator are called, and the list that a report makes of them.

use std::borrow::Cow;
use std::fmt;

use crate::children::{Children, Slots};

/// The names of the children, if they have any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    #[default]
    None,
    /// The source text of each future, from a macro.
    Source(&'static [&'static str]),
    /// Given by `named`.
    Given(Vec<Cow<'static, str>>),
}

impl Names {
    /// The name of child `index`.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Source(names) => names.get(index).copied(),
            Self::Given(names) => names.get(index).map(AsRef::as_ref),
        }
    }

    /// How child `index` is called in a report.
    pub(crate) fn label(&self, index: usize) -> Label<'_> {
        Label {
            index,
            name: self.get(index),
        }
    }
}

/// The children of a combinator by name, and how things stand with each, for `Debug`.
pub(crate) struct Named<'a, S: Slots> {
    pub(crate) children: &'a Children<S>,
    pub(crate) names: &'a Names,
}

impl<S: Slots> fmt::Debug for Named<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for index in 0..self.children.len() {
            let label = self.names.label(index);
            map.entry(&format_args!("{label}"), &self.children.state(index));
        }
        map.finish()
    }
}

/// A child in a report: `` #3 `name` ``, or `#3`.
pub(crate) struct Label<'a> {
    pub(crate) index: usize,
    pub(crate) name: Option<&'a str>,
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index)?;
        match self.name {
            Some(name) => write!(f, " `{name}`"),
            None => Ok(()),
        }
    }
}

/// How many children a report lists before it says how many there are more.
const LISTED: usize = 20;

/// Writes one line a child, each on a line of its own below what was written so far.
pub(crate) fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    lines: impl ExactSizeIterator<Item = (Label<'a>, String)>,
) -> fmt::Result {
    let more = lines.len().saturating_sub(LISTED);
    for (label, line) in lines.take(LISTED) {
        // Further lines of a text stay below the child they belong to.
        write!(f, "\n  {label}: {}", line.replace('\n', "\n      "))?;
    }
    if more > 0 {
        write!(f, "\n  and {more} more")?;
    }
    Ok(())
}
