//! The attribute `#[leak_check]` of the crate `straggler`, which documents it.

mod args;
mod attributes;
mod errors;
mod expand;
mod options;
mod settings;

use proc_macro::TokenStream;

/// Fails a test that leaves tasks behind. Documented in the crate `straggler`, which exports it.
#[proc_macro_attribute]
pub fn leak_check(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::leak_check(arguments.into(), item.into()).into()
}
