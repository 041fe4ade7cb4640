//! What stands in the parentheses of `#[leak_check(..)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use strsim::levenshtein;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Meta, Result, Token};

use crate::errors::Errors;
use crate::options::{KNOWN, Options, Written};

/// The arguments of a test attribute, as written.
#[derive(Default)]
pub(crate) struct Arguments(Vec<Meta>);

impl Arguments {
    /// Reads what stands between the parentheses.
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let arguments = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens);
        let arguments = arguments.map_err(|error| {
            let message = format!(r#"{error}; options are written like `grace = "250ms"`"#);
            Error::new(error.span(), message)
        })?;
        Ok(Self(arguments.into_iter().collect()))
    }

    /// Adds those of a test attribute further down, which has to agree. Its `crate` names tokio.
    pub(crate) fn take_over(&mut self, other: Self, errors: &mut Errors) {
        let own = self.0.len();
        for argument in other.0 {
            let name = name_of(&argument);
            match self.0[..own].iter().find(|own| sets(own, &name)) {
                _ if name == "crate" => {}
                Some(own) if sets(&argument, &name) => {
                    if own.to_token_stream().to_string() != argument.to_token_stream().to_string() {
                        let message = format!("`{name}` has another value further up");
                        errors.push(Error::new_spanned(argument, message));
                    }
                }
                _ => self.0.push(argument),
            }
        }
    }

    /// Forgets all but the one that names the crate.
    pub(crate) fn keep_crate(&mut self) {
        self.0.retain(|argument| name_of(argument) == "crate");
    }

    /// Makes options of them, as far as they are right.
    pub(crate) fn options(&self, errors: &mut Errors) -> Options {
        let mut options = Options::default();
        for (index, argument) in self.0.iter().enumerate() {
            let name = name_of(argument);
            let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
                errors.push(Error::new_spanned(argument.path(), unknown(&name)));
                continue;
            };
            if sets(argument, &name) && self.0[..index].iter().any(|earlier| sets(earlier, &name)) {
                errors.push(Error::new_spanned(
                    argument,
                    format!("`{name}` is given twice"),
                ));
                continue;
            }
            errors.ok((known.read)(&mut options, &Written { argument, known }));
        }
        options.check(errors);
        options
    }
}

/// Writes them as they were, separated by commas.
impl ToTokens for Arguments {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.0.iter().map(|argument| quote!(#argument,)));
    }
}

/// The name of the option that an argument is for.
fn name_of(argument: &Meta) -> String {
    argument
        .path()
        .to_token_stream()
        .to_string()
        .replace(' ', "")
}

/// Whether an argument sets the option `name`, rather than adding to it: `allow(..)` may stand
/// several times.
fn sets(argument: &Meta, name: &str) -> bool {
    !matches!(argument, Meta::List(_)) && name_of(argument) == name
}

/// Says what there is instead of the option `name`.
fn unknown(name: &str) -> String {
    match name {
        "core_threads" => return "`core_threads` is called `worker_threads` now".to_owned(),
        "multi_thread" | "threaded_scheduler" => {
            return r#"the flavor is written `flavor = "multi_thread"`"#.to_owned();
        }
        "current_thread" | "single_thread" | "single_threaded" | "basic_scheduler" => {
            return r#"the flavor is written `flavor = "current_thread"`"#.to_owned();
        }
        "local" => return r#"the flavor is written `flavor = "local"`"#.to_owned(),
        _ => {}
    }
    let names: Vec<_> = KNOWN
        .iter()
        .map(|known| format!("`{}`", known.name))
        .collect();
    let names = names.join(", ");
    let nearest = KNOWN
        .iter()
        .map(|known| (levenshtein(known.name, &name.to_lowercase()), known.name))
        .min();
    match nearest {
        Some((0..=2, near)) => {
            format!("unknown option `{name}`, did you mean `{near}`? the options are {names}")
        }
        _ => format!("unknown option `{name}`, the options are {names}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What is said of arguments, and of those that a test attribute below has.
    fn mistakes(own: TokenStream, below: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        let mut arguments = errors.ok(Arguments::parse(own)).unwrap_or_default();
        if let Some(below) = errors.ok(Arguments::parse(below)) {
            arguments.take_over(below, &mut errors);
        }
        arguments.options(&mut errors);
        errors.messages()
    }

    fn options(arguments: TokenStream) -> Options {
        let mut errors = Errors::default();
        let arguments = Arguments::parse(arguments).expect("they can be read");
        let options = arguments.options(&mut errors);
        assert_eq!(errors.messages(), [""; 0]);
        options
    }

    #[test]
    fn each_option_is_read_as_its_example_shows() {
        for known in KNOWN {
            let (_, example) = known.takes.split_once(": ").expect("there is an example");
            for example in example.split('`').skip(1).step_by(2) {
                let with_flavor = match known.name {
                    "worker_threads" => format!(r#"flavor = "multi_thread", {example}"#),
                    _ => example.to_owned(),
                };
                options(with_flavor.parse().expect("it can be read"));
            }
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(
            options(quote!(grace = "1s 5ms")).grace,
            Some(Duration::from_millis(1005))
        );
        assert_eq!(options(quote!(grace = "0s")).grace, Some(Duration::ZERO));
        assert_eq!(
            mistakes(quote!(grace = 250), quote!()),
            [r#"`grace` takes a time with a unit: `grace = "250ms"`"#]
        );
    }

    #[test]
    fn places_add_up() {
        let options = options(quote!(allow("a"), allow = 2, allow("b" = 1, "c"),));
        let places: Vec<_> = options
            .allow_at
            .iter()
            .map(|place| (place.prefix.value(), place.at_most))
            .collect();

        assert_eq!(options.allow, Some(2));
        assert_eq!(
            places,
            [
                ("a".to_owned(), None),
                ("b".to_owned(), Some(1)),
                ("c".to_owned(), None)
            ]
        );
    }

    #[test]
    fn all_mistakes_are_told() {
        assert_eq!(
            mistakes(
                quote!(allow = 0, retries = 3, worker_threads = 2),
                quote!(start_paused = 1)
            )
            .len(),
            4
        );
    }

    #[test]
    fn nearest_option_is_suggested() {
        for (written, meant) in [
            ("flavour", "flavor"),
            ("worker_thread", "worker_threads"),
            ("graze", "grace"),
            ("GRACE", "grace"),
            ("alow", "allow"),
        ] {
            let message = unknown(written);
            assert!(
                message.contains(&format!("did you mean `{meant}`?")),
                "{message}"
            );
        }
        for far in ["retries", "x", "tokio::test"] {
            let message = unknown(far);
            assert!(!message.contains("did you mean"), "{message}");
            assert!(
                KNOWN.iter().all(|known| message.contains(known.name)),
                "{message}"
            );
        }
    }

    #[test]
    fn attributes_below_may_say_the_same() {
        let same = quote!(flavor = "multi_thread", worker_threads = 2);
        assert_eq!(mistakes(same.clone(), same), [""; 0]);
        assert_eq!(
            mistakes(quote!(crate = "renamed"), quote!(crate = "::tokio")),
            [""; 0]
        );
        assert_eq!(mistakes(quote!(allow = 2), quote!(allow("a"))), [""; 0]);
    }

    #[test]
    fn attributes_below_may_not_contradict() {
        assert_eq!(
            mistakes(quote!(start_paused = true), quote!(start_paused = false)),
            ["`start_paused` has another value further up"]
        );
        assert_eq!(
            mistakes(quote!(start_paused = true), quote!(flavor = "multi_thread")),
            [
                r#"`start_paused` needs a runtime of one thread: `flavor = "current_thread"` or `flavor = "local"`"#
            ]
        );
        assert_eq!(
            mistakes(quote!(), quote!(name = "a", name = "a")),
            ["`name` is given twice"]
        );
    }
}
