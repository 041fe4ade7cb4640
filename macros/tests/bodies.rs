//! The bodies and return types of a test, with the strictest lints on the expansion.

#![deny(warnings, unused)]
#![deny(clippy::pedantic, clippy::nursery)]

use std::error::Error;
use std::fmt;
use std::process::{ExitCode, Termination};

#[straggler::test]
async fn empty() {}

#[straggler::test]
async fn one_expression() {
    std::future::ready(()).await;
}

#[rustfmt::skip]
#[straggler::test]
async fn one_expression_on_one_line() { std::future::ready(()).await }

#[straggler::test]
async fn items() {
    use std::future::ready;
    const SEVEN: u8 = 7;
    async fn seven() -> u8 {
        tokio::task::yield_now().await;
        SEVEN
    }

    assert_eq!(seven().await, ready(7).await);
}

#[straggler::test]
async fn early_return() {
    if tokio::task::try_id().is_none() {
        return;
    }
    unreachable!();
}

#[straggler::test]
async fn question_mark_converts_error() -> Result<(), Box<dyn Error>> {
    let seven: u8 = "7".parse()?;
    tokio::task::yield_now().await;
    assert_eq!(seven, 7);
    Ok(())
}

#[straggler::test]
async fn returned_error_coerces_to_box() -> Result<(), Box<dyn Error + Send + Sync>> {
    tokio::task::yield_now().await;
    if tokio::task::try_id().is_some() {
        return Err(Box::new(fmt::Error));
    }
    Ok(())
}

#[straggler::test]
async fn plain_error() -> fmt::Result {
    let mut text = String::new();
    fmt::Write::write_str(&mut text, "7")?;
    Ok(())
}

#[straggler::test]
async fn exit_code() -> ExitCode {
    ExitCode::SUCCESS
}

#[straggler::test]
async fn impl_trait() -> impl Termination {
    ExitCode::SUCCESS
}

#[straggler::test]
async fn result_of_impl_trait() -> Result<impl Termination, fmt::Error> {
    tokio::task::yield_now().await;
    Ok(ExitCode::SUCCESS)
}

#[straggler::test]
async fn tuple_of_impl_trait() -> Result<(), (impl fmt::Debug, u8)> {
    tokio::task::yield_now().await;
    Ok::<(), (fmt::Error, u8)>(())
}

#[straggler::test]
async fn lifetime<'a>() -> Result<(), &'a str> {
    tokio::task::yield_now().await;
    Ok(())
}

#[straggler::test]
async fn calls_function_of_same_name() {
    async fn calls_function_of_same_name() {
        tokio::task::yield_now().await;
    }

    calls_function_of_same_name().await;
}

#[straggler::test(
    flavor = "multi_thread",
    worker_threads = 2,
    name = "workers",
    allow = 1
)]
async fn multi_thread_options() {
    tokio::task::yield_now().await;
}

#[straggler::test(flavor = "local", start_paused = true, grace = "1s", allow("tests" = 3, "src"))]
async fn local_options() {
    tokio::task::yield_now().await;
}

#[straggler::test(explore = 2)]
async fn explored() {
    tokio::task::yield_now().await;
}

#[straggler::test(explore = 2)]
async fn explored_result() -> Result<(), Box<dyn Error>> {
    let seven: u8 = "7".parse()?;
    tokio::task::yield_now().await;
    assert_eq!(seven, 7);
    Ok(())
}

#[straggler::test]
#[should_panic(expected = "as it should")]
async fn should_panic_body() {
    panic!("as it should");
}
