//! Advice on a task that panicked.

use crate::leak::render::advice::{Advice, setting};
use crate::leak::report::Report;
use crate::leak::report::task_panic::TaskPanic;

pub(super) fn panicked(report: &Report) -> Advice {
    let mut places = report.panics().iter().map(TaskPanic::place);
    let place = places.next().flatten();
    let place = place.filter(|place| places.all(|other| other == Some(*place)));
    let at = place.map_or(String::new(), |place| format!(" at {place}"));
    let setting = setting(report, "panics = \"allow\"", "allow_panics()");
    let fix = format!("fix the panic{at}");
    // Tokio has caught these, and shows them to nobody.
    let in_drop = report.findings().panics_at_shutdown;
    let mut shown = report.panics().iter().rev().skip(in_drop);
    if shown.all(TaskPanic::is_in_output) {
        return Advice {
            why: "Tokio ignores a panic in the `drop` of a task or of its output: no `JoinError` shows it.",
            steps: vec![fix, format!("if the test expects the panic: {setting}")],
        };
    }
    Advice {
        why: "A panic in a task stays silent unless the test checks the `JoinError` of its handle. Straggler \
              cannot\nsee whether it does.",
        steps: vec![
            format!("{fix}, or return a `Result` from the task and check it"),
            "if the test drops the `JoinError`, as `_ = task.await` does: unwrap the result"
                .to_owned(),
            format!("if the test expects the panic and checks the `JoinError`: {setting}"),
        ],
    }
}
