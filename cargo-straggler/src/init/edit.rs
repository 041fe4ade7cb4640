//! Edits of a text by ranges of bytes, so that all other bytes stay.

use std::ops::Range;

/// Replaces a range of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

impl Edit {
    pub(crate) fn replace(range: Range<usize>, text: &str) -> Self {
        let text = text.to_owned();
        Self { range, text }
    }

    pub(crate) fn remove(range: Range<usize>) -> Self {
        Self::replace(range, "")
    }
}

/// Makes the edits.
pub(crate) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let mut edited = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits {
        // Neighbors in a list share the comma between them, and both edits may remove it.
        let start = edit.range.start.max(done);
        edited.push_str(&text[done..start]);
        edited.push_str(&edit.text);
        done = edit.range.end.max(done);
    }
    edited.push_str(&text[done..]);
    edited
}

#[cfg(test)]
mod tests {
    use super::{Edit, apply};

    #[test]
    fn bytes_outside_of_edits_stay() {
        let text = "é, b;\r\n  c";
        let edits = vec![Edit::replace(10..11, "d"), Edit::replace(0..2, "a")];
        assert_eq!(apply(text, edits), "a, b;\r\n  d");
    }

    #[test]
    fn removals_may_overlap() {
        let edits = vec![Edit::remove(3..6), Edit::remove(4..8)];
        assert_eq!(apply("{a, b, c}", edits), "{a,}");
    }
}
