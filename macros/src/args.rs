//! Parses the arguments of `#[straggler::test(..)]`.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote};
use strsim::levenshtein;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser};
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, MetaNameValue, Result, Token, parenthesized,
    parse_quote,
};

use crate::errors::Errors;
use crate::options::Options;
use crate::spec::{SPECS, Spec, list};
use crate::value::Value;

/// The arguments of a test attribute, as written.
#[derive(Default)]
pub(crate) struct Arguments(Vec<Meta>);

impl Arguments {
    /// Parses the tokens between the parentheses.
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let parse = |input: ParseStream<'_>| {
            let inside;
            parenthesized!(inside in input);
            separated(&inside)
        };
        // syn reports a missing token at the closing delimiter. Without one that is the whole
        // attribute, so the last token lends its span to one.
        let last = tokens.clone().into_iter().last();
        let mut group = Group::new(Delimiter::Parenthesis, tokens);
        group.set_span(last.map_or_else(Span::call_site, |token| token.span()));
        parse.parse2(group.to_token_stream()).map(Self)
    }

    /// Adds the arguments of a test attribute further down, which must not contradict these.
    pub(crate) fn merge(&mut self, other: Self, errors: &mut Errors) {
        let own = self.0.len();
        for argument in other.0 {
            let name = name_of(&argument);
            match self.0[..own].iter().find(|own| sets(own, &name)) {
                // There it is the path of tokio.
                _ if name == "crate" => {}
                Some(own) if sets(&argument, &name) => {
                    let own = own.to_token_stream().to_string();
                    if own != argument.to_token_stream().to_string() {
                        let message =
                            format!("conflicting `{name}`: an attribute above sets `{own}`");
                        errors.push(Error::new_spanned(argument, message));
                    }
                }
                _ => self.0.push(argument),
            }
        }
    }

    /// Makes `crate`, a path of tokio, the path of the straggler in that tokio.
    pub(crate) fn within_tokio(mut self) -> Self {
        let mut krates = self.0.iter_mut().filter(|argument| sets(argument, "crate"));
        match krates.next() {
            None => self.0.push(parse_quote!(crate = "tokio::__straggler")),
            Some(Meta::NameValue(MetaNameValue {
                value:
                    Expr::Lit(ExprLit {
                        lit: Lit::Str(path),
                        ..
                    }),
                ..
            })) => *path = LitStr::new(&format!("{}::__straggler", path.value()), path.span()),
            // The spec of `crate` reports other values.
            Some(_) => {}
        }
        self
    }

    /// Removes every argument but `crate`.
    pub(crate) fn keep_crate(&mut self) {
        self.0.retain(|argument| name_of(argument) == "crate");
    }

    /// Reads the valid arguments into options, and adds an error for each other one.
    pub(crate) fn options(&self, errors: &mut Errors) -> Options {
        let mut options = Options::default();
        for (index, argument) in self.0.iter().enumerate() {
            let name = name_of(argument);
            let Some(spec) = Spec::find(&name) else {
                errors.push(Error::new_spanned(argument.path(), unknown(&name)));
                continue;
            };
            let mut earlier = self.0[..index].iter();
            if sets(argument, &name) && earlier.any(|earlier| sets(earlier, &name)) {
                let message = format!("duplicate option `{name}`: remove one");
                errors.push(Error::new_spanned(argument, message));
                continue;
            }
            errors.ok((spec.read)(&mut options, &Value { argument, spec }));
        }
        options.check(errors);
        options
    }
}

/// Parses arguments that commas separate.
fn separated(input: ParseStream<'_>) -> Result<Vec<Meta>> {
    let malformed = |error: Error| {
        let message = format!(r#"{error}; write options as `grace = "250ms"`"#);
        Error::new(error.span(), message)
    };
    let mut arguments = Vec::new();
    while !input.is_empty() {
        arguments.push(input.parse().map_err(malformed)?);
        if input.is_empty() {
            break;
        }
        // An option behind another one is no wrong value of that.
        if let Ok(next) = input.fork().call(Ident::parse_any) {
            let message = format!("expected `,` before `{next}`");
            return Err(Error::new(next.span(), message));
        }
        input.parse::<Token![,]>().map_err(malformed)?;
    }
    Ok(arguments)
}

/// Emits the arguments as written, each followed by a comma.
impl ToTokens for Arguments {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.0.iter().map(|argument| quote!(#argument,)));
    }
}

/// Returns the name of the option that an argument is for.
fn name_of(argument: &Meta) -> String {
    if let Some(name) = argument.path().get_ident() {
        return name.unraw().to_string();
    }
    // A path such as `tokio::test` prints with spaces.
    argument
        .path()
        .to_token_stream()
        .to_string()
        .replace(' ', "")
}

/// Returns whether `argument` sets the option `name`.
///
/// A list such as `allow(..)` adds to its option instead, so there may be several.
fn sets(argument: &Meta, name: &str) -> bool {
    !matches!(argument, Meta::List(_)) && name_of(argument) == name
}

/// Returns the message for an unknown option: what to write instead.
fn unknown(name: &str) -> String {
    let flavor = match name {
        "core_threads" => return "`core_threads` was renamed to `worker_threads`".to_owned(),
        "multi_thread" | "threaded_scheduler" => Some("multi_thread"),
        "current_thread" | "single_thread" | "single_threaded" | "basic_scheduler" => {
            Some("current_thread")
        }
        "local" => Some("local"),
        _ => None,
    };
    if let Some(flavor) = flavor {
        return format!(r#"set the runtime flavor with `flavor = "{flavor}"`"#);
    }
    let nearest = SPECS
        .iter()
        .map(|spec| (levenshtein(spec.name, &name.to_lowercase()), spec.name))
        .min();
    match nearest {
        // One typo in three letters, as rustc does: `time` is not `name`.
        Some((typos, near)) if typos <= name.len().max(3) / 3 => {
            format!("unknown option `{name}`: did you mean `{near}`?")
        }
        _ => {
            let names = list(SPECS.iter().map(|spec| spec.name), ", ");
            format!("unknown option `{name}`: expected one of {names}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Returns the errors in the arguments `own`, and in `below`, those of an attribute below.
    fn errors(own: TokenStream, below: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        let mut arguments = errors.ok(Arguments::parse(own)).unwrap_or_default();
        if let Some(below) = errors.ok(Arguments::parse(below)) {
            arguments.merge(below, &mut errors);
        }
        arguments.options(&mut errors);
        errors.messages()
    }

    fn options(arguments: TokenStream) -> Options {
        let mut errors = Errors::default();
        let arguments = Arguments::parse(arguments).expect("valid arguments");
        let options = arguments.options(&mut errors);
        assert_eq!(errors.messages(), [""; 0]);
        options
    }

    #[test]
    fn examples_of_each_option_are_valid() {
        for spec in SPECS {
            assert!(!spec.examples.is_empty(), "`{}` has no example", spec.name);
            for &example in spec.examples {
                let with_flavor = match spec.name {
                    "worker_threads" => format!(r#"flavor = "multi_thread", {example}"#),
                    _ => example.to_owned(),
                };
                options(with_flavor.parse().expect("valid tokens"));
            }
        }
    }

    #[test]
    fn duration_requires_unit() {
        assert_eq!(
            options(quote!(grace = "1s 5ms")).grace,
            Some(Duration::from_millis(1005))
        );
        assert_eq!(options(quote!(grace = "0s")).grace, Some(Duration::ZERO));
        assert_eq!(
            errors(quote!(grace = 250), quote!()),
            [r#"invalid `grace`: expected a duration with a unit, as in `grace = "250ms"`"#]
        );
    }

    #[test]
    fn allow_lists_accumulate() {
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
    fn missing_comma_names_option_behind_it() {
        for (arguments, next) in [
            (quote!(cancel timeout = 3), "timeout"),
            (quote!(explore = 500 cancel), "cancel"),
            (quote!(cancel crate = "a"), "crate"),
        ] {
            let says = format!("expected `,` before `{next}`");
            assert_eq!(errors(arguments, quote!()), [says]);
        }
        let says = r#"expected `,`; write options as `grace = "250ms"`"#;
        assert_eq!(errors(quote!(grace "250ms"), quote!()), [says]);
    }

    #[test]
    fn number_of_runs_is_no_value_of_cancel() {
        let errors = errors(quote!(cancel = 100), quote!());
        assert!(errors[0].contains("`STRAGGLER_RUNS=100`"), "{errors:?}");
    }

    #[test]
    fn every_error_is_reported() {
        assert_eq!(
            errors(
                quote!(allow = 0, retries = 3, worker_threads = 2),
                quote!(start_paused = 1)
            )
            .len(),
            4
        );
    }

    #[test]
    fn unknown_option_suggests_nearest() {
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
        for far in ["retries", "x", "time", "tokio::test"] {
            let message = unknown(far);
            assert!(!message.contains("did you mean"), "{message}");
            assert!(
                SPECS.iter().all(|spec| message.contains(spec.name)),
                "{message}"
            );
        }
    }

    #[test]
    fn merge_accepts_equal_values() {
        let same = quote!(flavor = "multi_thread", worker_threads = 2);
        assert_eq!(errors(same.clone(), same), [""; 0]);
        assert_eq!(
            errors(quote!(crate = "renamed"), quote!(crate = "::tokio")),
            [""; 0]
        );
        assert_eq!(errors(quote!(allow = 2), quote!(allow("a"))), [""; 0]);
    }

    #[test]
    fn merge_rejects_conflicting_values() {
        assert_eq!(
            errors(quote!(start_paused = true), quote!(start_paused = false)),
            ["conflicting `start_paused`: an attribute above sets `start_paused = true`"]
        );
        assert_eq!(
            errors(quote!(start_paused = true), quote!(flavor = "multi_thread")),
            [
                r#"`start_paused` requires a single-threaded runtime: `flavor = "current_thread"` or `flavor = "local"`"#
            ]
        );
        assert_eq!(
            errors(quote!(), quote!(name = "a", name = "a")),
            ["duplicate option `name`: remove one"]
        );
    }
}
