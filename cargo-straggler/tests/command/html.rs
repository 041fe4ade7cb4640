//! The page in a real browser.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fixture::{Fixture, end};

/// A leak, a panic, and a schedule that fails. Their names and messages would be markup if they were not
/// escaped.
const REPORT: &str = r#"
{"version":1,"test":"serves","file":"tests/pool.rs","line":9,"column":10,"verdict":"leaked","level":"warning","findings":[{"kind":"task","file":"src/lib.rs","line":11,"column":9,"count":1}]}
{"version":1,"test":"refuses","file":"tests/pool.rs","line":15,"column":10,"verdict":"task_panicked","level":"warning","findings":[{"kind":"panic","file":"tests/pool.rs","line":17,"column":9,"count":1,"message":"</pre><script>document.title = 'no'</script><b>bold</b>"}]}
{"version":1,"test":"races","file":"tests/pool.rs","line":20,"column":10,"verdict":"panicked","level":"error","explored":{"runs":50,"run":9,"seed":"7:2/1f"},"findings":[{"kind":"body_panic","file":"tests/pool.rs","line":22,"column":5,"count":1,"message":"no money"}]}
"#;

/// The browser, if there is one.
fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|program| {
            let mut command = Command::new(program);
            command.arg("--version").stderr(Stdio::null());
            command.output().is_ok_and(|output| output.status.success())
        })
}

/// The page after its scripts ran.
fn document(browser: &str, page: &Path, hash: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(browser);
    command
        // Without a sandbox, since containers often run as root.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{hash}", page.display()));
    end(&mut command).stdout
}

/// The kinds of the places and schedules that are shown.
fn shown(document: &str) -> Vec<&str> {
    let articles = document.split("<article ").skip(1);
    let tags = articles.map(|article| article.split_once('>').unwrap().0);
    let shown = tags.filter(|tag| !tag.contains("hidden"));
    shown
        .map(|tag| {
            let (_, kind) = tag.split_once("data-kind=\"").unwrap();
            kind.split_once('"').unwrap().0
        })
        .collect()
}

#[test]
fn page_filters_and_works_without_scripts() {
    let Some(browser) = browser() else {
        eprintln!("page_filters_and_works_without_scripts is skipped: there is no chromium here");
        return;
    };
    let fixture = Fixture::suite("html");
    fixture.write("report.jsonl", REPORT.trim_start());
    let ended = fixture.straggler(&["report", "report.jsonl", "--format=html=page.html"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    let page = fixture.root.join("page.html");

    let all = document(browser, &page, "");
    assert_eq!(shown(&all), ["panic", "leak", "schedule"], "{all}");
    assert!(all.contains("3 of 3 shown"), "{all}");
    // The message is text.
    assert!(!all.contains("<title>no</title>"), "{all}");
    assert!(all.contains("&lt;b&gt;bold"), "{all}");

    for (filter, expected) in [
        ("SERVES", &["leak"][..]),
        ("pool.rs%2017", &["panic"]),
        ("no%20money", &["schedule"]),
        ("nothing%20like%20it", &[]),
    ] {
        let document = document(browser, &page, &format!("#filter={filter}"));
        assert_eq!(shown(&document), expected, "{filter}: {document}");
    }

    // The browser obeys the page's own policy.
    let text = fixture.read("page.html");
    let without = text.replace("script-src 'unsafe-inline'", "script-src 'none'");
    assert_ne!(text, without);
    fs::write(&page, without).unwrap();
    let plain = document(browser, &page, "#filter=serves");
    assert_eq!(shown(&plain), ["panic", "leak", "schedule"], "{plain}");
    assert!(plain.contains("<form hidden"), "{plain}");
}
