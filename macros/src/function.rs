//! The function below the attribute.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{
    AttrStyle, Attribute, Error, FnArg, Pat, PatType, ReturnType, Signature, Type, Visibility,
    braced, parse_quote_spanned,
};

use crate::attributes::OtherAttributes;
use crate::options::Options;

/// A function whose body is not parsed.
///
/// The compiler explains a syntax error in the body better than syn, and does so for code that is
/// being typed.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// The body with its braces.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let inside;
        let braces = braced!(inside in input);
        // The body becomes an `async` block, and a block cannot have inner attributes.
        for attribute in inside.call(Attribute::parse_inner)? {
            attributes.push(Attribute {
                style: AttrStyle::Outer,
                ..attribute
            });
        }
        let mut body = Group::new(Delimiter::Brace, inside.parse()?);
        // Braces of the user's own would get `unused_braces` where the body is one expression.
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
    /// Checks that the function can be a test.
    pub(crate) fn check(&self, others: &OtherAttributes, options: &Options) -> syn::Result<()> {
        let signature = &self.signature;
        if signature.asyncness.is_none() {
            // `#[tokio::test]` above has made the function sync: "add `async`" would be no help.
            return Err(match others.expanded_test() {
                Some(span) => Error::new(
                    span,
                    "a test attribute above `#[straggler::test]` has already expanded: remove it, \
                     or move it below",
                ),
                None => Error::new_spanned(
                    signature.fn_token,
                    "`#[straggler::test]` requires an `async fn`",
                ),
            });
        }
        if !signature.inputs.is_empty() && !others.parametrised() {
            let message =
                "a test cannot take arguments unless `#[rstest]` or `#[test_case]` supplies them";
            return Err(Error::new_spanned(&signature.inputs, message));
        }
        let pattern = signature.inputs.iter().find(|input| !is_cloneable(input));
        if let (Some(pattern), true) = (pattern, options.is_explored()) {
            let message = format!(
                "`{}` clones each argument for each run: bind this one to a name and \
                 destructure it in the body",
                options.runs_by()
            );
            return Err(Error::new_spanned(pattern, message));
        }
        Ok(())
    }

    /// Returns the return type, without parentheses or invisible delimiters around it.
    pub(crate) fn output(&self) -> Type {
        let mut output = match &self.signature.output {
            ReturnType::Default => {
                return parse_quote_spanned!(self.signature.ident.span()=> ());
            }
            ReturnType::Type(_, output) => output,
        };
        loop {
            output = match &**output {
                // `$output:ty` of a `macro_rules!` macro.
                Type::Group(group) => &group.elem,
                Type::Paren(paren) => &paren.elem,
                output => return output.clone(),
            };
        }
    }

    /// Emits the function with one more attribute.
    ///
    /// It comes last, so that the compiler expands the others first and they see it.
    pub(crate) fn with_attribute(&self, last: &TokenStream) -> TokenStream {
        let Self {
            attributes,
            visibility,
            signature,
            body,
        } = self;
        quote!(#(#attributes)* #last #visibility #signature #body)
    }
}

/// Returns whether an argument binds one name or none, rather than parts of its value.
fn is_cloneable(input: &FnArg) -> bool {
    let FnArg::Typed(PatType { pat, .. }) = input else {
        return false;
    };
    match &**pat {
        Pat::Ident(pattern) => pattern.subpat.is_none(),
        pattern => matches!(pattern, Pat::Wild(_)),
    }
}
