//! How many instructions the joins and an explored run take.
//!
//! `cargo bench -p straggler-benches --bench instructions` counts them with valgrind. Unlike times, they are the same
//! on a busy machine. Add `-- joins` or `-- explored` for one part.

mod explored;
mod joins;

use std::env;
use std::process::Command;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("runs") => explored::make(&arguments[1..]),
        Some("join") => joins::make(&arguments[1..]),
        Some("explored") => explored::print_table(),
        Some("joins") => joins::print_tables(),
        _ => {
            joins::print_tables();
            explored::print_table();
        }
    }
}

/// What valgrind has counted.
#[derive(Clone, Copy)]
struct Counted {
    instructions: u64,
    /// How many of them lock the bus. Each takes as long as some 20 others.
    locked: u64,
}

/// Counts the instructions that this program takes with these arguments, with these options for callgrind.
fn count(options: &[&str], arguments: &[String]) -> Counted {
    let program = env::current_exe().expect("this program has a path");
    let counted = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--collect-bus=yes")
        .args(options)
        .arg(program)
        .args(arguments)
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&counted.stderr);
    let line = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, numbers) = line.unwrap_or_else(|| panic!("valgrind says: {text}"));
    let mut numbers = numbers
        .split_whitespace()
        .map(|number| number.parse().expect("a number of instructions"));
    Counted {
        instructions: numbers.next().expect("the instructions come first"),
        locked: numbers.next().unwrap_or_default(),
    }
}
