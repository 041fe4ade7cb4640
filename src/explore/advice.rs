//! What to do about a body that fails in one schedule only. The leak check has its own advice on what it finds.

use rustc_hash::FxHashSet;

use crate::explore::failure::{Cause, Failed};
use crate::schedule::points;
use crate::schedule::step::{Mark, Schedule, Step};
use crate::trace::call::Call;

/// The steps that may fix the failure. Empty if the schedule is not known to matter.
pub(crate) fn advice(failed: &Failed) -> Vec<String> {
    let message = match &failed.cause {
        Cause::Panicked { panic, .. } => panic.message(),
        Cause::ReturnedError { error, .. } => Some(&**error),
        Cause::Found(_)
        | Cause::NoOverlap
        | Cause::Unscheduled(_)
        | Cause::Diverged(_)
        | Cause::NothingToCancel
        | Cause::NotRun(_) => {
            return Vec::new();
        }
    };
    // The notes on kept state and on a clock that jumps say what to do.
    if failed.reorderings.is_none() || failed.note.is_some() || failed.clock_jump.is_some() {
        return Vec::new();
    }
    // The `Debug` text of tokio's error.
    if message.is_some_and(|message| message.contains("Elapsed(())")) {
        return vec![TIMEOUT.to_owned()];
    }
    let schedule = &failed.schedule;
    // With scheduling points no poll by hand finds the budget spent.
    if schedule.panics_without_budget && !points::ARE_PRESENT {
        return vec![BY_HAND.to_owned()];
    }
    // Branches of one future have no steps of their own, so nothing is known of their order.
    if !has_several_actors(schedule) {
        return Vec::new();
    }
    if let Some(step) = two_locks(schedule) {
        return vec![step];
    }
    if let Some(step) = not_awaited(schedule) {
        return vec![step, ACCEPT.to_owned()];
    }
    if let Some(step) = interrupted(schedule) {
        return vec![step, ACCEPT.to_owned()];
    }
    if has_one_step_each(schedule) {
        return vec![AWAIT.to_owned(), ACCEPT.to_owned()];
    }
    match put_off(schedule) {
        Some(step) => vec![step, ACCEPT.to_owned()],
        None => Vec::new(),
    }
}

const TIMEOUT: &str = "if a `timeout` elapsed: on a paused clock it does so only when nothing else can run, so find what \
     the future inside it waits for, and why that does not happen in this schedule";

const BY_HAND: &str = "if the test polls by hand: such a poll is pending here only because the schedule left no budget. Use `now_or_never` \
     or `tokio_test::task` instead of `poll!`, or run `cargo straggler explore`, which never makes these two yield";

const ACCEPT: &str = "if this order is valid: make the test accept it";

const AWAIT: &str =
    "if the order matters: let one wait for the other, as by an `.await`, a channel or a lock";

fn has_several_actors(schedule: &Schedule) -> bool {
    let mut actors = schedule.steps().iter().map(Step::actor);
    let first = actors.next();
    actors.any(|actor| Some(actor) != first)
}

/// Whether nothing but the order of the actors can matter.
fn has_one_step_each(schedule: &Schedule) -> bool {
    let mut seen = FxHashSet::default();
    schedule
        .steps()
        .iter()
        .all(|step| seen.insert(step.actor()))
}

/// An actor that leaves off at two places, and others that run in between.
struct Gap<'a> {
    actor: &'a str,
    /// An actor that runs in between.
    other: &'a str,
    first: (usize, &'a Step),
    second: (usize, &'a Step),
}

/// Finds a function that takes two locks one after the other, with others in between: maybe it reads under one
/// guard, and writes under another.
fn two_locks(schedule: &Schedule) -> Option<String> {
    let gap = gaps(schedule).into_iter().find(|gap| {
        let [first, second] = [gap.first.1, gap.second.1].map(locking_call);
        let calls = first.zip(second);
        calls.is_some_and(|(first, second)| {
            let is_known = !first.function().is_empty() && first.place().is_some();
            is_known && first.function() == second.function() && first.place() != second.place()
        })
    })?;
    let [first, second] = [gap.first.1, gap.second.1].map(locking_call);
    let (first, second) = (first?, second?);
    let (function, other) = (first.function(), gap.other);
    Some(format!(
        "if `{function}` locks the same value at {} (step {}) and at {} (step {}): {other} may have changed the value \
         in between. Hold one guard over both, or make them one operation",
        first.place()?,
        gap.first.0,
        second.place()?,
        gap.second.0
    ))
}

/// Finds an actor that yields while others run.
fn interrupted(schedule: &Schedule) -> Option<String> {
    let gaps = gaps(schedule);
    let gap = gaps.iter().find(|gap| gap.first.1.mark() == Mark::Yields)?;
    let (actor, other, (first, _), (second, _)) = (gap.actor, gap.other, gap.first, gap.second);
    Some(format!(
        "if {other} must not run between step {first} and step {second} of {actor}: hold one lock over both, or let \
         {other} wait for {actor}"
    ))
}

/// Finds an actor that fails after a `yield_now`, though another one has not run on since.
fn not_awaited(schedule: &Schedule) -> Option<String> {
    let (last, before) = schedule.steps().split_last()?;
    let at = before
        .iter()
        .rposition(|step| step.actor() == last.actor())?;
    let yields = &before[at];
    let is_own = |on: &String| on.ends_with("::yield_now");
    if yields.mark() != Mark::Yields || !yields.spot().on.iter().any(is_own) {
        return None;
    }
    let (actor, step) = (last.actor(), schedule.number(at));
    let other = ready(schedule).into_iter().rfind(|other| *other != actor)?;
    Some(format!(
        "if {actor} needs {other} to get further first: wait for that, as by a handle or a channel. `yield_now` (step \
         {step}) lets others run, but does not wait for them"
    ))
}

/// Finds an actor that was put off, and has not run when another one fails.
fn put_off(schedule: &Schedule) -> Option<String> {
    let last = schedule.steps().last()?.actor();
    let ready = ready(schedule);
    let steps = schedule.steps().iter().enumerate();
    let (index, step) = steps
        .rev()
        .find(|(_, step)| step.mark() == Mark::RunsLater && ready.contains(&step.actor()))?;
    let (other, number) = (step.actor(), schedule.number(index));
    Some(format!(
        "if {last} needs {other} to run first, which was put off (step {number}): wait for that, as by a handle or a \
         channel"
    ))
}

/// The actors that can run when the schedule ends, in the order in which they could.
fn ready(schedule: &Schedule) -> Vec<&str> {
    let mut ready = Vec::new();
    for step in schedule.steps() {
        ready.retain(|known| *known != step.actor());
        if matches!(step.mark(), Mark::Yields | Mark::RunsLater) {
            ready.push(step.actor());
        }
        for woken in step.wakes() {
            ready.retain(|known| known != woken);
            ready.push(woken);
        }
    }
    ready
}

/// All pairs of consecutive steps of an actor with a step of another one in between.
fn gaps(schedule: &Schedule) -> Vec<Gap<'_>> {
    let numbered = schedule.steps().iter().enumerate();
    let steps: Vec<_> = numbered
        .map(|(index, step)| (schedule.number(index), step))
        .collect();
    let mut gaps = Vec::new();
    for (index, first) in steps.iter().enumerate() {
        let actor = first.1.actor();
        let mut later = steps[index + 1..].iter();
        let Some(other) = later.next().filter(|(_, step)| step.actor() != actor) else {
            continue;
        };
        if let Some(second) = later.find(|(_, step)| step.actor() == actor) {
            gaps.push(Gap {
                actor,
                other: other.1.actor(),
                first: *first,
                second: *second,
            });
        }
    }
    gaps
}

/// The call at which a step leaves off to take a lock.
fn locking_call(step: &Step) -> Option<&Call> {
    let is_lock = |on: &String| {
        let locks = ["straggler::Lock", "::mutex::", "::rwlock::"];
        locks.iter().any(|lock| on.contains(lock))
    };
    let spot = step.spot();
    let is_left = matches!(step.mark(), Mark::Yields | Mark::Waits);
    let is_locking = is_left && spot.branches.is_empty() && spot.on.iter().any(is_lock);
    spot.call.as_ref().filter(|_| is_locking)
}
