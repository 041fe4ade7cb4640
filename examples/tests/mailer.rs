//! A mailer that leaves its task behind, and what the leak check says of it: the sample in the
//! README, which is compared with what this prints.

#[path = "../../tests/common/child.rs"]
mod child;

extern crate straggler_tokio as tokio; // tokio itself, with spawns that are tracked

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
    let (_, test) = include_str!("mailer.rs")
        .split_once("mod child;\n\n")
        .expect("it is below");
    let (test, _) = test.split_once("\n#[test]").expect("others follow");
    let test = test.replace("#[ignore = \"fails on purpose\"]\n", "");
    assert!(readme().contains(&test), "{test}");
    let report = hide_times(&child::run("a_mail_is_sent").stderr);
    assert!(readme().contains(report.trim_end()), "{report}");
}

#[test]
fn the_readme_shows_what_is_written_for_ci() {
    let name = format!("straggler-mailer-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let to_file = ("STRAGGLER_REPORT", file.to_str().unwrap());
    let printed = child::run_with("a_mail_is_sent", &[to_file, ("GITHUB_ACTIONS", "true")]).stderr;
    let line = hide_times(&std::fs::read_to_string(&file).unwrap());
    std::fs::remove_file(&file).unwrap();

    // The line is wrapped there.
    let unwrapped: String = readme().lines().map(str::trim_start).collect();
    assert!(unwrapped.contains(line.trim_end()), "{line}");
    let annotation = printed.lines().find(|line| line.starts_with("::"));
    let annotation = hide_times(annotation.unwrap());
    assert!(readme().contains(&annotation), "{annotation}");
}

fn readme() -> String {
    hide_times(include_str!("../../README.md"))
}

/// Leaves out how long tasks were alive.
fn hide_times(text: &str) -> String {
    hide(&hide(text, "alive for ", ", polled"), "\"age_ms\":", ",")
}

/// Leaves out what stands between the two, wherever they stand.
fn hide(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        shown + before + &part[part.find(after).unwrap_or(0)..]
    })
}
