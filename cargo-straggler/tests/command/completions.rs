//! Completions in the shells that are installed. The arguments of the other shells are tested in `manual`.

#![cfg(unix)]

use std::process::Command;

use crate::fixture::{Fixture, end};

/// Starts of a line, and the word that completes each.
const COMPLETED: [(&str, &str); 3] = [
    ("te", "test"),
    ("test --up", "--update-tokio"),
    ("explore --sh", "--shard"),
];

/// Expects that a shell completes each line. `script` loads the file `completions`, and prints what
/// completes `<line>`.
fn completes(shell: &str, option: &str, script: &str) {
    if Command::new(shell).arg("--version").output().is_err() {
        eprintln!("skipped: there is no {shell} here");
        return;
    }
    let fixture = Fixture::package(&format!("completions-{shell}"), "");
    fixture.write(
        "completions",
        &fixture.straggler(&["completions", shell]).stdout,
    );
    for (start, expected) in COMPLETED {
        let script = script.replace("<line>", &format!("cargo-straggler {start}"));
        let mut shell = Command::new(shell);
        let ended = end(shell
            .args([option, "-c", &script])
            .current_dir(&fixture.root));
        let words: Vec<_> = ended.stdout.split_whitespace().collect();
        assert_eq!(words.first(), Some(&expected), "{start}: {ended:?}");
        assert_eq!(ended.stderr, "", "{start}");
    }
}

#[test]
fn bash_completes_options_of_subcommand() {
    let script = r#"
source ./completions
COMP_WORDS=(<line>)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p cargo-straggler | sed 's/.* -F \([^ ]*\) .*/\1/')
"$function" cargo-straggler "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[@]}"
"#;
    completes("bash", "--norc", script);
}

#[test]
fn fish_completes_options_of_subcommand() {
    let script = "source ./completions; complete --do-complete '<line>'";
    completes("fish", "--no-config", script);
}
