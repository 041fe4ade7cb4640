//! A diagram as SVG: one file without scripts, fonts or links.
//!
//! A page may show it inline, so the rules of its style apply below its own class only, and it has no ids.

use std::fmt::{self, Display, Write as _};

use crate::explore::diagram::{Content, Diagram, Limits, Line, Row, fit, label, short_place};
use crate::schedule::step::{Mark, Step};
use crate::wording::count;

/// How much of a schedule it shows. With the other bounds it stays below 60 kB, unless most characters of long
/// names need several bytes.
pub(crate) const LIMITS: Limits = Limits {
    lanes: 12,
    rows: 60,
};

/// How much of a long text it has, also where that is not visible.
const TEXT: usize = 250;

/// How much of it the description has of each actor, label and place.
const DESCRIBED: usize = 60;

const MARGIN: usize = 16;
const FIRST_LANE: usize = 56;
const NAMES: usize = 76;
const FIRST_ROW: usize = 112;
const ROW: usize = 42;

/// The width of all lanes together, within the limits of one lane.
const LANES: usize = 1_200;
const NARROWEST: usize = 120;
const WIDEST: usize = 230;
const LEAST_WIDTH: usize = 520;

/// The width of a character, rounded up. The font has one width.
const CHARACTER: usize = 8;

const STYLE: &str = "\
.straggler-schedule{--back:#fff;--ink:#1f2328;--soft:#59636e;--wake:#0969da;--bad:#d1242f;\
font:12px ui-monospace,Menlo,Consolas,monospace;max-width:100%;height:auto}\
@media(prefers-color-scheme:dark){.straggler-schedule{--back:#0d1117;--ink:#e6edf3;--soft:#9198a1;\
--wake:#4493f8;--bad:#ff7b72}}\
.straggler-schedule .back{fill:var(--back)}\
.straggler-schedule text{fill:var(--ink)}\
.straggler-schedule .head{font-weight:bold}\
.straggler-schedule .soft{fill:var(--soft)}\
.straggler-schedule .bad{fill:var(--bad)}\
.straggler-schedule .line{stroke:var(--ink);stroke-width:2}\
.straggler-schedule .waits{stroke:var(--soft);stroke-dasharray:3 5}\
.straggler-schedule .mark{fill:var(--back);stroke:var(--ink);stroke-width:2}\
.straggler-schedule .full{fill:var(--ink)}\
.straggler-schedule .cross{stroke:var(--bad);stroke-width:3}\
.straggler-schedule .wake{stroke:var(--wake);stroke-width:2}\
.straggler-schedule .tip{fill:var(--wake)}";

/// The picture of a failing schedule. `Display` writes the SVG.
#[derive(Debug)]
pub(crate) struct Svg<'a> {
    /// Why the run failed.
    pub(crate) heading: &'a str,
    /// What is shown, such as `minimal failing schedule: 6 steps, 1 forced reordering`.
    pub(crate) summary: &'a str,
    pub(crate) diagram: Diagram<'a>,
}

impl Display for Svg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = (self.width(), self.height());
        write!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"straggler-schedule\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\
             <title>{}</title>",
            bounded(self.heading)
        )?;
        self.write_description(f)?;
        write!(
            f,
            "<style>{STYLE}</style><rect class=\"back\" width=\"{width}\" height=\"{height}\"/>"
        )?;
        let room = (width - 2 * MARGIN) / CHARACTER;
        write_text(f, "head", MARGIN, 26, self.heading, room)?;
        write_text(f, "soft", MARGIN, 46, self.summary, room)?;
        self.write_lanes(f)?;
        for row in 0..self.diagram.rows.len() {
            self.write_row(f, row)?;
        }
        self.write_footer(f)?;
        f.write_str("</svg>")
    }
}

impl Svg<'_> {
    /// Says the same in words, for a screen reader.
    fn write_description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<desc>{}.", bounded(self.summary))?;
        for row in &self.diagram.rows {
            match &row.content {
                Content::Gap(steps) => write!(f, " {} not shown.", count(*steps, "step"))?,
                Content::Step { number, step, .. } => {
                    let described = |text: &str| Escaped(&fit(text, DESCRIBED)).to_string();
                    let actor = described(step.actor());
                    write!(f, " {number}. {actor} {}", described(&label(step)))?;
                    if let Some(place) = short_place(step) {
                        write!(f, " at {}", described(&place))?;
                    }
                    for woken in step.wakes().iter().take(LIMITS.lanes) {
                        write!(f, ", wakes {}", described(woken))?;
                    }
                    f.write_char('.')?;
                }
            }
        }
        f.write_str("</desc>")
    }

    /// Writes the name of each lane, and its line as long as the actor lives.
    fn write_lanes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (lane, of) in self.diagram.lanes.iter().enumerate() {
            let x = self.x(lane);
            let room = (self.pitch() - MARGIN) / CHARACTER;
            write_text(f, "head", x - 6, NAMES, &of.name(), room)?;
            let rows = self.diagram.rows.len();
            let mut from = FIRST_ROW - ROW / 2;
            let mut state = self.diagram.above(0, lane);
            for row in 0..rows {
                let below = self.diagram.rows[row].below[lane];
                if below != state {
                    write_line(f, state, x, (from, y(row)))?;
                    (from, state) = (y(row), below);
                }
            }
            write_line(f, state, x, (from, y(rows) - 4))?;
        }
        Ok(())
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, row: usize) -> fmt::Result {
        let Row { content, .. } = &self.diagram.rows[row];
        let y = y(row);
        let (number, lane, step, wakes) = match content {
            Content::Gap(steps) => {
                let text = format!("… {} not shown", count(*steps, "step"));
                return write_text(f, "soft", FIRST_LANE + 12, y + 4, &text, TEXT);
            }
            Content::Step {
                number,
                lane,
                step,
                wakes,
            } => (number, *lane, step, wakes),
        };
        let x = self.x(lane);
        write!(f, "<g><title>{}</title>", bounded(&whole(step)))?;
        write_text(f, "soft", MARGIN, y + 4, &number.to_string(), TEXT)?;
        wakes
            .iter()
            .try_for_each(|woken| write_arrow(f, y, x, self.x(*woken)))?;
        write_mark(f, step.mark(), x, y)?;
        let room = (self.pitch() - 24) / CHARACTER;
        let class = match step.mark() {
            Mark::Panics => "bad",
            _ => "",
        };
        write_text(f, class, x + 12, y - 6, &label(step), room)?;
        if let Some(place) = short_place(step) {
            write_text(f, "soft", x + 12, y + 15, &place, room)?;
        }
        f.write_str("</g>")
    }

    fn write_footer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = y(self.diagram.rows.len());
        for lane in self.diagram.still_waiting() {
            let x = self.x(lane);
            write_text(f, "bad", x + 12, end - 6, "still waits", TEXT)?;
        }
        let legend = "solid: can run · dashed: waits · arrow: wakes";
        write_text(f, "soft", MARGIN, self.height() - 14, legend, TEXT)
    }

    /// The distance between two lanes.
    fn pitch(&self) -> usize {
        (LANES / self.diagram.lanes.len().max(1)).clamp(NARROWEST, WIDEST)
    }

    fn x(&self, lane: usize) -> usize {
        FIRST_LANE + lane * self.pitch()
    }

    fn width(&self) -> usize {
        self.x(self.diagram.lanes.len()).max(LEAST_WIDTH)
    }

    fn height(&self) -> usize {
        y(self.diagram.rows.len()) + 36
    }
}

fn y(row: usize) -> usize {
    FIRST_ROW + row * ROW
}

/// A step with its branches, as the text of the schedule has it.
fn whole(step: &Step) -> String {
    let mut text = step.to_string();
    for branch in step.branches() {
        text = text + "\n" + branch;
    }
    text
}

/// Writes a text that has room for this many characters. If it is longer, a tool tip has the rest.
fn write_text(
    f: &mut fmt::Formatter<'_>,
    class: &str,
    x: usize,
    y: usize,
    text: &str,
    room: usize,
) -> fmt::Result {
    write!(f, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">")?;
    let shown = fit(text, room);
    if shown != text {
        write!(f, "<title>{}</title>", bounded(text))?;
    }
    write!(f, "{}</text>", Escaped(&shown))
}

fn write_line(
    f: &mut fmt::Formatter<'_>,
    state: Line,
    x: usize,
    (from, to): (usize, usize),
) -> fmt::Result {
    let class = match state {
        Line::Absent => return Ok(()),
        Line::Ready => "line",
        Line::Waits => "line waits",
    };
    write!(f, "<path class=\"{class}\" d=\"M{x} {from}V{to}\"/>")
}

/// Writes an arrow from one lane to another.
fn write_arrow(f: &mut fmt::Formatter<'_>, y: usize, from: usize, to: usize) -> fmt::Result {
    let tail = if to > from { to - 10 } else { to + 10 };
    let (upper, lower) = (y - 5, y + 5);
    write!(
        f,
        "<path class=\"wake\" d=\"M{from} {y}H{tail}\"/>\
         <path class=\"tip\" d=\"M{to} {y}L{tail} {upper}V{lower}Z\"/>"
    )
}

fn write_mark(f: &mut fmt::Formatter<'_>, mark: Mark, x: usize, y: usize) -> fmt::Result {
    let (left, right, upper, lower) = (x - 6, x + 6, y - 6, y + 6);
    match mark {
        Mark::Yields => write!(
            f,
            "<path class=\"mark\" d=\"M{x} {upper}L{right} {y}L{x} {lower}L{left} {y}Z\"/>"
        ),
        Mark::RunsLater => write!(
            f,
            "<path class=\"mark\" d=\"M{left} {upper}H{right}L{x} {lower}Z\"/>"
        ),
        Mark::TimerFires => write!(
            f,
            "<path class=\"mark\" d=\"M{left} {lower}H{right}L{x} {upper}Z\"/>"
        ),
        Mark::Waits => write!(f, "<circle class=\"mark\" cx=\"{x}\" cy=\"{y}\" r=\"6\"/>"),
        Mark::IsPolled => write!(f, "<circle class=\"mark\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>"),
        Mark::Ends => write!(
            f,
            "<path class=\"mark full\" d=\"M{left} {upper}H{right}V{lower}H{left}Z\"/>"
        ),
        Mark::IsCancelled | Mark::Cancels(_) | Mark::Panics => write!(
            f,
            "<path class=\"cross\" d=\"M{left} {upper}L{right} {lower}M{left} {lower}L{right} {upper}\"/>"
        ),
    }
}

fn bounded(text: &str) -> String {
    Escaped(&fit(text, TEXT)).to_string()
}

/// A text as XML allows it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' => f.write_char(character)?,
                // XML has no way to write these.
                '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                _ if character.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn text_escaped_for_xml() {
        let text = Escaped("a<b> & \"c\"\n\u{1b}[1m\0é").to_string();
        assert_eq!(text, "a&lt;b&gt; &amp; &quot;c&quot;\n\u{fffd}[1m\u{fffd}é");
    }
}
