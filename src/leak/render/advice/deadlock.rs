//! Advice on waits that only the test itself can end: cycles of locks, and wake-ups that were lost.

use crate::leak::render::advice::awaited::{LOCKS, count_waits_on, held};
use crate::leak::render::advice::{Advice, labels};
use crate::leak::report::Report;
use crate::leak::report::leaked_task::LeakedTask;
use crate::trace::wait::Wait;

pub(super) fn deadlocked(report: &Report, wait: &Wait) -> Advice {
    Advice {
        why: match (wait, report.count()) {
            (wait, _) if is_lost_wake_up(wait) => return lost_wake_up(),
            (_, 0) => NEVER_HAPPENS,
            _ => "The test and its tasks wait for something that never happens.",
        },
        steps: break_cycle(report, wait),
    }
}

pub(super) const NEVER_HAPPENS: &str = "The test is waiting for something that never happens.";

pub(super) fn lost_wake_up() -> Advice {
    Advice {
        why: "The test waits for a wake-up that never comes.",
        steps: vec![format!("make the future that it awaits {WAKE}")],
    }
}

const WAKE: &str =
    "keep the waker of its last poll, and wake it after each change of what it waits for";

/// Returns how to end the tasks that lost a wake-up.
pub(super) fn wake_tasks(report: &Report) -> Option<String> {
    let tasks = labels(report, |task| is_lost_wake_up(task.wait()))?;
    Some(format!(
        "a task that lost a wake-up ({tasks}): make the future that it awaits {WAKE}"
    ))
}

fn is_lost_wake_up(wait: &Wait) -> bool {
    matches!(wait, Wait::LostWakeUp | Wait::PanicsUnwoken { .. })
}

/// Returns advice on how to end waits that only other tasks can end.
pub(super) fn break_cycle(report: &Report, wait: &Wait) -> Vec<String> {
    let waits = report.tasks().iter().map(LeakedTask::wait).chain([wait]);
    let waits: Vec<_> = waits.collect();
    let held = held(&waits);
    let for_locks = waits.iter().map(|wait| count_waits_on(wait, LOCKS)).sum();
    let mut steps = Vec::from_iter(wake_tasks(report));
    if let Some(step) = reacquired_lock(report) {
        steps.push(step);
    } else if let Some(step) = hold_and_wait(report, for_locks, held) {
        steps.push(step);
    }
    if for_locks > 0 {
        steps.push(kept_future(held));
    }
    steps.push(
        "find who should end each wait above (a sender, a permit, another task), and why it cannot"
            .to_owned(),
    );
    steps
}

/// Returns how to break a deadlock that involves a lock. Only two waits for locks can be a cycle of locks.
fn hold_and_wait(report: &Report, for_locks: usize, held: &str) -> Option<String> {
    match for_locks {
        0 => None,
        1 if report.count() == 0 => None,
        1 => Some(format!("hold no {held} while awaiting a task or a message")),
        _ => Some(format!(
            "acquire {held}s in the same order everywhere, and hold none while awaiting a task"
        )),
    }
}

/// Names both acquisitions of a lock that its own holder waits for.
pub(super) fn reacquired_lock(report: &Report) -> Option<String> {
    let mut locks = report.locks().iter();
    let lock = locks.find(|lock| lock.may_wait_for_itself())?;
    let holder = lock.holder()?;
    let mut waiters = lock.waiters().iter();
    let waiter = waiters.find(|waiter| waiter.by() == holder.by())?;
    Some(format!(
        "release the lock acquired at {} before the same task acquires it at {}",
        holder.place(),
        waiter.place()
    ))
}

/// Nothing waits for the lock's holder then, so no report can show it.
pub(super) fn kept_future(held: &str) -> String {
    format!(
        "if a future that holds the {held} was polled and then kept (`select!` with `&mut future`, a \
         `FuturesUnordered` that nobody polls): poll it to its end, or drop it"
    )
}
