//! What a test may return and how it may end, under the strictest lints.

#![deny(warnings, unused)]
#![deny(clippy::pedantic, clippy::nursery)]

use std::error::Error;
use std::fmt;
use std::process::{ExitCode, Termination};

use straggler::leak_check;

#[leak_check]
async fn nothing_is_in_it() {}

#[leak_check]
async fn there_is_one_expression() {
    std::future::ready(()).await;
}

#[rustfmt::skip]
#[leak_check]
async fn there_is_one_expression_on_one_line() { std::future::ready(()).await }

#[leak_check]
async fn there_are_items_in_it() {
    use std::future::ready;
    const SEVEN: u8 = 7;
    async fn seven() -> u8 {
        tokio::task::yield_now().await;
        SEVEN
    }

    assert_eq!(seven().await, ready(7).await);
}

#[leak_check]
async fn it_returns_early() {
    if tokio::task::try_id().is_none() {
        return;
    }
    unreachable!();
}

#[leak_check]
async fn errors_are_converted() -> Result<(), Box<dyn Error>> {
    let seven: u8 = "7".parse()?;
    tokio::task::yield_now().await;
    assert_eq!(seven, 7);
    Ok(())
}

#[leak_check]
async fn errors_are_boxed_where_they_are_returned() -> Result<(), Box<dyn Error + Send + Sync>> {
    tokio::task::yield_now().await;
    if tokio::task::try_id().is_some() {
        return Err(Box::new(fmt::Error));
    }
    Ok(())
}

#[leak_check]
async fn an_error_needs_no_conversion() -> fmt::Result {
    let mut text = String::new();
    fmt::Write::write_str(&mut text, "7")?;
    Ok(())
}

#[leak_check]
async fn it_ends_with_an_exit_code() -> ExitCode {
    ExitCode::SUCCESS
}

#[leak_check]
async fn it_ends_with_something() -> impl Termination {
    ExitCode::SUCCESS
}

#[leak_check]
async fn it_ends_with_a_result_of_something() -> Result<impl Termination, fmt::Error> {
    tokio::task::yield_now().await;
    Ok(ExitCode::SUCCESS)
}

#[leak_check]
async fn it_ends_with_a_tuple_of_something() -> Result<(), (impl fmt::Debug, u8)> {
    tokio::task::yield_now().await;
    Ok::<(), (fmt::Error, u8)>(())
}

#[leak_check]
async fn it_has_a_lifetime<'a>() -> Result<(), &'a str> {
    tokio::task::yield_now().await;
    Ok(())
}

#[leak_check]
async fn it_has_the_name_of_what_it_calls() {
    async fn it_has_the_name_of_what_it_calls() {
        tokio::task::yield_now().await;
    }

    it_has_the_name_of_what_it_calls().await;
}

#[leak_check(
    flavor = "multi_thread",
    worker_threads = 2,
    name = "workers",
    allow = 1
)]
async fn all_options_are_clean() {
    tokio::task::yield_now().await;
}

#[leak_check(flavor = "local", start_paused = true, grace = "1s", allow("tests" = 3, "src"))]
async fn all_other_options_are_clean() {
    tokio::task::yield_now().await;
}

#[leak_check]
#[should_panic(expected = "as it should")]
async fn it_panics() {
    panic!("as it should");
}
