//! What `#[leak_check]` makes of a test.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    AttrStyle, Attribute, Error, FnArg, Pat, PatIdent, PatType, Path, ReturnType, Signature, Type,
    Visibility, braced, parse_quote, parse_quote_spanned,
};

use crate::args::Arguments;
use crate::attributes::Others;
use crate::errors::Errors;
use crate::options::Options;
use crate::settings;

/// Expands the attribute. Whatever mistakes there are, the function is still there afterwards, so
/// that the compiler speaks of nothing else.
pub(crate) fn leak_check(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message =
                format!("`#[straggler::test]`, or `#[leak_check]`, is for async tests: {error}");
            let error = Error::new(error.span(), message).into_compile_error();
            return [item, error].into_iter().collect();
        }
    };
    let mut errors = Errors::default();
    let mut arguments = errors.ok(Arguments::parse(arguments)).unwrap_or_default();
    let others = Others::sort(&mut function.attributes, &mut arguments, &mut errors);
    let options = arguments.options(&mut errors);
    let can_run = errors.ok(function.check(&others, &options)).is_some();
    let expanded = if !can_run {
        function.below(&quote!(#[allow(dead_code, unused_attributes)]))
    } else if others.run_first() {
        if !errors.is_empty() {
            // The next time round would find the same mistakes.
            arguments.keep_crate();
        }
        let krate = krate(&options);
        function.below(&quote!(#[#krate::test(#arguments)]))
    } else {
        function.test(&others, &options)
    };
    quote!(#expanded #errors)
}

/// The function below the attribute.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    /// The body with its braces. It is not looked at: half-written code is left to the compiler,
    /// which explains it better.
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let inside;
        let braces = braced!(inside in input);
        // A block cannot carry the attributes that stand inside of a function.
        for attribute in inside.call(Attribute::parse_inner)? {
            attributes.push(Attribute {
                style: AttrStyle::Outer,
                ..attribute
            });
        }
        let mut body = Group::new(Delimiter::Brace, inside.parse()?);
        // As part of the expansion they are not braces that the compiler would call needless.
        body.set_span(Span::call_site().located_at(braces.span.join()));
        Ok(Self {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

impl Function {
    /// Whether this is a function that can run as a test.
    fn check(&self, others: &Others, options: &Options) -> syn::Result<()> {
        let signature = &self.signature;
        if signature.asyncness.is_none() {
            let message = if others.plain_test() {
                "an attribute further up has made a plain test of this already: put `#[straggler::test]` above `#[tokio::test]`, or leave `#[tokio::test]` out"
            } else {
                "`#[straggler::test]`, or `#[leak_check]`, is for async tests: write `async fn`"
            };
            return Err(Error::new_spanned(signature.fn_token, message));
        }
        if !signature.inputs.is_empty() && !others.parametrise() {
            let message =
                "a test has no arguments, unless `#[rstest]` or `#[test_case]` gives it some";
            return Err(Error::new_spanned(&signature.inputs, message));
        }
        let is_named = |input: &&FnArg| matches!(input, FnArg::Typed(PatType { pat, .. }) if matches!(**pat, Pat::Ident(_)));
        let pattern = signature.inputs.iter().find(|input| !is_named(input));
        if let (Some(pattern), true) = (pattern, options.explore.is_some()) {
            let message = "`explore` clones the arguments for each run: give this one a name, and take it apart in the body";
            return Err(Error::new_spanned(pattern, message));
        }
        Ok(())
    }

    /// Writes the function below its attributes and one more. That is the last, so that those
    /// before it, which the compiler expands first, see it.
    fn below(&self, last: &TokenStream) -> TokenStream {
        let Self {
            attributes,
            visibility,
            signature,
            body,
        } = self;
        quote!(#(#attributes)* #last #visibility #signature #body)
    }

    /// Makes a test of the function.
    fn test(mut self, others: &Others, options: &Options) -> TokenStream {
        let krate = krate(options);
        let check = settings::check(&krate, options);
        let output = self.output();
        if let Some(explore) = settings::explore(options) {
            return self.explored(others, &krate, &quote!(#check #explore), &output);
        }
        let future = Ident::new("future", Span::mixed_site());
        let pinned = pinned(&krate, &future, &output, &self.body);
        let name = &self.signature.ident;
        let case = self.case(&krate);
        // A test that should panic has no output. If it has one, the compiler says so.
        let run = match &output {
            Type::Tuple(fields) if fields.elems.is_empty() && others.should_panic() => {
                quote_spanned!(name.span()=> leak_test_should_panic)
            }
            _ => quote_spanned!(name.span()=> leak_test),
        };
        // The place of the call, which the report gives, is the name of the test.
        let krate = placed(&krate, name.span());
        let call = quote_spanned!(name.span()=> #krate::__private::#run(#case, #check, #future));
        self.signature.asyncness = None;
        self.body = Group::new(Delimiter::Brace, quote!(#pinned #call));
        self.below(&quote!(#[::core::prelude::v1::test]))
    }

    /// Makes a test of the function in which its body is run again and again.
    fn explored(
        mut self,
        others: &Others,
        krate: &Path,
        explore: &TokenStream,
        output: &Type,
    ) -> TokenStream {
        let name = self.signature.ident.clone();
        let case = self.case(krate);
        let run = if others.should_panic() {
            quote_spanned!(name.span()=> explored_test_should_panic)
        } else {
            quote_spanned!(name.span()=> explored_test)
        };
        let never = never(output);
        let body = &self.body;
        // Each run has arguments of its own.
        let mut clones = TokenStream::new();
        for input in &mut self.signature.inputs {
            if let FnArg::Typed(PatType { pat, .. }) = input {
                if let Pat::Ident(PatIdent {
                    ident, mutability, ..
                }) = &mut **pat
                {
                    let mutability = mutability.take();
                    clones.extend(quote! {
                        let #mutability #ident = ::core::clone::Clone::clone(&#ident);
                    });
                }
            }
        }
        let body = if self.signature.inputs.is_empty() {
            quote!(|| async { #never #body })
        } else {
            quote!(|| { #clones async move { #never #body } })
        };
        let krate = placed(krate, name.span());
        let call = quote_spanned! {name.span()=>
            #krate::__private::#run(#case, #explore, #body)
        };
        self.signature.asyncness = None;
        self.signature.output = ReturnType::Default;
        self.body = Group::new(Delimiter::Brace, call);
        self.below(&quote!(#[::core::prelude::v1::test]))
    }

    /// The name of the test.
    fn case(&self, krate: &Path) -> TokenStream {
        let name = &self.signature.ident;
        quote! {
            #krate::__private::TestCase {
                name: ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
            }
        }
    }

    /// The type of the output.
    fn output(&self) -> Type {
        match &self.signature.output {
            ReturnType::Default => parse_quote_spanned!(self.signature.ident.span()=> ()),
            ReturnType::Type(_, output) => (**output).clone(),
        }
    }
}

/// The path of `straggler`.
fn krate(options: &Options) -> Path {
    options
        .krate
        .clone()
        .unwrap_or_else(|| parse_quote!(::straggler))
}

/// Makes the future of the body and pins it.
fn pinned(krate: &Path, future: &Ident, output: &Type, body: &Group) -> TokenStream {
    if matches!(output, Type::Never(_)) || contains_impl_trait(output.to_token_stream()) {
        return quote! {
            let #future = ::core::pin::pin!(#krate::__private::Body::new(async #body));
        };
    }
    let never = never(output);
    // One type of future for all tests, so that what runs them is compiled once.
    quote! {
        let #future = async {
            #never
            #body
        };
        let #future: ::core::pin::Pin<&mut dyn #krate::__private::TestBody<Output = #output>> =
            ::core::pin::pin!(#krate::__private::Body::new(#future));
    }
}

/// The return that never happens gives the block its type, as an `async fn` has it: an error is boxed
/// where it is returned, and a mismatch is told at the expression that is wrong.
fn never(output: &Type) -> TokenStream {
    let place = Span::call_site().located_at(output.span());
    quote_spanned! {place=>
        if let ::core::option::Option::Some(output) = ::core::option::Option::<#output>::None {
            return output;
        }
    }
}

/// Whether `impl` stands anywhere in a type, which so has no name.
fn contains_impl_trait(output: TokenStream) -> bool {
    output.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => contains_impl_trait(group.stream()),
        _ => false,
    })
}

/// The same tokens, as if they stood at `span`.
fn placed(tokens: impl ToTokens, span: Span) -> TokenStream {
    let tokens = tokens.into_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens as one line without spaces.
    fn written(tokens: impl ToTokens) -> String {
        tokens
            .to_token_stream()
            .to_string()
            .replace([' ', '\n'], "")
    }

    /// What the compiler is told of a mistake, and what is left besides.
    fn mistaken(arguments: TokenStream, item: TokenStream) -> (usize, syn::ItemFn) {
        let expanded = leak_check(arguments, item);
        let file: syn::File = syn::parse2(expanded).expect("items");
        let (functions, errors): (Vec<_>, Vec<_>) = file
            .items
            .into_iter()
            .partition(|item| matches!(item, syn::Item::Fn(_)));
        let Ok([syn::Item::Fn(function)]) = <[_; 1]>::try_from(functions) else {
            panic!("one function is left");
        };
        (errors.len(), function)
    }

    #[test]
    fn the_test_is_there_in_spite_of_wrong_options() {
        let (errors, function) = mistaken(
            quote!(retries = 3, flavor = "multi_thread", start_paused = true),
            quote!(
                async fn name() {
                    body
                }
            ),
        );
        assert_eq!(errors, 2);
        assert!(function.sig.asyncness.is_none());
        assert!(written(&function.attrs[0]).ends_with("::test]"));
        assert!(written(&function).contains("{body}"));
    }

    #[test]
    fn a_function_that_cannot_be_a_test_is_left_alone() {
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
            let (errors, mut function) = mistaken(quote!(), item.clone());
            function.attrs.clear();
            assert_eq!(errors, 1);
            assert_eq!(written(&function), written(item));
        }
    }

    #[test]
    fn half_written_code_is_left_to_the_compiler() {
        let expanded = written(leak_check(
            quote!(),
            quote!(async fn name() { let x = ; x. }),
        ));
        assert!(expanded.contains("{letx=;x.}"), "{expanded}");
        assert!(!expanded.contains("compile_error"), "{expanded}");
    }

    #[test]
    fn what_is_no_function_is_left_alone() {
        let expanded = written(leak_check(
            quote!(),
            quote!(
                struct Name;
            ),
        ));
        assert!(expanded.starts_with("structName;"), "{expanded}");
        assert!(expanded.contains("compile_error"), "{expanded}");
    }

    #[test]
    fn attributes_that_run_first_are_handed_all_arguments() {
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
        assert_eq!(written(expanded), written(expected));
    }

    #[test]
    fn attributes_that_run_first_are_not_handed_mistakes() {
        let expanded = written(leak_check(
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
        assert!(expanded.starts_with(&written(expected)), "{expanded}");
        assert_eq!(expanded.matches("compile_error").count(), 1);
    }
}
