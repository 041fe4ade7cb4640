//! Compares what the samples print with what the guide shows.
//!
//! The guide is `README.md` and every page in `docs/`. A sample may move from one page to another.

#![allow(
    dead_code,
    reason = "each test file compiles this module for itself and uses a part of it"
)]

use std::fs;
use std::path::Path;

/// Asserts that a page of the guide shows `text`, with `normalize` applied to both.
#[track_caller]
pub(crate) fn assert_shows(text: &str, normalize: impl Fn(&str) -> String) {
    let text = normalize(text.trim_end());
    let is_shown = pages().iter().any(|page| normalize(page).contains(&text));
    assert!(is_shown, "no page of the guide shows this:\n{text}");
}

/// Returns the sample in a test file as the guide shows it.
///
/// A sample starts below `mod guide;` and ends above the first `#[test]`.
pub(crate) fn sample(source: &str) -> String {
    let (_, sample) = source
        .split_once("mod guide;\n\n")
        .expect("the file declares `mod guide;`");
    let (sample, _) = sample
        .split_once("\n#[test]")
        .expect("a `#[test]` follows the sample");
    sample.replace("#[ignore = \"fails on purpose\"]\n", "")
}

fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).into_iter().flatten();
    let docs = docs.map(|entry| entry.expect("docs/ is readable").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    [root.join("README.md")]
        .into_iter()
        .chain(pages)
        .map(|path| fs::read_to_string(path).expect("a page is UTF-8 text"))
        .collect()
}
