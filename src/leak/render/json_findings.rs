//! What a report found, for [`json`](super::json).

use std::time::Duration;

use crate::leak::render::groups;
use crate::leak::render::json_value::{Object, Value};
use crate::leak::report::Report;
use crate::leak::report::acquisition::Acquisition;
use crate::leak::report::blocking_work::BlockingWork;
use crate::leak::report::leaked_task::LeakedTask;
use crate::leak::report::lock_state::LockState;
use crate::leak::report::spawned_by::SpawnedBy;
use crate::leak::report::task_panic::TaskPanic;
use crate::leak::report::verdict::Verdict;
use crate::trace::blocked::Blocked;
use crate::trace::call::Call;
use crate::trace::place::Place;
use crate::trace::wait::{Wait, WaitPlace};

/// How many entries of a list a line has.
pub(super) const LISTED: usize = 100;

/// A finding: `what` begins with its kind.
pub(super) fn finding<'a>(place: Option<&'a Place>, count: usize, what: Object<'a>) -> Object<'a> {
    at(place).with("count", count).and(what)
}

/// Lists the panics of a report.
pub(super) fn of_panics(report: &Report) -> Vec<Object<'_>> {
    let groups = groups::of_panics(report.panics()).into_iter();
    let findings =
        groups.map(|alike| finding(alike[0].spawned_at(), alike.len(), of_panic(&alike)));
    findings.collect()
}

/// Lists the findings of a report other than panics and its verdict on the test itself.
pub(super) fn of_leftovers(report: &Report) -> Vec<Object<'_>> {
    let mut findings = Vec::new();
    let mut find = |place, count, what| findings.push(finding(place, count, what));
    for alike in groups::of_tasks(report.tasks()) {
        let task = of_task(&alike, report.clock_stood_still());
        find(Some(alike[0].place()), alike.len(), task);
    }
    if report.unseen() > 0 {
        find(None, report.unseen(), kind("unseen_tasks"));
    }
    for alike in groups::of_blocking(report.blocking()) {
        find(Some(alike[0].place()), alike.len(), of_blocking(&alike));
    }
    if report.unseen_blocking() > 0 {
        let findings = report.findings();
        let blocked = findings.unseen_blocked.iter().filter_map(blocked_at);
        let what = kind("unseen_blocking")
            .with("may_be_tasks", findings.may_be_tasks)
            .with("blocked_at", blocked.take(LISTED).collect::<Vec<_>>());
        find(None, report.unseen_blocking(), what);
    }
    for alike in groups::of_locks(report.locks()) {
        let place = alike[0].holder().map(Acquisition::place);
        find(place, alike.len(), of_lock(alike[0]));
    }
    for alike in groups::of_threads(report.threads()) {
        find(
            None,
            alike.len(),
            kind("thread").with("name", alike[0].name()),
        );
    }
    // As the verdict itself, it is listed already.
    let is_verdict = matches!(report.verdict(), Verdict::CheckFailed(_));
    let unknown = report.findings().threads_unknown.as_ref();
    if let Some(message) = unknown.filter(|_| !is_verdict) {
        find(Some(report.place()), 1, message_of("check_failed", message));
    }
    findings
}

/// Returns the finding about the test itself, if the verdict is one.
pub(super) fn of_test(report: &Report) -> Option<Object<'_>> {
    let standstill = report.findings().standstill;
    Some(match report.on_test() {
        Verdict::Panicked
        | Verdict::Leaked
        | Verdict::BlockingLeaked
        | Verdict::LocksHeld
        | Verdict::ThreadsLeaked => return None,
        Verdict::Hung { timeout, wait } => {
            let idle = standstill.map(|standstill| milliseconds(standstill.time()));
            kind("hang")
                .with("timeout_ms", milliseconds(*timeout))
                .with("body_polls", standstill.map(|standstill| standstill.polls))
                .with("idle_ms", idle)
                .with("waits_for", waits_for(wait))
        }
        Verdict::Deadlocked { wait } => kind("deadlock").with("waits_for", waits_for(wait)),
        Verdict::Late { timeout, took } => kind("late")
            .with("timeout_ms", milliseconds(*timeout))
            .with("took_ms", milliseconds(*took)),
        Verdict::Stuck => kind("stuck"),
        Verdict::NotRun(message) => message_of("not_run", message),
        Verdict::CheckFailed(message) => message_of("check_failed", message),
    })
}

/// The beginning of what a finding is.
pub(super) fn kind(kind: &'static str) -> Object<'static> {
    Object::new().with("kind", kind)
}

pub(super) fn message_of<'a>(name: &'static str, message: &'a str) -> Object<'a> {
    kind(name).with("message", message)
}

/// Describes a group of equal tasks.
///
/// No timer fires while the clock stands still.
fn of_task<'a>(alike: &[&'a LeakedTask], clock_stands_still: bool) -> Object<'a> {
    let first = alike[0];
    let polls = alike.iter().filter_map(|task| task.polls());
    let (least, most) = (polls.clone().min(), polls.max());
    let polls = least.zip(most);
    let fires_in = alike.iter().filter_map(|task| task.fires_in()).min();
    let polls = polls.map(|(least, most)| Object::new().with("least", least).with("most", most));
    kind("task")
        .with("numbers", numbers(alike.iter().map(|task| task.number())))
        .with("name", first.name())
        .with("background", first.is_background())
        .with("called_at", first.caller().map(called))
        .and(chain(first.spawned_by()))
        .with("waits_for", waits_for(first.wait()))
        .with("age_ms", milliseconds(first.age()))
        .with("polls", polls)
        .with_some(
            "fires_in_ms",
            fires_in.filter(|_| !clock_stands_still).map(milliseconds),
        )
}

/// Describes a group of equal panics.
fn of_panic<'a>(alike: &[&'a TaskPanic]) -> Object<'a> {
    let first = alike[0];
    let known = alike.iter().filter_map(|panic| panic.number());
    kind("panic")
        .with("numbers", numbers(known))
        .with("name", first.name())
        .with("background", first.is_background())
        .with("called_at", first.caller().map(called))
        .and(chain(first.spawned_by()))
        .with("blocking", first.is_blocking())
        .with("panicked_at", first.place().map(|place| at(Some(place))))
        .with("message", first.message())
}

/// Describes a group of equal closures.
fn of_blocking<'a>(alike: &[&'a BlockingWork]) -> Object<'a> {
    let first = alike[0];
    kind("blocking")
        .with("numbers", numbers(alike.iter().map(|work| work.number())))
        .with("queued", first.is_queued())
        .and(chain(first.spawned_by()))
        .with("blocked_at", first.blocked().and_then(blocked_at))
        .with("age_ms", milliseconds(first.age()))
}

fn of_lock(lock: &LockState) -> Object<'_> {
    let holder = lock.holder();
    let held = holder.and_then(Acquisition::time);
    kind("lock")
        .with("held_by", holder.and_then(Acquisition::by).map(spawner))
        .with("held_ms", held.map(milliseconds))
        .and(listed(
            "waiters",
            "waiters_omitted",
            lock.waiters().iter().map(waiter),
        ))
}

/// A place, with every field `null` if there is none.
pub(super) fn at(place: Option<&Place>) -> Object<'_> {
    Object::new()
        .with("file", place.map(Place::file))
        .with("line", place.map(Place::line))
        .with("column", place.and_then(Place::column))
}

fn called(call: &Call) -> Object<'_> {
    Object::new()
        .with("function", call.function())
        .and(at(call.place()))
}

/// The chain of spawners.
fn chain(spawners: &[SpawnedBy]) -> Object<'_> {
    listed(
        "spawned_by",
        "spawned_by_omitted",
        spawners.iter().map(spawner),
    )
}

fn spawner(spawner: &SpawnedBy) -> Object<'_> {
    let by = |word: &'static str| Object::new().with("by", word);
    match spawner {
        SpawnedBy::Test => by("test"),
        SpawnedBy::UnknownTask => by("unknown_task"),
        SpawnedBy::NoTask => by("no_task"),
        SpawnedBy::Task {
            number,
            name,
            place,
        } => by("task")
            .with("number", *number)
            .with("name", name.as_deref())
            .and(at(Some(place))),
    }
}

fn waiter(waiter: &Acquisition) -> Object<'_> {
    at(Some(waiter.place()))
        .with("waits_by", waiter.by().map(spawner))
        .with("waiting_ms", waiter.time().map(milliseconds))
}

fn waits_for(wait: &Wait) -> Object<'_> {
    let (places, blocked) = match wait {
        Wait::At(places) | Wait::Busy(places) => (places.as_slice(), None),
        Wait::Blocks(blocked) => (&[][..], Some(blocked)),
        _ => (&[][..], None),
    };
    let places = places.iter().map(waits_at);
    let places = places.chain(blocked.and_then(blocked_at));
    let blocks_for = blocked.map(|blocked| milliseconds(blocked.time()));
    Object::new()
        .with("state", state(wait))
        .and(listed("places", "places_omitted", places))
        .with("blocks_for_ms", blocks_for)
}

/// Returns the value of `state`.
pub(super) fn state(wait: &Wait) -> &'static str {
    match wait {
        Wait::At(_) => "waiting",
        Wait::Busy(_) => "busy",
        Wait::Unwakeable => "unwakeable",
        Wait::LostWakeUp => "lost_wake_up",
        Wait::PanicsUnwoken { .. } => "panics_unwoken",
        Wait::Blocks(_) => "blocks",
        Wait::Unstarted => "never_polled",
        Wait::Unanswered => "unanswered",
        Wait::Unknown => "unknown",
    }
}

/// Returns where a thread is blocked, if that is known.
fn blocked_at(blocked: &Blocked) -> Option<Object<'_>> {
    let (on, calls) = (blocked.inside(), blocked.calls());
    (on.is_some() || !calls.is_empty()).then(|| wait_place(on, calls, &[]))
}

fn waits_at(place: &WaitPlace) -> Object<'_> {
    wait_place(place.on(), place.calls(), place.children())
}

fn wait_place<'a>(on: Option<&'a str>, calls: &'a [Call], children: &'a [String]) -> Object<'a> {
    let children = children.iter().map(String::as_str);
    Object::new()
        .with("on", on)
        .and(listed("calls", "calls_omitted", calls.iter().map(called)))
        .and(listed("children", "children_omitted", children))
}

/// The first entries of a list as the field `name`, and if there are more, their number as `omitted`.
pub(super) fn listed<'a, T: Into<Value<'a>>>(
    name: &'static str,
    omitted: &'static str,
    all: impl IntoIterator<Item = T>,
) -> Object<'a> {
    let mut all = all.into_iter();
    let first: Vec<_> = all.by_ref().take(LISTED).collect();
    let rest = all.count();
    Object::new()
        .with(name, first)
        .with_some(omitted, (rest > 0).then_some(rest))
}

/// The first of many numbers: `count` counts them all.
fn numbers(all: impl Iterator<Item = usize>) -> Vec<usize> {
    all.take(LISTED).collect()
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
