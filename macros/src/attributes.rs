//! The other attributes of the test: which of them are kept, taken over, or have to run first.

use std::mem;

use proc_macro2::TokenStream;
use syn::{Attribute, Error, Meta, Path, Result};

use crate::args::Arguments;
use crate::errors::Errors;

/// The kinds of attributes there are besides `#[leak_check]`.
pub(crate) struct Others(Vec<Kind>);

/// What an attribute is to `#[leak_check]`.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// `#[leak_check]` once more.
    Again,
    /// A test attribute, which `#[leak_check]` stands for.
    Test,
    /// What `#[tokio::test]` leaves behind where it has run. Whoever writes it means `#[test]`.
    PlainTest,
    /// Makes several tests of one, and gives each its arguments.
    Parametriser,
    /// `#[test_log::test]`, whose argument is the test attribute to use.
    TestLog,
    /// `#[should_panic]`.
    ShouldPanic,
    /// Nothing to it.
    Other,
}

impl Others {
    /// Leaves those of the attributes that stay, and adds what the test attributes among them say
    /// to `arguments`.
    pub(crate) fn sort(
        attributes: &mut Vec<Attribute>,
        arguments: &mut Arguments,
        errors: &mut Errors,
    ) -> Self {
        let mut kinds = Vec::new();
        attributes.retain_mut(|attribute| {
            let kind = kind(attribute.path());
            kinds.push(kind);
            let inner = match kind {
                Kind::Again => {
                    let message =
                        "`#[straggler::test]`, or `#[leak_check]`, is given twice: once is enough";
                    Err(Error::new_spanned(attribute, message))
                }
                Kind::Test => arguments_of(&attribute.meta),
                Kind::TestLog => argument_of_test_log(attribute),
                Kind::PlainTest | Kind::Parametriser | Kind::ShouldPanic | Kind::Other => {
                    Ok(Arguments::default())
                }
            };
            if let Some(inner) = errors.ok(inner) {
                arguments.take_over(inner, errors);
            }
            !matches!(kind, Kind::Again | Kind::Test | Kind::PlainTest)
        });
        Self(kinds)
    }

    /// Whether one of them gives the test its arguments.
    pub(crate) fn parametrise(&self) -> bool {
        self.0.contains(&Kind::Parametriser)
    }

    /// Whether one of them has to see the test while it is `async`, so that `#[leak_check]` lets
    /// it run first.
    pub(crate) fn run_first(&self) -> bool {
        self.parametrise() || self.0.contains(&Kind::TestLog)
    }

    /// Whether the test is to panic.
    pub(crate) fn should_panic(&self) -> bool {
        self.0.contains(&Kind::ShouldPanic)
    }

    /// Whether an attribute further up has made a plain test of it, if it is not `async`.
    pub(crate) fn plain_test(&self) -> bool {
        self.0.contains(&Kind::PlainTest)
    }
}

/// Tells by its path what an attribute is.
fn kind(path: &Path) -> Kind {
    let names: Vec<_> = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    match names[..] {
        [.., "leak_check"] | [.., "straggler", "test"] => Kind::Again,
        ["test"] | [.., "tokio", "test"] => Kind::Test,
        ["core" | "std", "prelude", _, "test"] => Kind::PlainTest,
        [.., "rstest" | "test_case" | "test_matrix"] => Kind::Parametriser,
        [.., "test_log", "test"] => Kind::TestLog,
        ["should_panic"] => Kind::ShouldPanic,
        _ => Kind::Other,
    }
}

/// The arguments of a test attribute.
fn arguments_of(test: &Meta) -> Result<Arguments> {
    let tokens = match test {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    Arguments::parse(tokens)
}

/// Takes the test attribute out of `#[test_log::test(tokio::test)]`: `#[leak_check]` stands for it.
fn argument_of_test_log(attribute: &mut Attribute) -> Result<Arguments> {
    let bare = Meta::Path(attribute.path().clone());
    let Meta::List(list) = mem::replace(&mut attribute.meta, bare) else {
        return Ok(Arguments::default());
    };
    let test: Meta = syn::parse2(list.tokens)?;
    if !matches!(kind(test.path()), Kind::Test | Kind::PlainTest) {
        let message =
            "below `#[straggler::test]`, or `#[leak_check]`, this is written without an argument";
        return Err(Error::new_spanned(test, message));
    }
    arguments_of(&test)
}
