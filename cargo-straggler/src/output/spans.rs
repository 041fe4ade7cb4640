//! Text with code in backticks, for formats that show code in another way.

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span<'t> {
    Text(&'t str),
    Code(&'t str),
}

/// Splits a text at its backticks. If one of them stands alone, there is no code.
pub(crate) fn spans(text: &str) -> Vec<Span<'_>> {
    let parts: Vec<_> = text.split('`').collect();
    if parts.len() % 2 == 0 {
        return vec![Span::Text(text)];
    }
    let parts = parts.into_iter().enumerate();
    parts
        .filter(|(_, part)| !part.is_empty())
        .map(|(index, part)| {
            if index % 2 == 0 {
                Span::Text(part)
            } else {
                Span::Code(part)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Span::{Code, Text};
    use super::spans;

    #[test]
    fn code_is_between_backticks() {
        assert_eq!(
            spans("in `a`, `b`"),
            [Text("in "), Code("a"), Text(", "), Code("b")]
        );
        assert_eq!(spans("a ` alone"), [Text("a ` alone")]);
        assert_eq!(spans("`` none"), [Text(" none")]);
        assert_eq!(spans(""), []);
    }
}
