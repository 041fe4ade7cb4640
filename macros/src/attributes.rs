//! Sorts the other attributes of the test: kept, merged into this one, or expanded first.

use std::mem;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Meta, Path, Result};

use crate::args::Arguments;
use crate::errors::Errors;

/// The kinds of the other attributes on the test, and the span of each.
pub(crate) struct OtherAttributes(Vec<(Kind, Span)>);

/// What an attribute means to `#[straggler::test]`.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// `#[straggler::test]` once more.
    Duplicate,
    /// A test attribute that `#[straggler::test]` replaces.
    Test,
    /// What an expanded `#[tokio::test]` leaves, which also means `#[test]` where it is written.
    PlainTest,
    /// Makes several tests of one function, and supplies the arguments of each.
    Parametriser,
    /// `#[test_log::test]`, whose argument is a test attribute.
    TestLog,
    /// `#[should_panic]`.
    ShouldPanic,
    /// Of no concern.
    Unrelated,
}

impl OtherAttributes {
    /// Removes the test attributes and merges their arguments into `arguments`.
    pub(crate) fn sort(
        attributes: &mut Vec<Attribute>,
        arguments: &mut Arguments,
        errors: &mut Errors,
    ) -> Self {
        let mut kinds = Vec::new();
        attributes.retain_mut(|attribute| {
            let kind = kind(attribute.path());
            kinds.push((kind, attribute.pound_token.span()));
            let inner = match kind {
                Kind::Duplicate => {
                    let message =
                        "duplicate `#[straggler::test]` (`#[leak_check]` is its alias): remove one";
                    Err(Error::new_spanned(attribute, message))
                }
                Kind::Test => arguments_of(&attribute.meta),
                Kind::TestLog => take_test_log_argument(attribute),
                Kind::PlainTest | Kind::Parametriser | Kind::ShouldPanic | Kind::Unrelated => {
                    Ok(Arguments::default())
                }
            };
            if let Some(inner) = errors.ok(inner) {
                arguments.merge(inner, errors);
            }
            // One `#[test]` has to be left of them all: `generate` adds it.
            !matches!(kind, Kind::Duplicate | Kind::Test | Kind::PlainTest)
        });
        Self(kinds)
    }

    /// Returns whether an attribute supplies the arguments of the test.
    pub(crate) fn parametrised(&self) -> bool {
        self.find(Kind::Parametriser).is_some()
    }

    /// Returns whether an attribute must expand before this one.
    ///
    /// It reads the signature, and so has to see the `async fn` rather than the generated `fn`.
    pub(crate) fn expand_first(&self) -> bool {
        self.parametrised() || self.find(Kind::TestLog).is_some()
    }

    /// Returns whether the test should panic.
    pub(crate) fn should_panic(&self) -> bool {
        self.find(Kind::ShouldPanic).is_some()
    }

    /// Returns the span of a test attribute that expanded before this one, if there is one.
    ///
    /// What it left has the span of the attribute itself.
    pub(crate) fn expanded_test(&self) -> Option<Span> {
        self.find(Kind::PlainTest)
    }

    /// Returns the span of the first attribute of a kind.
    fn find(&self, kind: Kind) -> Option<Span> {
        let mut attributes = self.0.iter();
        attributes.find_map(|&(other, span)| (other == kind).then_some(span))
    }
}

/// Returns the kind of the attribute with this path.
fn kind(path: &Path) -> Kind {
    // To the compiler, `#[r#should_panic]` is `#[should_panic]`.
    let names: Vec<_> = path
        .segments
        .iter()
        .map(|segment| segment.ident.unraw().to_string())
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    match names[..] {
        [.., "leak_check"] | [.., "straggler", "test"] => Kind::Duplicate,
        // Any path to tokio: the shadow has its `test` at `straggler::tokio::test`.
        ["test"] | [.., "tokio", "test"] => Kind::Test,
        ["core" | "std", "prelude", _, "test"] => Kind::PlainTest,
        [.., "rstest" | "test_case" | "test_matrix"] => Kind::Parametriser,
        [.., "test_log", "test"] => Kind::TestLog,
        ["should_panic"] => Kind::ShouldPanic,
        _ => Kind::Unrelated,
    }
}

/// Returns the arguments of a test attribute.
fn arguments_of(test: &Meta) -> Result<Arguments> {
    let tokens = match test {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    Arguments::parse(tokens)
}

/// Removes the argument of `#[test_log::test(tokio::test(..))]` and returns the arguments in it.
///
/// `#[test_log::test]` would otherwise emit that attribute again, and the function would be two
/// tests.
fn take_test_log_argument(attribute: &mut Attribute) -> Result<Arguments> {
    let bare = Meta::Path(attribute.path().clone());
    let Meta::List(list) = mem::replace(&mut attribute.meta, bare) else {
        return Ok(Arguments::default());
    };
    let test: Meta = syn::parse2(list.tokens)?;
    if !matches!(kind(test.path()), Kind::Test | Kind::PlainTest) {
        let message = "below `#[straggler::test]`, write `#[test_log::test]` without this argument";
        return Err(Error::new_spanned(test, message));
    }
    arguments_of(&test)
}
