//! The results as GitHub's Markdown, for job summaries and comments.

use crate::exploration::Failed;
use crate::output::results::{ReportedPlace, Results};
use crate::output::spans::{Span, spans};
use crate::output::wording::{count, origin_of};

/// What [`inline`] escapes: it could start markup.
const MARKUP: &str = r"\`*_{}[]<>#|~&$!";

/// Writes the results. Places and schedules beyond `limit` bytes are only counted.
pub(crate) fn render(results: &Results, limit: Option<usize>) -> String {
    let schedules = results
        .explored
        .iter()
        .flat_map(|explored| &explored.failed);
    let new = results.new_places().map(of_place);
    let blocks = new.chain(schedules.map(of_schedule));
    let headline = inline(&format!("straggler: {}", results.headline()));
    let mut text = format!("## {headline}\n");
    let mut omitted = 0;
    for block in blocks {
        if limit.is_some_and(|limit| text.len() + block.len() > limit) {
            omitted += 1;
        } else {
            text += &block;
        }
    }
    if omitted > 0 {
        let more = count(omitted, "more finding");
        text.extend(["\n", &more, ": the output of the command has them all.\n"]);
    }
    let accepted = results.places.iter().filter(|place| !place.is_new());
    let accepted: Vec<_> = accepted.map(of_accepted).collect();
    let mut notes = results.notes();
    if let Some(explored) = &results.explored {
        notes.push(explored.headline());
        notes.extend(explored.notes());
    }
    let notes: Vec<_> = notes.iter().map(|note| inline(note)).collect();
    text + &list("Accepted", &accepted) + &list("Also", &notes)
}

fn of_place(place: &ReportedPlace) -> String {
    let (kind, title) = (place.kind().word(), inline(&place.title));
    let facts: String = place
        .example
        .facts
        .iter()
        .map(|fact| item(&inline(fact)))
        .collect();
    let help = item(&format!("**help:** {}", inline(&place.advice)));
    let message = place.example.message.as_deref();
    let message = message.map_or(String::new(), |message| fenced("text", message));
    let number = count(place.tests.len(), "test");
    let tests: String = place
        .tests
        .keys()
        .map(|test| item(&code(&test.name)))
        .collect();
    format!(
        "\n### {kind}: {title}\n\n{facts}{help}{message}\n\
         <details><summary>{number}</summary>\n\n{tests}\n</details>\n"
    )
}

fn of_schedule(failed: &Failed) -> String {
    let title = inline(&failed.title());
    let message = failed.message.as_deref();
    let message = message.map_or(String::new(), |message| fenced("text", message));
    let replay = failed.replay();
    let replay = replay.map_or(String::new(), |replay| fenced("sh", replay));
    format!("\n### schedule: {title}\n{message}{replay}")
}

fn of_accepted(place: &ReportedPlace) -> String {
    let (origin, tests) = (origin_of(&place.origin), count(place.tests.len(), "test"));
    let reason = match place.accepted.as_deref().unwrap_or_default() {
        "" => String::new(),
        reason => format!(": {}", inline(reason)),
    };
    format!("{} in {tests}{reason}", inline(&origin))
}

/// A list with a heading, or nothing if it is empty.
fn list(heading: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String = items.iter().map(|text| item(text)).collect();
    format!("\n### {heading}\n\n{items}")
}

fn item(text: &str) -> String {
    format!("- {text}\n")
}

/// Escapes a line of text, where code in backticks stays code.
fn inline(text: &str) -> String {
    let text = text.replace(['\r', '\n'], " ");
    let mut escaped = String::new();
    for span in spans(&text) {
        match span {
            Span::Code(part) => escaped += &code(part),
            Span::Text(part) => {
                for character in part.chars() {
                    if MARKUP.contains(character) {
                        escaped.push('\\');
                    }
                    escaped.push(character);
                }
            }
        }
    }
    escaped
}

/// A line of code. Nothing in it is markup.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_fence(text) + 1);
    // Markdown removes one space at each end.
    let space = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Lines of code.
fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_fence(text).max(2) + 1);
    format!("\n{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

/// The most backticks in a row.
fn longest_fence(text: &str) -> usize {
    let others = |character: char| character != '`';
    text.split(others).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{code, fenced, inline, render};
    use crate::output::results::Results;
    use crate::output::sample::{panic_at, sample};

    #[test]
    fn each_finding_has_a_section() {
        let expected = "\
## straggler: 4 tests checked, 2 with findings at 2 places: 1 new, 1 accepted

### panic: a task panics in 1 test

- spawned at src/a,b:\\<c\\>.rs:7 in `Pool<'a>::new`, by the test
- **help:** fix the panic: `#[tokio::test]` alone passes in spite of it

```text
100% of \"<b>\" & ]]>
is `gone`
```

<details><summary>1 test</summary>

- `pool::fills`

</details>

### schedule: pool::drains fails in run 8 of 200

```text
left: 1
right: 2
```

```sh
STRAGGLER_SEED=2:1/a30a cargo straggler explore pool::drains -- --exact
```

### Accepted

- leak at axum: src/serve/mod.rs in 2 tests: by \\<design\\> \\& \"so\"

### Also

- 1 test failed by itself, so what it left running is not listed: pool::breaks
- 1 test not checked, which .config/straggler.toml skips: pool::old
- 1 test not checked, which did not run by `#[tokio::test]`: plain\\<u8\\>
- waited 1.2 s for what tests left behind, the grace of each
- 1 doc test not checked
- 2 tests explored, 1 failed
- 1 not explored: it uses a file: pool::serves
";
        assert_eq!(render(&sample(), None), expected);
    }

    #[test]
    fn text_is_escaped_and_code_is_not() {
        assert_eq!(
            inline("<b> *a_b* `x<y>` & [c]"),
            r"\<b\> \*a\_b\* `x<y>` \& \[c\]"
        );
        assert_eq!(inline("a ` alone\nand"), r"a \` alone and");
        assert_eq!(code("a ``b`"), "``` a ``b` ```");
        assert_eq!(fenced("text", "a\n````\n"), "\n`````text\na\n````\n`````\n");
    }

    #[test]
    fn findings_beyond_limit_are_counted() {
        let results = Results {
            places: (0..20).map(panic_at).collect(),
            ..Results::default()
        };
        let whole = render(&results, None);
        assert_eq!(whole.matches("### panic").count(), 20);
        let cut = render(&results, Some(whole.len() / 2));
        let shown = cut.matches("### panic").count();
        assert!((8..10).contains(&shown), "{cut}");
        let more = format!("\n{} more findings: the output", 20 - shown);
        assert!(cut.contains(&more), "{cut}");
    }
}
