//! Expands `#[straggler::checkpoints]`: rewrites `.await`, and parses nothing else.
//!
//! The body stays a sequence of tokens. So an `.await` in the arguments of a macro is found too, and the
//! compiler explains a syntax error better than syn.

use proc_macro2::{Delimiter, Group, Ident, Punct, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, LitStr, Path, Result, Token, parse_quote};

use crate::errors::Errors;

/// The method that wraps what is awaited. A name that no type has: its own method would take precedence.
const METHOD: &str = "__straggler_checkpoint";

/// Expands the attribute. The item is emitted in spite of errors.
pub(crate) fn checkpoints(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let krate = errors.ok(krate.parse2(arguments));
    let krate = krate.unwrap_or_else(|| parse_quote!(::straggler));
    // The constant uses the import even where a `#[cfg]` removes each `.await`: a crate may forbid `allow`.
    let import = quote! {
        use #krate::__private::BeforeAwait as __StragglerBeforeAwait;
        const _: () = <() as __StragglerBeforeAwait>::IS_IMPORTED;
    };
    let expanded = errors.ok(expand(&item, &import)).unwrap_or(item);
    quote!(#expanded #errors)
}

/// Parses the only argument, the path of straggler.
fn krate(input: ParseStream<'_>) -> Result<Path> {
    if input.is_empty() {
        return Ok(parse_quote!(::straggler));
    }
    let parse = || {
        input.parse::<Token![crate]>()?;
        input.parse::<Token![=]>()?;
        let path: LitStr = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        path.parse_with(Path::parse_mod_style)
    };
    parse().map_err(|error: Error| {
        let message = "`#[straggler::checkpoints]` takes no argument but the path of straggler, as in \
                       `crate = \"..\"`";
        Error::new(error.span(), message)
    })
}

fn expand(item: &TokenStream, import: &TokenStream) -> Result<TokenStream> {
    let mut tokens: Vec<_> = ungrouped(item.clone()).into_iter().collect();
    let kind = Kind::of(&tokens)?;
    let Some(body) = body(tokens.pop().as_ref()) else {
        let last = item.clone().into_iter().last();
        let span = last.map_or_else(Span::call_site, |last| last.span());
        return Err(Error::new(span, kind.without_body()));
    };
    let body = match kind {
        Kind::Impl => group(&body, in_functions(body.stream(), import)),
        Kind::Function | Kind::Module => scope(&body, import),
    };
    tokens.push(body.into());
    Ok(tokens.into_iter().collect())
}

/// Rewrites the bodies of functions between the braces of an `impl`, where a `use` cannot stand.
fn in_functions(tokens: TokenStream, import: &TokenStream) -> TokenStream {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rewritten = TokenStream::new();
    let mut is_in_signature = false;
    for (index, token) in tokens.iter().enumerate() {
        is_in_signature |= matches!(token, TokenTree::Ident(word) if word == "fn");
        let ends_signature = match tokens.get(index + 1) {
            // Behind the braces of a constant, as in `Array<{ 1 + 1 }>`.
            Some(TokenTree::Punct(mark)) => !matches!(mark.as_char(), ',' | '>'),
            _ => true,
        };
        let body = body(Some(token)).filter(|_| is_in_signature && ends_signature);
        is_in_signature &= body.is_none();
        let body = body.map(|body| scope(&body, import).into());
        rewritten.extend([body.unwrap_or_else(|| token.clone())]);
    }
    rewritten
}

/// Rewrites the body of a function or a module.
fn scope(body: &Group, import: &TokenStream) -> Group {
    let inside = rewrite(body.stream(), import);
    match inside.tokens {
        tokens if inside.needs_import => group(body, with_import(tokens, import)),
        tokens if inside.is_changed => group(body, tokens),
        _ => body.clone(),
    }
}

/// The kind of an item.
#[derive(Clone, Copy)]
enum Kind {
    Function,
    Impl,
    Module,
}

impl Kind {
    fn of(tokens: &[TokenTree]) -> Result<Self> {
        let mut rest = tokens;
        while let [TokenTree::Punct(mark), TokenTree::Group(_), after @ ..] = rest {
            if mark.as_char() != '#' {
                break;
            }
            rest = after;
        }
        let first = rest.first().map_or_else(Span::call_site, TokenTree::span);
        for token in rest {
            match token {
                TokenTree::Ident(word) => match &*word.to_string() {
                    "fn" => return Ok(Self::Function),
                    "impl" => return Ok(Self::Impl),
                    "mod" => return Ok(Self::Module),
                    "pub" | "default" | "const" | "async" | "unsafe" | "safe" | "extern" => {}
                    _ => break,
                },
                // `pub(crate)`, `extern "C"`, and `$vis` of a `macro_rules!` macro.
                TokenTree::Group(_) | TokenTree::Literal(_) => {}
                TokenTree::Punct(_) => break,
            }
        }
        Err(Error::new(
            first,
            "`#[straggler::checkpoints]` requires a function, an `impl` block or an inline module",
        ))
    }

    fn without_body(self) -> &'static str {
        match self {
            Self::Module => {
                "`#[straggler::checkpoints]` requires an inline module: in this file it sees no `.await`"
            }
            Self::Function | Self::Impl => {
                "`#[straggler::checkpoints]` requires a function with a body"
            }
        }
    }
}

/// The braces at the end of an item.
fn body(last: Option<&TokenTree>) -> Option<Group> {
    // `$body:block` of a `macro_rules!` macro has invisible delimiters.
    let mut last = ungrouped(last.to_token_stream()).into_iter();
    match (last.next(), last.next()) {
        (Some(TokenTree::Group(body)), None) if body.delimiter() == Delimiter::Brace => Some(body),
        _ => None,
    }
}

/// Removes the invisible delimiters around a fragment of a `macro_rules!` macro.
fn ungrouped(tokens: TokenStream) -> TokenStream {
    let mut all = tokens.clone().into_iter();
    match (all.next(), all.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => {
            ungrouped(group.stream())
        }
        _ => tokens,
    }
}

/// Tokens in which each `.await` is rewritten.
struct Rewritten {
    tokens: TokenStream,
    is_changed: bool,
    /// Whether the scope around them has to import the trait.
    needs_import: bool,
}

fn rewrite(tokens: TokenStream, import: &TokenStream) -> Rewritten {
    use TokenTree::{Group as Grouped, Ident as Word, Punct as Mark};

    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rewritten = Vec::with_capacity(tokens.len());
    let (mut is_changed, mut needs_import) = (false, false);
    let mut rest = &*tokens;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            // The macro may be used where the trait is not imported.
            (
                Word(word),
                [
                    bang @ Mark(_),
                    name @ Word(_),
                    rules @ Grouped(_),
                    after @ ..,
                ],
            ) if word == "macro_rules" => {
                rewritten.extend([first, bang, name, rules].map(Clone::clone));
                rest = after;
            }
            // A module does not see what the scope around it imports.
            (Word(word), [name @ Word(_), Grouped(body), after @ ..])
                if word == "mod" && body.delimiter() == Delimiter::Brace =>
            {
                is_changed = true;
                let body = scope(body, import);
                rewritten.extend([first.clone(), name.clone(), body.into()]);
                rest = after;
            }
            (Mark(dot), [Word(word), ..])
                if dot.as_char() == '.' && word == "await" && ends_operand(rewritten.last()) =>
            {
                rewritten.extend(call(dot, word.span()));
                rewritten.push(first.clone());
                (is_changed, needs_import) = (true, true);
            }
            (Grouped(outer), _) => {
                let inside = rewrite(outer.stream(), import);
                is_changed |= inside.is_changed;
                needs_import |= inside.needs_import;
                rewritten.push(if inside.is_changed {
                    group(outer, inside.tokens).into()
                } else {
                    first.clone()
                });
            }
            _ => rewritten.push(first.clone()),
        }
    }
    Rewritten {
        tokens: rewritten.into_iter().collect(),
        is_changed,
        needs_import,
    }
}

/// Whether the expression that is awaited may end with this token. In the arguments of a macro `.await` may be
/// something else.
fn ends_operand(token: Option<&TokenTree>) -> bool {
    match token {
        Some(TokenTree::Punct(mark)) => matches!(mark.as_char(), '?' | '>'),
        token => token.is_some(),
    }
}

/// Generates the call that goes before `.await`, with its place.
fn call(dot: &Punct, span: Span) -> [TokenTree; 3] {
    let mut arguments = Group::new(Delimiter::Parenthesis, TokenStream::new());
    arguments.set_span(span);
    [
        dot.clone().into(),
        Ident::new(METHOD, span).into(),
        arguments.into(),
    ]
}

/// Rebuilds a group around other tokens.
fn group(like: &Group, tokens: TokenStream) -> Group {
    let mut group = Group::new(like.delimiter(), tokens);
    group.set_span(like.span());
    group
}

/// Imports the trait, after the attributes such as `#![allow(..)]` that have to come first.
fn with_import(tokens: TokenStream, import: &TokenStream) -> TokenStream {
    let mut tokens: Vec<_> = tokens.into_iter().collect();
    let mut attributes = 0;
    while let [
        TokenTree::Punct(hash),
        TokenTree::Punct(bang),
        TokenTree::Group(_),
        ..,
    ] = &tokens[attributes..]
    {
        if hash.as_char() != '#' || bang.as_char() != '!' {
            break;
        }
        attributes += 3;
    }
    let rest: TokenStream = tokens.drain(attributes..).collect();
    quote!(#(#tokens)* #import #rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expands the attribute without arguments, and returns what it adds as `_`.
    fn expand(item: TokenStream) -> String {
        let expanded = checkpoints(TokenStream::new(), item).to_string();
        let import = quote! {
            use ::straggler::__private::BeforeAwait as __StragglerBeforeAwait;
            const _: () = <() as __StragglerBeforeAwait>::IS_IMPORTED;
        };
        expanded
            .replace(&import.to_string(), "import")
            .replace("__straggler_checkpoint ()", "_")
            .replace(' ', "")
    }

    #[test]
    fn await_rewritten_at_any_depth() {
        let expanded = expand(quote!(
            #[doc = ".await"]
            async fn a(b: [u8; { 0 }]) {
                #![allow(unused)]
                c?.await;
                d!(e::<f>.await, { g.await }[0].await => "h.await");
                self.r#await.awaited()
            }
        ));
        let body = "#![allow(unused)]importc?._.await;\
                    d!(e::<f>._.await,{g._.await}[0]._.await=>\"h.await\");self.r#await.awaited()";
        assert_eq!(
            expanded,
            format!("#[doc=\".await\"]asyncfna(b:[u8;{{0}}]){{{body}}}")
        );
    }

    #[test]
    fn trait_imported_once_for_each_module() {
        let expanded = expand(quote!(
            mod a {
                mod b {
                    mod c {
                        async fn d() {
                            e.await
                        }
                    }
                }
                mod f {}
            }
        ));
        assert_eq!(
            expanded,
            "moda{modb{modc{importasyncfnd(){e._.await}}}modf{}}"
        );
        let expanded = expand(quote!(unsafe impl a {
            const A: b<{ c.await }> = d;
            async fn b() -> [c<{ d }, { e }>; { f }]
            where
                a<{ b }>: c,
            {
                c.await
            }
            fn d() {}
        }));
        assert_eq!(
            expanded,
            "unsafeimpla{constA:b<{c.await}>=d;asyncfnb()->[c<{d},{e}>;{f}]wherea<{b}>:c,\
             {importc._.await}fnd(){}}"
        );
    }

    #[test]
    fn what_awaits_nothing_is_emitted_unchanged() {
        for item in [
            quote!(
                fn a() {}
            ),
            quote!(
                fn a() {
                    b!(.await, c: .await, d; .await);
                }
            ),
            quote!(impl a { macro_rules! b { ($c:expr) => { $c.await }; } }),
            quote!(
                mod a {
                    macro_rules! b {
                        ($c:expr) => {
                            $c.await
                        };
                    }
                }
            ),
        ] {
            assert_eq!(expand(item.clone()), item.to_string().replace(' ', ""));
        }
    }

    #[test]
    fn invalid_item_is_emitted_unchanged() {
        for item in [
            quote!(
                mod a;
            ),
            quote!(
                fn a();
            ),
            quote!(
                use a;
            ),
            quote!(),
        ] {
            let expanded = expand(item.clone());
            let item = item.to_string().replace(' ', "");
            assert!(expanded.starts_with(&item), "{expanded}");
            assert_eq!(expanded.matches("compile_error").count(), 1, "{expanded}");
        }
    }
}
