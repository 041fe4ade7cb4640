//! The attributes and modules of a file, also those inside of macros.
//!
//! A macro may hold anything, so this reads tokens, not syntax: an item begins with its attributes and ends
//! with a `;`, a `,` or a block.

use std::ops::Range;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, Meta, MetaList, Token};

use crate::init::parsed::Parsed;

/// What a file consists of.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) modules: Vec<Module>,
    /// What is under `#[cfg(test)]`.
    tests_only: Vec<Range<usize>>,
}

/// An attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// What is between the brackets.
    pub(crate) content: TokenStream,
    /// Whether its item is built in tests alone.
    pub(crate) tests_only: bool,
    /// The macro that it is in, if its code may end up in another package.
    pub(crate) within: Option<Within>,
}

/// A macro whose code may end up in another package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// It has `#[macro_export]`.
    Exported,
    /// It makes tokens, such as `quote!`.
    Quoting,
}

/// A module in a file of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// The modules around it in the file.
    pub(crate) around: Vec<String>,
    pub(crate) name: String,
    /// The value of `#[path]`.
    pub(crate) path: Option<String>,
    pub(crate) tests_only: bool,
}

/// Macros that make tokens of what they are given.
const QUOTING: [&str; 5] = [
    "quote",
    "quote_spanned",
    "parse_quote",
    "parse_quote_spanned",
    "stringify",
];

/// Keywords of items, which may have a `,` before their end.
const ITEMS: [&str; 11] = [
    "const", "enum", "extern", "fn", "impl", "mod", "static", "struct", "trait", "type", "use",
];

/// What is around tokens.
#[derive(Clone, Debug, Default)]
struct Around {
    tests_only: bool,
    within: Option<Within>,
    modules: Vec<String>,
}

/// An item, or another piece of code that may have attributes.
#[derive(Debug, Default)]
struct Item {
    attributes: Vec<Group>,
    /// The attributes `#![..]` of what it is in.
    inner: Vec<Group>,
    rest: Vec<TokenTree>,
}

impl Outline {
    pub(crate) fn of(parsed: &Parsed) -> Self {
        let mut outline = Self::default();
        outline.walk(&parsed.tokens, Around::default(), parsed);
        outline
    }

    /// Whether a byte is under `#[cfg(test)]`.
    pub(crate) fn is_tests_only(&self, at: usize) -> bool {
        self.tests_only.iter().any(|range| range.contains(&at))
    }

    fn walk(&mut self, tokens: &TokenStream, mut around: Around, parsed: &Parsed) {
        for item in items(tokens) {
            if item.inner.iter().any(is_cfg_test) {
                around.tests_only = true;
                self.tests_only.push(parsed.range(span_of(tokens)));
            }
            self.item(&item, &around, parsed);
        }
    }

    fn item(&mut self, item: &Item, around: &Around, parsed: &Parsed) {
        let mut inside = around.clone();
        if item.attributes.iter().any(is_cfg_test) {
            inside.tests_only = true;
            let rest = item.rest.iter().cloned().collect();
            self.tests_only.push(parsed.range(span_of(&rest)));
        }
        let attributes = item.attributes.iter().map(|attribute| Attribute {
            content: attribute.stream(),
            tests_only: inside.tests_only,
            within: around.within,
        });
        self.attributes.extend(attributes);
        if let Some((name, has_file)) = module(&item.rest) {
            if has_file {
                self.modules.push(Module {
                    around: around.modules.clone(),
                    name,
                    path: item.attributes.iter().find_map(path),
                    tests_only: inside.tests_only,
                });
                return;
            }
            inside.modules.push(name);
        }
        for (index, token) in item.rest.iter().enumerate() {
            if let TokenTree::Group(group) = token {
                let mut inside = inside.clone();
                inside.within = inside
                    .within
                    .or_else(|| within(&item.rest[..index], &item.attributes));
                self.walk(&group.stream(), inside, parsed);
            }
        }
    }
}

/// Splits tokens into items.
fn items(tokens: &TokenStream) -> Vec<Item> {
    let mut items = Vec::new();
    let mut item = Item::default();
    let mut tokens = tokens.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_punct(&token, '#') && item.rest.is_empty() {
            let is_inner = tokens.next_if(|next| is_punct(next, '!')).is_some();
            if let Some(TokenTree::Group(attribute)) = tokens.next_if(is_brackets) {
                let attributes = if is_inner {
                    &mut item.inner
                } else {
                    &mut item.attributes
                };
                attributes.push(attribute);
            }
            continue;
        }
        let ends = match &token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                !item.rest.iter().any(|token| is_one_of(token, &ITEMS))
            }
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        item.rest.push(token);
        if ends {
            items.push(std::mem::take(&mut item));
        }
    }
    items.push(item);
    items
}

/// The module that an item is, and whether it has a file of its own.
fn module(rest: &[TokenTree]) -> Option<(String, bool)> {
    rest.windows(3).find_map(|tokens| match tokens {
        [keyword, TokenTree::Ident(name), end] if is_one_of(keyword, &["mod"]) => {
            let has_file = is_punct(end, ';');
            let is_block = matches!(end, TokenTree::Group(_));
            (has_file || is_block).then(|| (name.unraw().to_string(), has_file))
        }
        _ => None,
    })
}

/// The macro whose block follows after `before`.
fn within(before: &[TokenTree], attributes: &[Group]) -> Option<Within> {
    match before {
        [.., name, mark] if is_punct(mark, '!') && is_one_of(name, &QUOTING) => {
            Some(Within::Quoting)
        }
        [.., keyword, mark, TokenTree::Ident(_)]
            if is_punct(mark, '!') && is_one_of(keyword, &["macro_rules"]) =>
        {
            let is_exported = attributes.iter().any(|attribute| {
                let mut tokens = attribute.stream().into_iter();
                tokens
                    .next()
                    .is_some_and(|first| is_one_of(&first, &["macro_export"]))
            });
            is_exported.then_some(Within::Exported)
        }
        _ => None,
    }
}

/// The value of a `#[path]`.
fn path(attribute: &Group) -> Option<String> {
    let Ok(Meta::NameValue(meta)) = syn::parse2::<Meta>(attribute.stream()) else {
        return None;
    };
    match meta.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(path),
            ..
        }) if meta.path.is_ident("path") => Some(path.value()),
        _ => None,
    }
}

/// Whether an attribute is a `cfg` that holds in tests alone.
fn is_cfg_test(attribute: &Group) -> bool {
    let Ok(Meta::List(list)) = syn::parse2::<Meta>(attribute.stream()) else {
        return false;
    };
    let predicate = list.parse_args::<Meta>();
    list.path.is_ident("cfg") && predicate.is_ok_and(|predicate| needs_test(&predicate))
}

/// Whether a predicate of `cfg` holds in tests alone.
pub(crate) fn needs_test(predicate: &Meta) -> bool {
    match predicate {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => parts(list).iter().any(needs_test),
        Meta::List(list) if list.path.is_ident("any") => {
            let parts = parts(list);
            !parts.is_empty() && parts.iter().all(needs_test)
        }
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

/// The parts of a list such as `all(..)`: none if one of them is something else.
fn parts(list: &MetaList) -> Vec<Meta> {
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    parts.into_iter().flatten().collect()
}

fn span_of(tokens: &TokenStream) -> proc_macro2::Span {
    syn::spanned::Spanned::span(tokens)
}

fn is_brackets(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

pub(crate) fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_one_of(token: &TokenTree, names: &[&str]) -> bool {
    let is = |ident: &Ident| names.iter().any(|name| ident == name);
    matches!(token, TokenTree::Ident(ident) if is(ident))
}

#[cfg(test)]
mod tests {
    use super::{Module, Outline, Within};
    use crate::init::parsed::Parsed;

    fn outline(text: &str) -> Outline {
        Outline::of(&Parsed::of(text.to_owned()).unwrap())
    }

    /// Each attribute whose name is `here`, with what is around it.
    fn here(text: &str) -> Vec<(bool, Option<Within>)> {
        let attributes = outline(text).attributes.into_iter();
        attributes
            .filter(|attribute| attribute.content.to_string() == "here")
            .map(|attribute| (attribute.tests_only, attribute.within))
            .collect()
    }

    #[test]
    fn cfg_test_covers_its_item() {
        for (text, tests_only) in [
            ("#[here] fn a() {}", false),
            ("#[cfg(test)] fn a() {} #[here] fn b() {}", false),
            ("#[cfg(test)] mod a { mod b { #[here] fn c() {} } }", true),
            ("#[here] #[cfg(test)] fn a() {}", true),
            ("#![cfg(test)] #[here] fn a() {}", true),
            ("mod a { #![cfg(test)] #[here] fn a() {} }", true),
            (
                "#[cfg(all(test, feature = \"a\"))] mod a { #[here] fn b() {} }",
                true,
            ),
            (
                "#[cfg(any(test, feature = \"a\"))] mod a { #[here] fn b() {} }",
                false,
            ),
            ("#[cfg(not(test))] mod a { #[here] fn b() {} }", false),
            (
                "#[cfg(test)] impl<A, B> C<A, B> { #[here] fn d() {} }",
                true,
            ),
            ("#[cfg(test)] use a::{b, c}; #[here] fn d() {}", false),
            (
                "#[cfg(test)] const A: [u8; 2] = [1, 2]; #[here] fn b() {}",
                false,
            ),
            ("#[cfg(test)] tests! { #[here] async fn a() {} }", true),
            ("enum A { #[cfg(test)] B, #[here] C }", false),
        ] {
            assert_eq!(here(text), [(tests_only, None)], "{text}");
        }
    }

    #[test]
    fn bytes_under_cfg_test_are_known() {
        let text = "fn a() {} #[cfg(test)] mod b { fn c() {} }";
        let outline = outline(text);
        assert!(!outline.is_tests_only(text.find("a()").unwrap()));
        assert!(outline.is_tests_only(text.find("c()").unwrap()));
    }

    #[test]
    fn macros_whose_code_leaves_the_package_are_named() {
        for (text, within) in [
            ("macro_rules! a { () => { #[here] fn a() {} }; }", None),
            (
                "#[macro_export] macro_rules! a { () => { #[here] fn a() {} }; }",
                Some(Within::Exported),
            ),
            (
                "fn a() { quote! { #[here] fn a() {} }; }",
                Some(Within::Quoting),
            ),
            ("a! { #[here] fn a() {} }", None),
        ] {
            assert_eq!(here(text), [(false, within)], "{text}");
        }
    }

    #[test]
    fn modules_in_files_are_found() {
        let text = "
            mod a;
            #[cfg(test)]
            #[path = \"elsewhere/b.rs\"]
            pub(crate) mod b;
            mod c { cfg_rt! { mod r#d; } }
            mod e {}
        ";
        let module = |around: &[&str], name: &str, path: Option<&str>, tests_only| Module {
            around: around.iter().map(|&name| name.to_owned()).collect(),
            name: name.to_owned(),
            path: path.map(str::to_owned),
            tests_only,
        };
        let expected = [
            module(&[], "a", None, false),
            module(&[], "b", Some("elsewhere/b.rs"), true),
            module(&["c"], "d", None, false),
        ];
        assert_eq!(outline(text).modules, expected);
    }
}
