//! Advice on a body that does not end in time.

use std::time::Duration;

use crate::leak::render::advice::awaited::{CHANNELS, LOCKS, TASKS, held, waits_on};
use crate::leak::render::advice::blocker::{
    UNBLOCK, alike, blockers, closure_blocker, let_return, unblock,
};
use crate::leak::render::advice::deadlock::{
    NEVER_HAPPENS, break_cycle, kept_future, lost_wake_up, reacquired_lock,
};
use crate::leak::render::advice::{Advice, labels, more_time};
use crate::leak::render::blocking;
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::trace::wait::{Timer, Wait};

pub(super) fn hung(report: &Report, wait: &Wait, timeout: Duration) -> Advice {
    match wait {
        Wait::Blocks(blocked) => Advice {
            why: "A timeout cannot cancel a body that blocks its thread.",
            steps: match labels(report, LeakedTask::is_in_spawn) {
                Some(task) => vec![format!(
                    "if the spawner of {task} holds the lock that it waits for: drop the guard before the spawn, \
                     or remove `eager_spawns`"
                )],
                None => vec![unblock(blocked.by()).to_owned(), more_time(report)],
            },
        },
        Wait::Busy(_) => Advice {
            why: "The body keeps waking itself.",
            steps: vec![
                "end the loop, or await the event it polls for: a channel or a `Notify`".to_owned(),
                more_time(report),
            ],
        },
        // More time does not help here, nor with a lock that its own holder waits for.
        Wait::LostWakeUp | Wait::PanicsUnwoken { .. } => lost_wake_up(),
        Wait::Unwakeable => Advice {
            why: "Nothing can wake the test.",
            steps: vec![
                "await a future that registers the waker of each poll; `pending()` and some \
                 hand-written futures do not"
                    .to_owned(),
            ],
        },
        Wait::At(_) if report.findings().may_be_deadlock && report.count() > 0 => Advice {
            why: "Everything in the test's runtime waits for something else in it: probably a deadlock.",
            steps: if let Some(step) = reacquired_lock(report) {
                vec![step]
            } else {
                let mut steps = break_cycle(report, wait);
                steps.extend([ANSWER.to_owned(), more_time(report)]);
                steps
            },
        },
        Wait::At(_) | Wait::Unstarted | Wait::Unanswered | Wait::Unknown => {
            if let Some(step) = reacquired_lock(report) {
                return Advice {
                    why: NEVER_HAPPENS,
                    steps: vec![step, kept_future("lock")],
                };
            }
            if let Some(step) = unblock_task(report) {
                return Advice {
                    why: "A thread that is blocked polls no other task.",
                    steps: vec![step, more_time(report)],
                };
            }
            let standstill = report.findings().standstill;
            if standstill.is_some_and(|standstill| standstill.progress(timeout).is_some()) {
                return Advice {
                    why: "The test still made progress when its timeout passed.",
                    steps: vec![more_time(report), end_of_wait(report, wait)],
                };
            }
            let others = [LOCKS, TASKS, CHANNELS];
            let is_timed = wait.timer().is_some() && !others.iter().any(|on| waits_on(wait, on));
            let mut steps = vec![end_of_wait(report, wait)];
            if waits_on(wait, LOCKS) {
                steps.push(kept_future(held(&[wait])));
            }
            steps.push(more_time(report));
            Advice {
                why: if is_timed {
                    "The test is waiting for a timer that fires after its timeout."
                } else {
                    NEVER_HAPPENS
                },
                steps,
            }
        }
    }
}

/// Straggler sees neither plain threads nor other runtimes: one of them may send the answer.
const ANSWER: &str = "if a thread or another runtime sends the answer: do not pause the clock, or wait for it in \
     `spawn_blocking`";

pub(super) fn late(report: &Report) -> Advice {
    Advice {
        why: "The timeout found the body inside a poll, or just ending, and could not cancel it.",
        steps: vec![UNBLOCK.to_owned(), more_time(report)],
    }
}

pub(super) fn stuck(report: &Report) -> Advice {
    let unblock = unblock_task(report).unwrap_or_else(|| UNBLOCK.to_owned());
    Advice {
        why: "",
        steps: vec![
            unblock,
            "if a `drop` waits: do that work in an `async fn`, and await it in the test".to_owned(),
        ],
    }
}

/// What to do about a task that blocks a thread, if one does.
fn unblock_task(report: &Report) -> Option<String> {
    let blocks = |task: &LeakedTask| matches!(task.wait(), Wait::Blocks(_));
    let Some(tasks) = labels(report, blocks) else {
        let blocked = report.findings().test_thread.as_ref();
        return blocked.map(|blocked| unblock(blocked.by()).to_owned());
    };
    let unblock = unblock(alike(blockers(report)));
    Some(format!(
        "a task that blocks its thread ({tasks}): {unblock}"
    ))
}

/// Returns advice on how to end a wait, based on the awaited future.
fn end_of_wait(report: &Report, wait: &Wait) -> String {
    let step = if waits_on(wait, LOCKS) {
        let holder = report.locks().iter().find_map(LockState::holder);
        return match holder.map(Acquisition::place) {
            Some(place) => format!("release the lock acquired at {place} before waiting for it"),
            None if held(&[wait]) == "permit" => {
                "return the permit before waiting for another one: drop it".to_owned()
            }
            None => {
                "release the lock before waiting for it: drop the guard that holds it".to_owned()
            }
        };
    } else if waits_on(wait, TASKS) && blocking::total(report.findings()) > 0 {
        let findings = report.findings();
        if findings.may_be_tasks == blocking::total(findings) {
            return unblock(closure_blocker(report)).to_owned();
        }
        let how = let_return(closure_blocker(report));
        return format!("make the `spawn_blocking` closure return: {how}");
    } else if waits_on(wait, TASKS) {
        "make the awaited task finish, or `abort()` it before awaiting it"
    } else if waits_on(wait, CHANNELS) {
        "use or drop the other end of the channel on every path, also when an earlier step fails"
    } else if let Some(timer) = wait.timer() {
        match timer {
            Timer::Timeout => "shorten the `timeout` that it awaits: it outlasts that of the test",
            Timer::Sleep => {
                "shorten the sleep that it awaits, or pause the clock: `start_paused = true`"
            }
            Timer::Interval => "end the loop over the interval that it awaits",
        }
    } else {
        "make the awaited event happen on every path, also when an earlier step fails"
    };
    step.to_owned()
}
