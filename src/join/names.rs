//! The names of a combinator's children.

use std::borrow::Cow;
use std::fmt;

use crate::children::{Children, Slots};
use crate::wording::{LISTED, Label};

/// The names of the children, if they have any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    #[default]
    None,
    /// The source text of each future, from a macro.
    Source(&'static [&'static str]),
    /// Set by `named`.
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

    /// The label of child `index` in a report: index and name.
    pub(crate) fn label(&self, index: usize) -> Label<'_> {
        Label {
            index,
            name: self.get(index),
        }
    }
}

/// Prints the label and the state of each child, for `Debug`.
pub(crate) struct Named<'a, S: Slots> {
    pub(crate) children: &'a Children<S>,
    pub(crate) names: &'a Names,
}

impl<S: Slots> fmt::Debug for Named<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for index in 0..self.children.len().min(LISTED) {
            let label = self.names.label(index);
            let state = self.children.state(index);
            list.entry(&format_args!("{label}: {state:?}"));
        }
        if self.children.len() > LISTED {
            return list.finish_non_exhaustive();
        }
        list.finish()
    }
}
