//! The summary for people: each place with what is wrong, where, and what to do.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::exploration::{Explored, Failed};
use crate::output::results::{ReportedPlace, Results};
use crate::output::wording::{count, first, origin_of};

const WRONG: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// The summary of a run, which `Display` writes with colors.
pub(crate) struct Human<'a>(pub(crate) &'a Results);

impl fmt::Display for Human<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.0.new_places() {
            writeln!(f)?;
            write_place(f, place)?;
        }
        writeln!(f)?;
        for place in &self.0.places {
            if let Some(reason) = &place.accepted {
                write_accepted(f, place, reason)?;
            }
        }
        write_totals(f, &self.0.headline(), self.0.notes())?;
        match &self.0.explored {
            Some(explored) => write_explored(f, explored),
            None => Ok(()),
        }
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, place: &ReportedPlace) -> fmt::Result {
    let (kind, title) = (place.kind().word(), &place.title);
    writeln!(f, "{WRONG}{kind}{WRONG:#}{STRONG}: {title}{STRONG:#}")?;
    for fact in &place.example.facts {
        writeln!(f, "  {fact}")?;
    }
    write_message(f, place.example.message.as_deref())?;
    let names = place.tests.keys().map(|test| &*test.name);
    writeln!(f, "  {QUIET}in {}{QUIET:#}", first(names))?;
    writeln!(f, "  {STRONG}help:{STRONG:#} {}", place.advice)
}

fn write_message(f: &mut fmt::Formatter<'_>, message: Option<&str>) -> fmt::Result {
    match message {
        Some(message) => writeln!(
            f,
            "  message: {}",
            message.lines().next().unwrap_or_default()
        ),
        None => Ok(()),
    }
}

fn write_accepted(f: &mut fmt::Formatter<'_>, place: &ReportedPlace, reason: &str) -> fmt::Result {
    let (origin, tests) = (origin_of(&place.origin), count(place.tests.len(), "test"));
    let reason = match reason {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    writeln!(f, "{QUIET}accepted {origin} in {tests}{reason}{QUIET:#}")
}

fn write_totals(f: &mut fmt::Formatter<'_>, headline: &str, notes: Vec<String>) -> fmt::Result {
    writeln!(f, "{STRONG}straggler:{STRONG:#} {headline}")?;
    for note in notes {
        writeln!(f, "  {note}")?;
    }
    Ok(())
}

fn write_explored(f: &mut fmt::Formatter<'_>, explored: &Explored) -> fmt::Result {
    for failed in &explored.failed {
        write_failed(f, failed)?;
    }
    write_totals(f, &explored.headline(), explored.notes())
}

fn write_failed(f: &mut fmt::Formatter<'_>, failed: &Failed) -> fmt::Result {
    let title = failed.title();
    writeln!(f, "\n{WRONG}schedule{WRONG:#}{STRONG}: {title}{STRONG:#}")?;
    write_message(f, failed.message.as_deref())?;
    match failed.replay() {
        Some(replay) => writeln!(f, "  replay: {replay}"),
        None => Ok(()),
    }
}
