//! The text on a run that cancelled: what kind of failure it is, and what may cure it.

use std::borrow::Cow;
use std::{fmt, slice};

use rustc_hash::FxHashSet;

use crate::explore::failure::{Cause, Failed};
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::verdict::Verdict;
use crate::schedule::cancellation::{Cancelled, Later};
use crate::schedule::spot::Spot;
use crate::schedule::step::{Mark, Progress, Schedule};
use crate::trace::call::Call;
use crate::trace::wait::{Wait, WaitPlace};

pub(crate) fn write(
    f: &mut fmt::Formatter<'_>,
    failed: &Failed,
    cancelled: &Cancelled,
) -> fmt::Result {
    let Cause::Found(report) = &failed.cause else {
        f.write_str(&after_cancellation(
            &failed.schedule,
            cancelled.operations.len(),
        ))?;
        return write_message(f, &failed.schedule, cancelled);
    };
    let held = held_lock(report, cancelled);
    match report.ending() {
        Some(Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait }) => {
            let what = stuck(&failed.schedule, cancelled, wait);
            let cause = cause_of_wait(report, wait, held);
            let cause = cause.unwrap_or_else(|| UNKNOWN_WAIT.to_owned());
            write!(f, "\n\n{what}. {cause}")?;
            write_message(f, &failed.schedule, cancelled)
        }
        _ => match (held, report.verdict()) {
            (Some(held), Verdict::LocksHeld) => write!(f, "\n\n{}", never_released(held)),
            (_, Verdict::Leaked) => f.write_str(
                "\n\nWork that the operation started is still running. Keep tasks in a `JoinSet`, which aborts them \
                 when it is dropped.",
            ),
            _ => Ok(()),
        },
    }
}

/// Why the run hangs, if what it waits for shows what the cancelled operation may owe.
pub(crate) fn diagnosis(failed: &Failed) -> Option<String> {
    let (Cause::Found(report), Some(cancelled)) = (&failed.cause, &failed.cancelled) else {
        return None;
    };
    match report.verdict() {
        Verdict::Hung { wait, .. } | Verdict::Deadlocked { wait } => {
            cause_of_wait(report, wait, held_lock(report, cancelled))
        }
        _ => None,
    }
}

/// Writes where the operation took a message that may be lost. Whether it had handled the message is unknown.
fn write_message(
    f: &mut fmt::Formatter<'_>,
    schedule: &Schedule,
    cancelled: &Cancelled,
) -> fmt::Result {
    let Some(message) = &cancelled.message else {
        return Ok(());
    };
    // An operation that was done has perhaps returned the message.
    let Some(suspended) = suspended_at(schedule) else {
        return Ok(());
    };
    // One that receives again has come past it.
    let receives_again = |call: &Call| suspended.innermost.contains(call);
    if message.calls().first().is_some_and(receives_again) {
        return Ok(());
    }
    let spot = Spot::of(slice::from_ref(message));
    write!(
        f,
        "\n\nSuspected: a message was lost. The operation received it {}, and was cancelled before it ended. If it had \
         handled the message by then, the cause is another one. If not, receive last: first reserve the place the \
         message goes to.",
        spot.text()
    )
}

/// Where the operation was suspended that was cancelled last. `None` if it was done, or had not begun.
fn suspended_at(schedule: &Schedule) -> Option<&Spot> {
    let steps = schedule.steps();
    let last = |is: fn(Mark) -> bool| steps.iter().rposition(|step| is(step.mark()));
    let last = last(|mark| matches!(mark, Mark::Cancels(_)))
        .or_else(|| last(|mark| mark == Mark::IsCancelled))?;
    let (before, step) = (&steps[..last], &steps[last]);
    match step.mark() {
        Mark::Cancels(Progress::Unstarted | Progress::Done) => return None,
        Mark::Cancels(Progress::HalfDone) if *step.spot() != Spot::default() => {
            return Some(step.spot());
        }
        _ => {}
    }
    let mut own = before.iter().rev();
    let previous = own.find(|previous| previous.actor() == step.actor())?;
    (previous.mark() != Mark::Ends).then(|| previous.spot())
}

/// What cannot end. Each is known, not suspected.
fn stuck(schedule: &Schedule, cancelled: &Cancelled, wait: &Wait) -> String {
    match cancelled.stands_in {
        Some(Later::OfSameType) => {
            return "A later operation of the same type hangs: if it is a second attempt, the operation is not \
                    restartable"
                .to_owned();
        }
        Some(Later::Other) => {
            return "The operation that began after the cancelled one hangs".to_owned();
        }
        None => {}
    }
    let functions: FxHashSet<_> = before_cancellation(schedule)
        .filter(|of| !of.is_empty())
        .collect();
    // The outermost call is the body, of which the operation may be a part.
    let calls = places(wait).iter().flat_map(|place| {
        let calls = place.calls().iter().map(Call::function);
        let body = calls.clone().next_back();
        calls.filter(move |of| Some(*of) != body)
    });
    let mut same = calls.filter(|of| functions.contains(of));
    match same.next() {
        Some(function) => {
            format!("After one call of `{function}` was cancelled, another one hangs")
        }
        None => "After the cancellation the body hangs".to_owned(),
    }
}

/// The functions in which operations were left off before the last cancellation.
fn before_cancellation(schedule: &Schedule) -> impl Iterator<Item = &str> {
    let steps = schedule.steps();
    let is_cancellation = |mark| matches!(mark, Mark::IsCancelled | Mark::Cancels(_));
    let last = steps.iter().rposition(|step| is_cancellation(step.mark()));
    let steps = &steps[..last.map_or(0, |last| last + 1)];
    let calls = steps.iter().filter_map(|step| step.spot().call.as_ref());
    calls.map(Call::function)
}

fn places(wait: &Wait) -> &[WaitPlace] {
    match wait {
        Wait::At(places) => places,
        _ => &[],
    }
}

/// The lock that a cancelled operation acquired and that is still held.
fn held_lock<'a>(report: &'a Report, cancelled: &Cancelled) -> Option<&'a Acquisition> {
    let mut holders = report.locks().iter().filter_map(|lock| lock.holder());
    holders.find(|holder| {
        let operation = holder.operation();
        operation.is_some_and(|operation| cancelled.operations.contains(&operation))
    })
}

fn never_released(held: &Acquisition) -> String {
    format!(
        "The cancelled operation acquired a lock at {}, and its guard was never released. Keep the guard in a variable \
         of the operation, whose drop releases it.",
        held.place()
    )
}

/// What the end of the wait may depend on. Only of a `Lock` is it known who holds it.
fn cause_of_wait(report: &Report, wait: &Wait, held: Option<&Acquisition>) -> Option<String> {
    let waits_on = |paths: &[&str]| {
        let tasks = report.tasks().iter().map(LeakedTask::wait);
        let mut on = tasks
            .chain([wait])
            .flat_map(places)
            .filter_map(WaitPlace::on);
        on.any(|on| paths.iter().any(|path| on.contains(path)))
    };
    if let Some(held) = held.filter(|_| waits_on(&["straggler::Lock"])) {
        return Some(never_released(held));
    }
    let suspected = if waits_on(&["::semaphore::"]) {
        "a permit of that semaphore was not returned. Keep the permit of `acquire` in a variable of the operation, \
         whose drop returns it; do not `forget()` it."
    } else if waits_on(&["::mutex::", "::rwlock::", "straggler::Lock"]) {
        "a guard of that lock was never released. Keep the guard in a variable of the operation, whose drop releases \
         it."
    } else if waits_on(&[
        "::notify::",
        "::oneshot::",
        "::mpsc::",
        "::watch::",
        "::broadcast::",
    ]) {
        "the cancelled operation no longer sends what is awaited. Send it in a `drop`, or let that drop the sender."
    } else if waits_on(&["::barrier::"]) {
        "the cancelled operation does not arrive at that barrier. Use a `Rendezvous`, which breaks instead."
    } else {
        return None;
    };
    Some(format!("Suspected: {suspected}"))
}

const UNKNOWN_WAIT: &str = "Suspected: the cancelled operation took something and did not give it back, or owes an answer. Do that in a \
     `drop`, as a guard does.";

/// What may cure an operation whose cancellation broke what the body asserts.
fn after_cancellation(schedule: &Schedule, times: usize) -> Cow<'static, str> {
    let advice = match progress(schedule) {
        // Of two cancellations either may be the cause.
        _ if times > 1 => return half_done(schedule).into(),
        Some(Progress::Unstarted) => {
            "\n\nThe operation was dropped before its first poll, as by a `select!` whose other branch was ready. \
             The body must not count on anything that the operation does."
        }
        Some(Progress::Done) => {
            "\n\nThe operation was done, but was dropped before its caller saw the output. What to do:\n  \
             store the output where the next attempt finds it\n  \
             or make it harmless to repeat the operation"
        }
        Some(Progress::HalfDone) | None => return half_done(schedule).into(),
    };
    advice.into()
}

/// How far the first operation was that was cancelled.
fn progress(schedule: &Schedule) -> Option<Progress> {
    let mut before = None;
    for step in schedule.steps() {
        match step.mark() {
            Mark::Cancels(progress) => return Some(progress),
            Mark::IsCancelled => {
                return Some(match before {
                    None => Progress::Unstarted,
                    Some(Mark::Ends) => Progress::Done,
                    Some(_) => Progress::HalfDone,
                });
            }
            mark => before = Some(mark),
        }
    }
    None
}

fn half_done(schedule: &Schedule) -> String {
    // The operation has spawned a task already, which perhaps makes the change.
    let task = if awaited_task(schedule) {
        "or, if the awaited task completes the change: let the test wait for that task before it asserts"
    } else {
        "or spawn the change as a task, which completes even if its caller is cancelled, and let the test wait for it \
         before it asserts"
    };
    format!(
        "\n\nWhat the operation did before the cancellation stays, and the rest is missing. What to do:\n  \
         make the whole change after the last `.await`\n  \
         or undo the first part in the `drop` of a guard, which cannot await, until the rest is done\n  {task}"
    )
}

/// Whether the operation was awaiting a spawned task when it was cancelled last.
fn awaited_task(schedule: &Schedule) -> bool {
    let suspended = suspended_at(schedule);
    let is_task = |on: &String| on.contains("JoinHandle");
    suspended.is_some_and(|spot| spot.on.iter().any(is_task))
}
