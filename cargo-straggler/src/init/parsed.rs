//! A source file: its text, its syntax and its tokens.

use std::ops::Range;

use proc_macro2::{Span, TokenStream};
use syn::File;

/// A source file that is Rust.
pub(crate) struct Parsed {
    pub(crate) text: String,
    pub(crate) syntax: File,
    /// All tokens, also those in macros, which the syntax leaves alone.
    pub(crate) tokens: TokenStream,
    /// Where the first token may be: spans do not count a byte order mark and a shebang line.
    start: usize,
}

impl Parsed {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// Returns an error if it is no Rust.
    pub(crate) fn of(text: String) -> syn::Result<Self> {
        let syntax = syn::parse_file(&text)?;
        let mark = text.len() - text.trim_start_matches('\u{feff}').len();
        let shebang = syntax.shebang.as_ref().map_or(0, String::len);
        let start = mark + shebang;
        let tokens = text[start..].parse()?;
        Ok(Self {
            text,
            syntax,
            tokens,
            start,
        })
    }

    /// The bytes of a span of this file.
    pub(crate) fn range(&self, span: Span) -> Range<usize> {
        let range = span.byte_range();
        range.start + self.start..range.end + self.start
    }

    /// The line of a byte.
    pub(crate) fn line(&self, at: usize) -> usize {
        1 + self.text[..at].matches('\n').count()
    }
}

#[cfg(test)]
mod tests {
    use syn::spanned::Spanned as _;

    use super::Parsed;

    #[test]
    fn ranges_count_what_spans_do_not() {
        for before in ["", "\u{feff}", "#!/usr/bin/env cargo\n", "// é\r\n"] {
            let parsed = Parsed::of(format!("{before}fn a() {{}}\nfn b() {{}}\n")).unwrap();
            let range = parsed.range(parsed.syntax.items[1].span());
            assert_eq!(&parsed.text[range.clone()], "fn b() {}", "{before:?}");
            let lines = before.matches('\n').count();
            assert_eq!(parsed.line(range.start), lines + 2, "{before:?}");
        }
    }
}
