//! Generates the test.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Pat, PatIdent, PatType, Path, ReturnType, Type};

use crate::attributes::OtherAttributes;
use crate::function::Function;
use crate::options::{Flavor, Options};
use crate::settings;

/// Makes a test of the function.
pub(crate) fn test(
    mut function: Function,
    others: &OtherAttributes,
    options: &Options,
) -> TokenStream {
    let krate = options.krate();
    let check = settings::check(&krate, options);
    let statements = match settings::explore(options) {
        Some(explore) => {
            let explore = quote!(#check #explore);
            let call = explored_test(&mut function, others, &krate, &explore);
            // `explored_test` reports the error of a run itself.
            function.signature.output = ReturnType::Default;
            call
        }
        None => checked_test(&function, others, options, &check),
    };
    function.signature.asyncness = None;
    function.body = Group::new(Delimiter::Brace, statements);
    function.with_attribute(&quote!(#[::core::prelude::v1::test]))
}

/// Generates the body of a test that runs once.
fn checked_test(
    function: &Function,
    others: &OtherAttributes,
    options: &Options,
    check: &TokenStream,
) -> TokenStream {
    let krate = &options.krate();
    let name = &function.signature.ident;
    let case = case(krate, name);
    let output = function.output();
    let body = &function.body;
    let hint = return_type_hint(krate, &output);
    // No `let`: the pattern would resolve to a constant of that name in the test's module.
    let body = quote!(::std::boxed::Box::pin(async { #hint #body }));
    if is_explorable(function, others, options) {
        // `cargo straggler explore` runs the body several times.
        let name_span = name.span();
        let krate = respan(krate, name_span);
        let arguments = quote!(#case, #check, &mut || #body);
        return quote_spanned!(name_span=> #krate::__private::suite_test(#arguments));
    }
    // With another return type, `#[should_panic]` does not compile: rustc explains that best.
    let run = match &output {
        Type::Tuple(fields) if fields.elems.is_empty() && others.should_panic() => {
            quote_spanned!(name.span()=> leak_test_should_panic)
        }
        _ => quote_spanned!(name.span()=> leak_test),
    };
    let arguments = quote!(#case, #check, #body);
    // `#[track_caller]` takes the place of the test from this call: it has to be the name.
    let krate = respan(krate, name.span());
    quote_spanned!(name.span()=> #krate::__private::#run(#arguments))
}

/// Returns whether `cargo straggler explore` can run the test more than once: a test of a tokio that contains
/// straggler, without arguments, which it would consume, and on a plain current-thread runtime.
fn is_explorable(function: &Function, others: &OtherAttributes, options: &Options) -> bool {
    let krate = options.krate();
    let is_in_tokio = krate
        .segments
        .last()
        .is_some_and(|last| last.ident == "__straggler");
    is_in_tokio
        && options.flavor() == Flavor::CurrentThread
        && function.signature.inputs.is_empty()
        && !others.should_panic()
}

/// Generates the body of a test that runs once for each schedule.
fn explored_test(
    function: &mut Function,
    others: &OtherAttributes,
    krate: &Path,
    explore: &TokenStream,
) -> TokenStream {
    let name = function.signature.ident.clone();
    let case = case(krate, &name);
    let run = if others.should_panic() {
        quote_spanned!(name.span()=> explored_test_should_panic)
    } else {
        quote_spanned!(name.span()=> explored_test)
    };
    let hint = return_type_hint(krate, &function.output());
    let clones = clone_arguments(function);
    let body = &function.body;
    // The future owns the clones of its run, hence `move`.
    let body = quote!(|| { #clones async move { #hint #body } });
    let krate = respan(krate, name.span());
    quote_spanned!(name.span()=> #krate::__private::#run(#case, #explore, #body))
}

/// Generates a clone of each argument, and moves the `mut` of the argument there.
fn clone_arguments(function: &mut Function) -> TokenStream {
    let mut clones = TokenStream::new();
    for input in &mut function.signature.inputs {
        // `Function::check` has rejected every other pattern that binds a name.
        let FnArg::Typed(PatType { pat, .. }) = input else {
            continue;
        };
        let Pat::Ident(PatIdent {
            ident, mutability, ..
        }) = &mut **pat
        else {
            continue;
        };
        // The argument itself is only cloned from: its `mut` would be unused.
        let mutability = mutability.take();
        clones.extend(quote! {
            let #mutability #ident = ::core::clone::Clone::clone(&#ident);
        });
    }
    clones
}

/// Generates the name of the test, as the test harness prints it.
fn case(krate: &Path, name: &Ident) -> TokenStream {
    quote! {
        #krate::__private::TestCase {
            name: ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
        }
    }
}

/// Generates a `return` that never happens and gives the `async` block its type.
///
/// With it `?` and boxed errors coerce as in an `async fn`, and the compiler reports a mismatch at
/// the expression that is wrong. A type that has no name gets no hint.
fn return_type_hint(krate: &Path, output: &Type) -> TokenStream {
    if !is_nameable(output) {
        return TokenStream::new();
    }
    let place = Span::call_site().located_at(output.span());
    let krate = respan(krate, place);
    quote_spanned! {place=>
        if false {
            return #krate::__private::returned::<#output>();
        }
    }
}

/// Returns whether a type can be written outside a signature.
fn is_nameable(output: &Type) -> bool {
    !matches!(output, Type::Never(_)) && !contains_impl_trait(output.to_token_stream())
}

/// Returns whether a type contains `impl Trait`, which has no name.
fn contains_impl_trait(output: TokenStream) -> bool {
    output.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => contains_impl_trait(group.stream()),
        _ => false,
    })
}

/// Sets the span of every token.
fn respan(tokens: impl ToTokens, span: Span) -> TokenStream {
    let tokens = tokens.into_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}
