//! The arguments of `#[tokio::test]`, and which of them `#[straggler::test]` takes too.

use proc_macro2::Group;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit, Meta, MetaNameValue, Token};

use crate::init::edit::Edit;
use crate::init::parsed::Parsed;

/// The edits that make the arguments those of `#[straggler::test]`.
///
/// # Errors
///
/// Returns why there are none.
pub(crate) fn convert(arguments: &Group, parsed: &Parsed) -> Result<Vec<Edit>, String> {
    let Some(metas) = parse(arguments) else {
        return Err("its arguments are known only when a macro expands".to_owned());
    };
    for meta in &metas {
        if !is_taken(meta) {
            let meta = &parsed.text[parsed.range(meta.span())];
            return Err(format!("`#[straggler::test]` does not take `{meta}`"));
        }
    }
    // It is a path of tokio. For `#[straggler::test]` it would be one of straggler, which it finds alone.
    let index = metas.iter().position(|meta| meta.path().is_ident("crate"));
    Ok(index
        .map(|index| remove(&metas, index, arguments, parsed))
        .into_iter()
        .collect())
}

/// The arguments of an attribute. `None` if they are something else.
pub(crate) fn parse(arguments: &Group) -> Option<Vec<Meta>> {
    let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
    let metas = parse.parse2(arguments.stream()).ok()?;
    Some(metas.into_iter().collect())
}

/// Removes an argument with the comma and the space between it and the next one.
fn remove(metas: &[Meta], index: usize, arguments: &Group, parsed: &Parsed) -> Edit {
    let range = |meta: &Meta| parsed.range(meta.span());
    Edit::remove(match metas {
        [_] => parsed.range(arguments.span()),
        _ if index + 1 < metas.len() => range(&metas[index]).start..range(&metas[index + 1]).start,
        _ => range(&metas[index - 1]).end..range(&metas[index]).end,
    })
}

/// Whether both attributes take an argument. `macros/src/spec.rs` has those of straggler's.
fn is_taken(argument: &Meta) -> bool {
    let Meta::NameValue(MetaNameValue {
        path,
        value: Expr::Lit(ExprLit { lit, .. }),
        ..
    }) = argument
    else {
        return false;
    };
    let name = path.get_ident().map(ToString::to_string);
    match (name.as_deref(), lit) {
        (Some("flavor"), Lit::Str(flavor)) => {
            ["current_thread", "multi_thread", "local"].contains(&&*flavor.value())
        }
        (Some("unhandled_panic"), Lit::Str(behavior)) => {
            ["ignore", "shutdown_runtime"].contains(&&*behavior.value())
        }
        (Some("name" | "crate"), Lit::Str(_))
        | (Some("start_paused"), Lit::Bool(_))
        | (Some("worker_threads"), Lit::Int(_)) => true,
        _ => false,
    }
}
