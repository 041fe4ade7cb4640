//! What nextest writes to its standard output: an event for each test, and with `--no-capture` what the tests
//! print. Its own output for people goes to standard error.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use serde::Deserialize;

use crate::suite_output::Ran;

/// An event in libtest's JSON format. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    of: String,
    #[serde(rename = "event")]
    state: String,
    name: Option<String>,
}

/// Reads the events, and copies everything else.
///
/// # Errors
///
/// Returns an error if the output cannot be read or written.
pub(crate) fn read(output: impl Read, mut copy: impl Write) -> io::Result<Ran> {
    let mut ran = Ran::default();
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        if let Ok(event) = serde_json::from_slice::<Event>(&line) {
            note(&mut ran, &event);
        } else {
            copy.write_all(&line)?;
            copy.flush()?;
        }
        line.clear();
    }
    Ok(ran)
}

fn note(ran: &mut Ran, event: &Event) {
    let has_run = event.of == "test" && ["ok", "failed", "timeout"].contains(&&*event.state);
    let Some(name) = event.name.as_deref().filter(|_| has_run) else {
        return;
    };
    // `package::binary$module::test`, and `#2` after the second try.
    let name = name.split_once('$').map_or(name, |(_, name)| name);
    let name = name.split_once('#').map_or(name, |(name, _)| name);
    ran.add(name, event.state != "ok");
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn names_are_read_from_events() {
        let output = r#"{"type":"suite","event":"started","test_count":3}
{"type":"test","event":"started","name":"pool::pool$fills"}
printed by a test
{"type":"test","event":"ok","name":"pool::pool$fills","exec_time":0.1}
{"type":"test","event":"ignored","name":"pool::pool$slow"}
{"type":"test","event":"failed","name":"pool$tests::fills#2","exec_time":0.1,"stdout":"no"}
{"type":"suite","event":"failed","passed":1,"failed":1,"ignored":1,"exec_time":0.1}
"#;
        let mut copy = Vec::new();
        let ran = read(output.as_bytes(), &mut copy).unwrap();
        let names: Vec<_> = ran.tests.into_iter().collect();
        let expected =
            [("fills", 1), ("tests::fills", 1)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(names, expected);
        assert_eq!(ran.failed.into_keys().collect::<Vec<_>>(), ["tests::fills"]);
        assert_eq!(copy, b"printed by a test\n");
    }
}
