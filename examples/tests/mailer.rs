//! A mailer that leaves its task behind, and what the leak check says of it: the sample in the
//! README, which is compared with what this prints.

extern crate straggler_tokio as tokio;

#[path = "../../tests/common/child.rs"]
mod child;

use tokio::sync::mpsc;

/// Sends mails in the background, and tries again where that fails.
struct Mailer {
    mails: mpsc::Sender<String>,
}

impl Mailer {
    fn start() -> Self {
        let (mails, mut queue) = mpsc::channel::<String>(10);
        let again = mails.clone();
        tokio::spawn(async move {
            // It has a sender itself, so it never sees the end of the queue.
            while let Some(mail) = queue.recv().await {
                if !deliver(&mail) {
                    again.send(mail).await.unwrap();
                }
            }
        });
        Self { mails }
    }
}

fn deliver(mail: &str) -> bool {
    !mail.is_empty()
}

#[straggler::test]
#[ignore = "fails on purpose"]
async fn a_mail_is_sent() {
    let mailer = Mailer::start();
    mailer.mails.send("hello".to_owned()).await.unwrap();
}

#[test]
fn the_readme_shows_what_is_printed() {
    let printed = child::run("a_mail_is_sent").stderr;
    let report = hide_age(&printed);
    let readme = hide_age(include_str!("../../README.md"));
    assert!(readme.contains(report.trim_end()), "{printed}");
}

/// Leaves out how long the task was alive.
fn hide_age(text: &str) -> String {
    let (before, after) = text.split_once("alive for ").expect("a report");
    let (_, after) = after.split_once(", polled").expect("a report");
    format!("{before}{after}")
}
