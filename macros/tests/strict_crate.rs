//! The expansion compiles in a crate without a prelude, with another `core`, and with lints that
//! cannot be allowed again.

#![no_implicit_prelude]
#![forbid(unsafe_code, unused, warnings, future_incompatible, nonstandard_style)]
#![forbid(
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_docs,
    redundant_lifetimes,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![forbid(clippy::all, clippy::pedantic, clippy::nursery)]

extern crate std as core;

use ::std::result::Result::{self, Ok};

#[::straggler::test]
async fn no_option() {
    ::tokio::task::yield_now().await;
}

#[::straggler::test(
    flavor = "multi_thread",
    worker_threads = 1,
    name = "name",
    grace = "1s",
    timeout = "10s",
    allow = 1,
    allow("a", "b" = 2)
)]
async fn multi_thread_options() -> Result<(), ::std::fmt::Error> {
    ::tokio::task::yield_now().await;
    Ok(())
}

#[::straggler::test(flavor = "local", start_paused = true, timeout = "none")]
async fn local_options() {
    ::tokio::task::yield_now().await;
}

#[::straggler::test(explore = 2)]
async fn explored() -> Result<(), ::std::fmt::Error> {
    ::tokio::task::yield_now().await;
    Ok(())
}

#[::straggler::test]
async fn impl_trait() -> impl ::std::process::Termination {
    ::std::process::ExitCode::SUCCESS
}

#[::straggler::test]
#[should_panic(expected = "as it should")]
async fn should_panic() {
    ::std::panic!("as it should");
}

#[::straggler::checkpoints]
async fn function_with_checkpoints() -> Result<u8, ::std::fmt::Error> {
    let seven = async { Ok(7) }.await?;
    Ok(seven)
}

struct Number(u8);

#[::straggler::checkpoints]
impl Number {
    async fn read() -> Self {
        Self(::core::future::ready(7).await)
    }

    #[cfg(any())]
    async fn absent() {
        ::core::future::ready(()).await;
    }
}

#[::straggler::checkpoints]
impl Number {
    async fn value(self) -> u8 {
        ::core::future::ready(self.0).await
    }
}

#[::straggler::checkpoints]
mod module_with_checkpoints {
    #[cfg(any())]
    async fn absent() {
        ::core::future::ready(()).await;
    }

    #[::straggler::test]
    async fn present() {
        ::tokio::task::yield_now().await;
    }
}

#[::straggler::checkpoints]
mod module_without_await {
    #[cfg(any())]
    async fn absent() {
        ::core::future::ready(()).await;
    }
}

#[::straggler::test]
async fn code_with_checkpoints() -> Result<(), ::std::fmt::Error> {
    let number = Number::read().await.value().await;
    ::std::assert_eq!(number, function_with_checkpoints().await?);
    Ok(())
}
