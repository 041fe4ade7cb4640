//! A mailer that leaks its task, and the findings that the guide shows.

#[path = "../../tests/common/child.rs"]
mod child;
mod guide;

extern crate straggler_tokio as tokio; // tokio itself, with tracked spawns

use tokio::sync::mpsc;

/// Sends mail in the background and retries on failure.
struct Mailer {
    mails: mpsc::Sender<String>,
}

impl Mailer {
    fn start() -> Self {
        let (mails, mut queue) = mpsc::channel::<String>(10);
        let again = mails.clone();
        tokio::spawn(async move {
            // The task holds a sender itself, so the queue never closes.
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
async fn mail_is_sent() {
    let mailer = Mailer::start();
    mailer.mails.send("hello".to_owned()).await.unwrap();
}

#[test]
fn guide_shows_sample_and_its_report() {
    guide::assert_shows(&guide::sample(include_str!("mailer.rs")), str::to_owned);
    guide::assert_shows(&child::run("mail_is_sent").stderr, hide_times);
}

#[test]
fn guide_shows_findings_for_ci() {
    let name = format!("straggler-mailer-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let to_file = ("STRAGGLER_REPORT", file.to_str().unwrap());
    let printed = child::run_with("mail_is_sent", &[to_file, ("GITHUB_ACTIONS", "true")]).stderr;
    let line = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();

    // The guide wraps the line of JSON.
    let unwrap = |text: &str| -> String {
        let text = hide_times(text);
        text.lines().map(str::trim_start).collect()
    };
    guide::assert_shows(&line, unwrap);
    let annotation = printed.lines().find(|line| line.starts_with("::"));
    guide::assert_shows(annotation.unwrap(), hide_times);
}

/// Removes how long tasks were alive, and the check waited for them.
fn hide_times(text: &str) -> String {
    let text = hide(text, "alive for ", ", polled");
    hide(&hide(&text, "\"age_ms\":", ","), "\"waited_ms\":", ",")
}

/// Removes the text between `before` and the next `after`, everywhere.
fn hide(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        shown + before + &part[part.find(after).unwrap_or(0)..]
    })
}
