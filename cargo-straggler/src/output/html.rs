//! The results as one HTML page that needs no network, and scripts only for its filter.

use std::collections::{BTreeMap, BTreeSet};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::exploration::{Explored, Failed};
use crate::findings::line::At;
use crate::findings::place::Test;
use crate::output::results::{Example, ReportedPlace, ReportedTest, Results};
use crate::output::rules::SCHEDULE;
use crate::output::spans::{Span, spans};
use crate::output::wording::{count, origin_of};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// What the page may load: nothing.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The state of a finding that fails the command.
const NEW: &str = "new";
const ACCEPTED: &str = "accepted";

/// Writes the page.
pub(crate) fn render(results: &Results) -> String {
    let headline = results.headline();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "straggler: " (headline) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(results, &headline))
                (filter(results))
                main {
                    (findings(results))
                    (by_test(results))
                    (other_tests(results))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn header(results: &Results, headline: &str) -> Markup {
    let explored = results.explored.as_ref();
    html! {
        header {
            h1 { "straggler" }
            p { (headline) }
            @if let Some(explored) = explored { p { (explored.headline()) } }
            @let notes = results.notes();
            @if !notes.is_empty() {
                ul .quiet { @for note in notes { li { (line(&note)) } } }
            }
        }
    }
}

/// The filter, which the script shows: without scripts it could do nothing.
fn filter(results: &Results) -> Markup {
    let places = results.places.iter().map(|place| place.kind().word());
    let schedules = schedules(results).map(|_| SCHEDULE);
    let kinds: BTreeSet<_> = places.chain(schedules).collect();
    html! {
        form hidden {
            input type="search" name="text" placeholder="Filter by place, test or message"
                aria-label="Filter";
            select name="kind" aria-label="Kind" {
                option value="" { "all kinds" }
                @for kind in kinds { option { (kind) } }
            }
            select name="state" aria-label="State" {
                option value="" { "new and accepted" }
                option { (NEW) }
                option { (ACCEPTED) }
            }
            output .quiet aria-live="polite" {}
        }
    }
}

fn findings(results: &Results) -> Markup {
    html! {
        @let places = results.places.iter().enumerate();
        @for (index, new) in places.clone().filter(|(_, place)| place.is_new()) {
            (place(index, new))
        }
        @for failed in schedules(results) { (schedule(failed)) }
        @for (index, accepted) in places.filter(|(_, place)| !place.is_new()) {
            (place(index, accepted))
        }
    }
}

fn place(index: usize, place: &ReportedPlace) -> Markup {
    let state = if place.is_new() { NEW } else { ACCEPTED };
    let kind = place.kind().word();
    html! {
        article .(state) id=(anchor(index)) data-entry data-kind=(kind) data-state=(state) {
            h3 { span .kind { (kind) } " " (line(&place.title)) }
            (example(&place.example))
            p { strong { "help: " } (line(&place.advice)) }
            @if let Some(reason) = &place.accepted { p .quiet { (accepted(reason)) } }
            details {
                summary { (count(place.tests.len(), "test")) }
                ul {
                    @for (test, found) in &place.tests { li { (name(test)) (times(found.count)) } }
                }
            }
        }
    }
}

/// A picture as the address of an image: a script inside does not run, wherever the report comes from.
fn data_url(svg: &str) -> String {
    let svg = utf8_percent_encode(svg, NON_ALPHANUMERIC);
    format!("data:image/svg+xml,{svg}")
}

fn schedule(failed: &Failed) -> Markup {
    let places = [Some(&failed.test.at), failed.panicked_at.as_ref()];
    let places = ["test at ", "panics at "].into_iter().zip(places);
    html! {
        article .(NEW) data-entry data-kind=(SCHEDULE) data-state=(NEW) {
            h3 { span .kind { (SCHEDULE) } " " (failed.title()) }
            ul {
                @for (what, at) in places {
                    @if let Some(at) = at.and_then(shown) { li { (what) (at) } }
                }
            }
            @if let Some(message) = &failed.message { pre { (message) } }
            @if let Some(svg) = &failed.exploration.svg {
                img src=(data_url(svg)) alt="The schedule: a lane for each child or task, time downwards";
            }
            @if let Some(replay) = failed.replay() {
                p { "To replay it:" }
                pre .command { (replay) }
            }
        }
    }
}

/// Each test with what it has at each place.
fn by_test(results: &Results) -> Markup {
    let mut tests: BTreeMap<&Test, Vec<Markup>> = BTreeMap::new();
    for (index, place) in results.places.iter().enumerate() {
        for (test, found) in &place.tests {
            tests
                .entry(test)
                .or_default()
                .push(report(index, place, found));
        }
    }
    html! {
        @if !tests.is_empty() {
            h2 { "By test" }
            @for (test, reports) in tests {
                details data-entry {
                    summary { (name(test)) ": " (count(reports.len(), "place")) }
                    @for report in reports { (report) }
                }
            }
        }
    }
}

/// What a test has at a place.
fn report(index: usize, place: &ReportedPlace, found: &ReportedTest) -> Markup {
    html! {
        p {
            a href={ "#" (anchor(index)) } { (line(&origin_of(&place.origin))) }
            (times(found.count))
        }
        (example(&found.example))
    }
}

fn example(example: &Example) -> Markup {
    html! {
        ul { @for fact in &example.facts { li { (line(fact)) } } }
        @if let Some(message) = &example.message { pre { (message) } }
    }
}

fn times(number: usize) -> Markup {
    html! { @if number > 1 { ", " (number) " times" } }
}

/// The tests without findings that need an explanation.
fn other_tests(results: &Results) -> Markup {
    let tests = &results.tests;
    let named = |tests: &BTreeSet<Test>| tests.iter().map(name).collect::<Vec<_>>();
    let unchecked = tests.unchecked.iter().map(|name| html! { code { (name) } });
    let groups = html! {
        (names("failed by themselves", &named(&tests.failed)))
        (names("not checked, since a setting skips them", &named(&tests.skipped)))
        (names("not checked, since they did not run by `#[tokio::test]`", &unchecked.collect::<Vec<_>>()))
        @if let Some(explored) = &results.explored { (unexplored(explored)) }
        @let clean = clean(results);
        (names("checked, with no findings", &clean.iter().map(|test| name(test)).collect::<Vec<_>>()))
    };
    html! {
        @if !groups.0.is_empty() {
            h2 { "Other tests" }
            (groups)
        }
    }
}

fn unexplored(explored: &Explored) -> Markup {
    html! {
        @for (reason, tests) in &explored.unexplored {
            @let tests: Vec<_> = tests.iter().map(|test| html! { code { (test.name) } }).collect();
            (names(&format!("not explored: {reason}"), &tests))
        }
    }
}

fn clean(results: &Results) -> Vec<&Test> {
    let places = results.places.iter();
    let found: BTreeSet<_> = places.flat_map(|place| place.tests.keys()).collect();
    let tests = &results.tests;
    let is_clean = |test: &&Test| {
        let fails = schedules(results).any(|failed| failed.test == **test);
        !fails && !found.contains(test) && !tests.failed.contains(*test)
    };
    tests.checked.iter().filter(is_clean).collect()
}

/// A list that can be opened, or nothing if it is empty.
fn names(what: &str, names: &[Markup]) -> Markup {
    html! {
        @if !names.is_empty() {
            details {
                summary { (names.len()) " " (line(what)) }
                ul { @for name in names { li { (name) } } }
            }
        }
    }
}

fn schedules(results: &Results) -> impl Iterator<Item = &Failed> {
    let explored = results.explored.iter();
    explored.flat_map(|explored| &explored.failed)
}

fn anchor(index: usize) -> String {
    format!("place-{}", index + 1)
}

fn name(test: &Test) -> Markup {
    html! {
        code { (test.name) }
        @if let Some(at) = shown(&test.at) { " " span .quiet { (at) } }
    }
}

fn shown(at: &At) -> Option<String> {
    let file = at.file.as_deref()?;
    let line = at.line.map_or(String::new(), |line| format!(":{line}"));
    Some(format!("{file}{line}"))
}

fn accepted(reason: &str) -> String {
    match reason {
        "" => "accepted".to_owned(),
        reason => format!("accepted: {reason}"),
    }
}

/// A line of text with code in backticks.
fn line(text: &str) -> Markup {
    html! {
        @for span in spans(text) {
            @match span {
                Span::Text(part) => (part),
                Span::Code(part) => code { (part) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::output::results::Results;
    use crate::output::sample::sample;

    #[test]
    fn page_has_every_place_and_schedule() {
        let page = render(&sample());
        for expected in [
            "<article class=\"new\" id=\"place-1\" data-entry data-kind=\"panic\" data-state=\"new\">",
            "<li>spawned at src/a,b:&lt;c&gt;.rs:7 in <code>Pool&lt;'a&gt;::new</code>, by the test</li>",
            "<pre>100% of &quot;&lt;b&gt;&quot; &amp; ]]&gt;\nis `gone`</pre>",
            "<li><code>pool::fills</code> <span class=\"quiet\">tests/pool.rs:3</span>, 2 times</li>",
            "<p class=\"quiet\">accepted: by &lt;design&gt; &amp; &quot;so&quot;</p>",
            "<span class=\"kind\">schedule</span> pool::drains fails in run 8 of 200",
            "<pre class=\"command\">STRAGGLER_SEED=2:1/a30a cargo straggler explore pool::drains -- --exact</pre>",
            "<a href=\"#place-2\">leak at axum: src/serve/mod.rs</a>",
            "<li>waits in <code>pool::serves</code></li>",
            "<summary>1 not explored: it uses a file</summary>",
            "<code>plain&lt;u8&gt;</code>",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
    }

    #[test]
    fn page_loads_nothing() {
        // The pictures are in the page itself.
        let page = render(&sample()).replace("src=\"data:", "");
        for reference in ["src=", "http://", "https://", "url(", "@import", "<link"] {
            assert!(!page.contains(reference), "{reference}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn picture_is_an_image_that_runs_nothing() {
        let page = render(&sample());
        let image = "src=\"data:image/svg+xml,%3Csvg%3E%3Cscript%3Ealert%28%22%3Cb%3E%22%29";
        assert!(page.contains(image), "{page}");
        assert!(!page.contains("<svg>"), "{page}");
    }

    #[test]
    fn page_without_findings_says_so() {
        let page = render(&Results::default());
        assert!(
            page.contains("<p>0 tests checked, no findings</p>"),
            "{page}"
        );
        assert!(!page.contains("<article"), "{page}");
        assert!(!page.contains("<h2>"), "{page}");
    }
}
