//! The attributes `#[straggler::test]` and `#[straggler::checkpoints]`. The crate `straggler` exports and documents them.

mod args;
mod attributes;
mod checkpoints;
mod errors;
mod expand;
mod function;
mod generate;
mod options;
mod settings;
mod spec;
mod value;

use proc_macro::TokenStream;

/// Fails an async test if anything it started is still running when it ends.
///
/// See `straggler::test` for the arguments. `#[leak_check]` is an alias of `#[straggler::test]`.
#[proc_macro_attribute]
pub fn leak_check(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::leak_check(arguments.into(), item.into()).into()
}

/// Adds a checkpoint before each `.await`.
///
/// See `straggler::checkpoints` for what it does, and where it may stand.
#[proc_macro_attribute]
pub fn checkpoints(arguments: TokenStream, item: TokenStream) -> TokenStream {
    checkpoints::checkpoints(arguments.into(), item.into()).into()
}

/// `#[tokio::test]` in a suite that `cargo straggler` runs. Not part of the API.
///
/// There, the crate `tokio` contains straggler. So `crate`, which is a path of tokio, leads to it.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn tokio_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::tokio_test(arguments.into(), item.into()).into()
}
