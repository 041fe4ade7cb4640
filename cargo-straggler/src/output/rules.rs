//! What each kind of finding means, for readers who meet one for the first time.

/// A kind of finding.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The word of its [`Kind`](crate::findings::place::Kind), or [`SCHEDULE`].
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) help: &'static str,
}

/// The rule of the schedules that fail.
pub(crate) const SCHEDULE: &str = "schedule";

/// Every kind of finding.
pub(crate) const RULES: [Rule; 8] = [
    Rule {
        name: "hang",
        title: "A test does not end",
        text: "The body of the test waits for something that never happens, or ended after its timeout.",
        help: "Wake what the test waits for. If it only needs longer, raise its timeout.",
    },
    Rule {
        name: "panic",
        title: "A task panics",
        text: "A task panicked during a test, which `#[tokio::test]` alone passes.",
        help: "Fix the panic, or let the test await the task and expect it.",
    },
    Rule {
        name: "leak",
        title: "A task outlives its test",
        text: "A task that a test started was still alive when the test had ended and the grace had passed.",
        help: "Keep the `JoinHandle` of the task, and abort or await it before the test ends.",
    },
    Rule {
        name: "blocking",
        title: "A `spawn_blocking` closure outlives its test",
        text: "Blocking work that a test started had not returned when the test had ended.",
        help: "Await the `JoinHandle` of the closure before the test ends.",
    },
    Rule {
        name: "lock",
        title: "A lock is still held after a test",
        text: "A `straggler::Lock` was not released when the test had ended.",
        help: "Drop the guard before the test ends.",
    },
    Rule {
        name: "thread",
        title: "A thread outlives its test",
        text: "A thread that a test started was still running when the test had ended.",
        help: "Join the thread before the test ends.",
    },
    Rule {
        name: "check",
        title: "A test could not be checked",
        text: "Straggler could not tell what the test left behind.",
        help: "Run the test alone: its output has the whole report.",
    },
    Rule {
        name: SCHEDULE,
        title: "A schedule fails",
        text: "A test that passes in tokio's own order fails in another order of its tasks.",
        help: "Replay the schedule with the seed, which prints it step by step.",
    },
];

#[cfg(test)]
mod tests {
    use super::{RULES, SCHEDULE};
    use crate::findings::place::Kind;

    #[test]
    fn every_kind_has_a_rule() {
        let kinds = [
            Kind::Hang,
            Kind::Panic,
            Kind::Leak,
            Kind::Blocking,
            Kind::Lock,
            Kind::Thread,
            Kind::Check,
        ];
        let words = kinds.map(Kind::word);
        let rules = RULES.map(|rule| rule.name);
        assert_eq!(rules[..7], words);
        assert_eq!(rules[7..], [SCHEDULE]);
    }
}
