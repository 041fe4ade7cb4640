//! Expands the attribute: parse, check, generate.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::Error;

use crate::args::Arguments;
use crate::attributes::OtherAttributes;
use crate::errors::Errors;
use crate::function::Function;
use crate::generate;

/// Expands the attribute.
///
/// The function is emitted in spite of errors: without it, the compiler would also report every use
/// of it as unresolved.
pub(crate) fn leak_check(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message = format!("`#[straggler::test]` requires an `async fn`: {error}");
            let error = Error::new(error.span(), message).into_compile_error();
            return [item, error].into_iter().collect();
        }
    };
    let mut errors = Errors::default();
    let mut arguments = errors.ok(Arguments::parse(arguments)).unwrap_or_default();
    let others = OtherAttributes::sort(&mut function.attributes, &mut arguments, &mut errors);
    let options = arguments.options(&mut errors);
    let can_run = errors.ok(function.check(&others, &options)).is_some();
    let expanded = if !can_run {
        // No longer a test: nothing calls it, and attributes such as `#[should_panic]` do nothing.
        function.with_attribute(&quote!(#[allow(dead_code, unused_attributes)]))
    } else if others.expand_first() {
        // They emit this attribute again for each case, which would report the same errors.
        if !errors.is_empty() {
            arguments.keep_crate();
        }
        let krate = options.krate();
        // `rstest` only recognises a test attribute by the name `test`.
        function.with_attribute(&quote!(#[#krate::test(#arguments)]))
    } else {
        generate::test(function, &others, &options)
    };
    quote!(#expanded #errors)
}

/// Expands the attribute of a tokio that contains straggler.
pub(crate) fn tokio_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = match Arguments::parse(arguments.clone()) {
        Ok(parsed) => parsed.within_tokio().into_token_stream(),
        // `leak_check` reports the error.
        Err(_) => arguments,
    };
    leak_check(arguments, item)
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    /// Returns the tokens as one line without spaces.
    fn text(tokens: impl ToTokens) -> String {
        tokens
            .to_token_stream()
            .to_string()
            .replace([' ', '\n'], "")
    }

    /// Expands the attribute, and returns the number of errors and the function.
    fn expand_invalid(arguments: TokenStream, item: TokenStream) -> (usize, syn::ItemFn) {
        let expanded = leak_check(arguments, item);
        let file: syn::File = syn::parse2(expanded).expect("valid items");
        let (functions, errors): (Vec<_>, Vec<_>) = file
            .items
            .into_iter()
            .partition(|item| matches!(item, syn::Item::Fn(_)));
        let Ok([syn::Item::Fn(function)]) = <[_; 1]>::try_from(functions) else {
            panic!("expected one function");
        };
        (errors.len(), function)
    }

    #[test]
    fn test_survives_invalid_options() {
        let (errors, function) = expand_invalid(
            quote!(retries = 3, flavor = "multi_thread", start_paused = true),
            quote!(
                async fn name() {
                    body
                }
            ),
        );
        assert_eq!(errors, 2);
        assert!(function.sig.asyncness.is_none());
        assert!(text(&function.attrs[0]).ends_with("::test]"));
        assert!(text(&function).contains("{body}"));
    }

    #[test]
    fn invalid_function_is_emitted_unchanged() {
        for item in [
            quote!(
                pub fn name(one: u8) -> u8 {
                    body
                }
            ),
            quote!(
                pub async fn name(one: u8) -> u8 {
                    body
                }
            ),
        ] {
            let (errors, mut function) = expand_invalid(quote!(), item.clone());
            function.attrs.clear();
            assert_eq!(errors, 1);
            assert_eq!(text(&function), text(item));
        }
    }

    #[test]
    fn body_is_not_parsed() {
        let expanded = text(leak_check(
            quote!(),
            quote!(async fn name() { let x = ; x. }),
        ));
        assert!(expanded.contains("{letx=;x.}"), "{expanded}");
        assert!(!expanded.contains("compile_error"), "{expanded}");
    }

    #[test]
    fn other_item_is_emitted_unchanged() {
        let expanded = text(leak_check(
            quote!(),
            quote!(
                struct Name;
            ),
        ));
        assert!(expanded.starts_with("structName;"), "{expanded}");
        assert!(expanded.contains("compile_error"), "{expanded}");
    }

    #[test]
    fn parametriser_keeps_every_argument() {
        let expanded = leak_check(
            quote!(grace = "1s", allow("a" = 2), crate = "a::b"),
            quote! {
                #[rstest]
                #[tokio::test(flavor = "local", crate = "tokio")]
                #[case(1)]
                async fn name(#[case] one: u8) { body }
            },
        );
        let expected = quote! {
            #[rstest]
            #[case(1)]
            #[a::b::test(grace = "1s", allow("a" = 2), crate = "a::b", flavor = "local",)]
            async fn name(#[case] one: u8) { body }
        };
        assert_eq!(text(expanded), text(expected));
    }

    #[test]
    fn tokio_test_finds_straggler_in_tokio() {
        for (arguments, krate) in [
            (quote!(), "tokio::__straggler"),
            (quote!(flavor = "local"), "tokio::__straggler"),
            (quote!(crate = "a::tokio"), "a::tokio::__straggler"),
            (quote!(crate = "::tokio1",), "::tokio1::__straggler"),
        ] {
            let test = quote!(
                async fn name() {
                    body
                }
            );
            let expanded = text(tokio_test(arguments.clone(), test));
            let call = format!("{krate}::__private::");
            assert!(expanded.contains(&call), "{arguments}: {expanded}");
            assert!(!expanded.contains("compile_error"), "{expanded}");

            let case = quote!(
                #[rstest]
                async fn name() {
                    body
                }
            );
            let expanded = text(tokio_test(arguments.clone(), case));
            let again = format!("#[{krate}::test(");
            assert!(expanded.contains(&again), "{arguments}: {expanded}");
        }
    }

    #[test]
    fn tokio_test_can_run_again_if_it_is_plain() {
        for (attributes, arguments, parameters, can_run_again) in [
            (quote!(), quote!(), quote!(), true),
            (quote!(), quote!(start_paused = true), quote!(), true),
            (quote!(), quote!(flavor = "multi_thread"), quote!(), false),
            (quote!(), quote!(flavor = "local"), quote!(), false),
            (quote!(), quote!(), quote!(case: String), false),
            (quote!(#[should_panic]), quote!(), quote!(), false),
        ] {
            let test = quote!(#attributes async fn name(#parameters) { body });
            let expanded = text(tokio_test(arguments, test.clone()));
            assert_eq!(expanded.contains("suite_test"), can_run_again, "{expanded}");
            let expanded = text(leak_check(quote!(), test));
            assert!(!expanded.contains("suite_test"), "{expanded}");
        }
    }

    #[test]
    fn tokio_test_reports_invalid_arguments() {
        for arguments in [quote!(crate = 1), quote!(flavor), quote!(=)] {
            let test = quote!(
                async fn name() {
                    body
                }
            );
            let expanded = text(tokio_test(arguments.clone(), test));
            assert_eq!(expanded.matches("compile_error").count(), 1, "{arguments}");
        }
    }

    #[test]
    fn parametriser_keeps_no_invalid_argument() {
        let expanded = text(leak_check(
            quote!(retries = 1, crate = "a::b"),
            quote!(
                #[rstest]
                async fn name(#[case] one: u8) {
                    body
                }
            ),
        ));
        let expected = quote! {
            #[rstest]
            #[a::b::test(crate = "a::b",)]
            async fn name(#[case] one: u8) { body }
        };
        assert!(expanded.starts_with(&text(expected)), "{expanded}");
        assert_eq!(expanded.matches("compile_error").count(), 1);
    }
}
