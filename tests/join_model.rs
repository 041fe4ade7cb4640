//! Runs random programs on a join and on a plain model, and compares the two.
//!
//! A program is a script for each child and a list of actions from outside. The model is a queue of
//! woken children, served in batches, at most 128 children a poll. It predicts every poll, drop,
//! wake-up and outcome, in order.
//!
//! In a binary of its own, because it replaces the panic hook to count panics.

mod common;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Waker};
use std::thread;

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use straggler::future::{OnPanic, SettleAll};
use straggler::{Panic, Settled, barrier, settle_all};

use self::common::Wakes;

// ---- Programs. The number of a child in a program is taken modulo the number of children.

#[derive(Debug)]
struct Program {
    scripts: Vec<Script>,
    form: Form,
    limit: usize,
    has_deadline: bool,
    actions: Vec<Action>,
    finale: Finale,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    SettleAll,
    CatchUnwind,
    /// Without a limit or deadline.
    Barrier,
}

/// What a child does: one step per poll. Once the steps have run out, it stays pending.
#[derive(Clone, Debug)]
struct Script {
    steps: Vec<Step>,
    wakes_in_drop: Vec<usize>,
    panics_in_drop: bool,
    output_panics_in_drop: bool,
}

#[derive(Clone, Debug)]
struct Step {
    /// The child keeps the waker of this poll after this many of `wakes`. Before, or with `None`,
    /// it keeps none.
    keeps_waker_after: Option<usize>,
    /// The children it wakes. `None` is the child itself.
    wakes: Vec<Option<usize>>,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Pending,
    Ok,
    Err,
    Panic(Payload),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Payload {
    Str,
    String,
    Custom,
    /// Panics on drop.
    Bomb,
}

#[derive(Clone, Debug)]
enum Action {
    /// Polls the join, woken or not, with the waker of one of two parents.
    Poll(usize),
    /// Wakes a child, completed or not, with the waker it has kept.
    Wake(usize),
    /// Drops a child's kept waker.
    LetGo(usize),
    PassDeadline,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Finale {
    /// Wakes and polls while there is progress, then lets the deadline pass.
    Drain,
    Drop,
    DropWhileUnwinding,
}

prop_compose! {
    fn step(wakes: usize, stuck: f64, then: impl Strategy<Value = Then>)(
        keeps_waker in weighted(1.0 - stuck),
        after in 0..=wakes,
        wakes in vec(option::of(0..200_usize), 0..=wakes),
        then in then,
    ) -> Step {
        Step { keeps_waker_after: keeps_waker.then_some(after), wakes, then }
    }
}

prop_compose! {
    fn last_step(wakes: usize, panics: f64, stuck: f64)(
        step in step(wakes, stuck, select(&[Then::Ok, Then::Err][..])),
        payload in select(&[Payload::Str, Payload::String, Payload::Custom, Payload::Bomb][..]),
        panics in weighted(panics),
    ) -> Step {
        let then = if panics { Then::Panic(payload) } else { step.then };
        Step { then, ..step }
    }
}

prop_compose! {
    /// `wakes` is the maximum number of wake-ups in a step, `panics` the probability of each
    /// possible panic, `stuck` the probability that a child keeps no waker or never completes.
    fn script(wakes: usize, panics: f64, stuck: f64)(
        mut steps in vec(step(wakes, stuck, Just(Then::Pending)), 0..=4),
        last_step in last_step(wakes, panics, stuck),
        ends in weighted(1.0 - stuck),
        wakes_in_drop in vec(0..200_usize, 0..=wakes.min(1)),
        panics_in_drop in weighted(panics),
        output_panics_in_drop in weighted(panics),
    ) -> Script {
        steps.extend(ends.then_some(last_step));
        Script { steps, wakes_in_drop, panics_in_drop, output_panics_in_drop }
    }
}

prop_compose! {
    fn program()(
        scripts in prop_oneof![
            3 => vec(script(4, 0.0, 0.05), 0..=3),
            3 => vec(script(2, 0.0, 0.0), 0..=12),
            3 => vec(script(2, 0.0, 0.1), 0..=12),
            6 => vec(script(2, 0.1, 0.0), 0..=12),
            6 => vec(script(2, 0.1, 0.1), 0..=12),
            2 => vec(script(2, 0.0, 0.0), 120..=200),
            2 => vec(script(0, 0.0, 0.0), 120..=200),
            2 => vec(script(2, 0.02, 0.02), 120..=200),
        ],
        form in select(&[Form::SettleAll, Form::CatchUnwind, Form::Barrier][..]),
        limit in prop_oneof![Just(usize::MAX), 1..=4_usize, 100..=160_usize],
        has_deadline in any::<bool>(),
        actions in vec(
            prop_oneof![
                10 => (0..2_usize).prop_map(Action::Poll),
                10 => (0..200_usize).prop_map(Action::Wake),
                2 => (0..200_usize).prop_map(Action::LetGo),
                1 => Just(Action::PassDeadline),
            ],
            0..=24,
        ),
        finale in prop_oneof![
            4 => Just(Finale::Drain),
            1 => Just(Finale::Drop),
            1 => Just(Finale::DropWhileUnwinding),
        ],
    ) -> Program {
        let is_barrier = form == Form::Barrier;
        let limit = if is_barrier { usize::MAX } else { limit };
        Program { scripts, form, limit, has_deadline: has_deadline && !is_barrier, actions, finale }
    }
}

// ---- Observations of a running program.

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Polled(usize),
    Dropped(usize),
    OutputDropped(usize),
}

/// A panic, read from its payload: the child and the cause.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fault(usize, Cause);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Poll(Payload),
    Drop,
    OutputDrop,
}

/// How a child ended. The indices come from the outputs, so that a misplaced output is detected.
type End = Result<Result<usize, usize>, Fault>;

/// The result of polling the join.
#[derive(Debug, PartialEq)]
enum Outcome {
    Pending,
    /// The outputs and the completion order.
    Settled(Vec<End>, Vec<usize>),
    /// The settled children, and of the pending ones: index, polls, whether it can be woken.
    Unsettled(Vec<(usize, End)>, Vec<(usize, usize, bool)>),
    Barrier(Result<Vec<usize>, usize>),
    Panicked(Fault),
}

// ---- The model.

struct Model<'p> {
    program: &'p Program,
    /// The children to be polled.
    line: VecDeque<usize>,
    /// The children woken since the last poll began. They join the line at the next one.
    woken: Vec<usize>,
    /// How many children at the head of the line must be polled before the deadline counts.
    batch: usize,
    deadline_passed: bool,
    polls: Vec<usize>,
    /// Whether each child has kept a waker.
    keeps_waker: Vec<bool>,
    /// How many children the limit has admitted, and how many of those were polled.
    admitted: usize,
    started: usize,
    ends: Vec<Option<End>>,
    completion_order: Vec<usize>,
    parent_woken: bool,
    /// Events since the last comparison.
    events: Vec<Event>,
    /// The total number of panics.
    panics: usize,
}

impl<'p> Model<'p> {
    fn new(program: &'p Program) -> Self {
        let count = program.scripts.len();
        Self {
            program,
            line: VecDeque::new(),
            woken: Vec::new(),
            batch: 0,
            deadline_passed: false,
            polls: vec![0; count],
            keeps_waker: vec![false; count],
            admitted: 0,
            started: 0,
            ends: vec![None; count],
            completion_order: Vec::new(),
            parent_woken: false,
            events: Vec::new(),
            panics: 0,
        }
    }

    fn count(&self) -> usize {
        self.program.scripts.len()
    }

    fn poll(&mut self, deadline_passed: bool) -> Outcome {
        self.parent_woken = false;
        self.line.extend(self.woken.drain(..));
        if self.batch_is_served() || deadline_passed != self.deadline_passed {
            self.batch = self.line.len();
        }
        self.admit();
        self.deadline_passed = deadline_passed;
        for _ in 0..128 {
            if !self.batch_is_served() {
                self.serve_next();
            }
        }
        if self.completion_order.len() == self.count() {
            return self.settle();
        }
        if self.batch_is_served() && deadline_passed {
            return self.give_up();
        }
        self.parent_woken =
            !self.line.is_empty() || !self.woken.is_empty() || !self.batch_is_served();
        Outcome::Pending
    }

    /// Admits the next children, unless the deadline has passed. They are served after the children
    /// of the current batch.
    fn admit(&mut self) {
        if self.deadline_passed {
            return;
        }
        let most = self.program.limit;
        while self.admitted < self.count() && self.admitted - self.completion_order.len() < most {
            self.admitted += 1;
        }
    }

    fn batch_is_served(&self) -> bool {
        self.batch == 0 && self.started == self.admitted
    }

    fn serve_next(&mut self) {
        let child = if self.batch > 0 {
            self.batch -= 1;
            self.line.pop_front().expect("a batch is part of the line")
        } else {
            self.started += 1;
            self.started - 1
        };
        if let Some(end) = self.poll_child(child) {
            let end = match (end, self.drop_future(child)) {
                (Ok(_), Some(fault)) => {
                    self.drop_output(child);
                    Err(fault)
                }
                (end, _) => end,
            };
            self.ends[child] = Some(end);
            self.completion_order.push(child);
            // It may have woken itself before it completed.
            self.woken.retain(|&woken| woken != child);
            self.admit();
        }
    }

    fn poll_child(&mut self, child: usize) -> Option<End> {
        self.events.push(Event::Polled(child));
        let step = self.program.scripts[child].steps.get(self.polls[child]);
        self.polls[child] += 1;
        self.keeps_waker[child] = false;
        let step = step?;
        for (nth, whom) in step.wakes.iter().enumerate() {
            self.keeps_waker[child] |= step.keeps_waker_after == Some(nth);
            match *whom {
                None => self.wake(child),
                Some(other) => self.wake_if_kept(other % self.count()),
            }
        }
        self.keeps_waker[child] |= step.keeps_waker_after >= Some(step.wakes.len());
        match step.then {
            Then::Pending => None,
            Then::Ok => Some(Ok(Ok(child))),
            Then::Err => Some(Ok(Err(child))),
            Then::Panic(payload) => Some(Err(self.panic(child, Cause::Poll(payload)))),
        }
    }

    fn wake(&mut self, child: usize) {
        if self.ends[child].is_none() && !self.is_woken(child) {
            self.woken.push(child);
            self.parent_woken = true;
        }
    }

    fn is_woken(&self, child: usize) -> bool {
        self.line.contains(&child) || self.woken.contains(&child)
    }

    fn wake_if_kept(&mut self, child: usize) {
        if self.keeps_waker[child] {
            self.wake(child);
        }
    }

    fn panic(&mut self, child: usize, cause: Cause) -> Fault {
        self.panics += 1;
        Fault(child, cause)
    }

    fn drop_future(&mut self, child: usize) -> Option<Fault> {
        self.events.push(Event::Dropped(child));
        let script = &self.program.scripts[child];
        for other in &script.wakes_in_drop {
            self.wake_if_kept(other % self.count());
        }
        let panics = script.panics_in_drop;
        panics.then(|| self.panic(child, Cause::Drop))
    }

    fn drop_output(&mut self, child: usize) -> Option<Fault> {
        self.events.push(Event::OutputDropped(child));
        let panics = self.program.scripts[child].output_panics_in_drop;
        panics.then(|| self.panic(child, Cause::OutputDrop))
    }

    /// Drops all outputs except that of `spared`, and returns the panics of the drops.
    fn drop_outputs(&mut self, spared: Option<usize>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for child in (0..self.count()).filter(|&child| spared != Some(child)) {
            if let Some(Ok(_)) = self.ends[child] {
                faults.extend(self.drop_output(child));
            }
        }
        faults
    }

    /// The panic that outranks every other outcome.
    fn first_panic(&self) -> Option<Fault> {
        let mut ends = self.completion_order.iter().map(|&child| self.ends[child]);
        ends.find_map(|end| match end {
            Some(Err(fault)) if self.program.form != Form::CatchUnwind => Some(fault),
            _ => None,
        })
    }

    fn settle(&mut self) -> Outcome {
        if let Some(fault) = self.first_panic() {
            self.drop_outputs(None);
            return Outcome::Panicked(fault);
        }
        let completion_order = self.completion_order.clone();
        if self.program.form != Form::Barrier {
            let outputs = self.ends.iter().copied().flatten().collect();
            return Outcome::Settled(outputs, completion_order);
        }
        let mut in_order = completion_order.into_iter();
        let first_error = in_order.find(|&child| self.ends[child] == Some(Ok(Err(child))));
        let Some(first_error) = first_error else {
            return Outcome::Barrier(Ok((0..self.count()).collect()));
        };
        let Some(&fault) = self.drop_outputs(Some(first_error)).first() else {
            return Outcome::Barrier(Err(first_error));
        };
        self.drop_output(first_error);
        Outcome::Panicked(fault)
    }

    fn give_up(&mut self) -> Outcome {
        let unsettled = (0..self.count()).filter(|&child| self.ends[child].is_none());
        let report = |child| {
            let can_be_woken = self.is_woken(child) || self.keeps_waker[child];
            let polls = self.polls[child];
            (child, polls, polls == 0 || can_be_woken)
        };
        let mut pending: Vec<_> = unsettled.map(report).collect();
        // A child whose drop panics has settled with that panic.
        pending.retain(|&(child, ..)| {
            let fault = self.drop_future(child);
            self.ends[child] = fault.map(Err);
            self.completion_order.extend(fault.map(|_| child));
            fault.is_none()
        });
        if pending.is_empty() {
            return self.settle();
        }
        if let Some(fault) = self.first_panic() {
            self.drop_outputs(None);
            return Outcome::Panicked(fault);
        }
        let ends = self.completion_order.iter();
        let settled = ends
            .filter_map(|&child| Some((child, self.ends[child]?)))
            .collect();
        Outcome::Unsettled(settled, pending)
    }

    /// Drops all futures and outputs before the join is ready. Returns the panic that it resumes.
    fn drop_half_way(&mut self) -> Option<Fault> {
        let held_back = self.first_panic();
        let mut caused = Vec::new();
        for child in 0..self.count() {
            caused.extend(match self.ends[child] {
                None => self.drop_future(child),
                Some(Ok(_)) => self.drop_output(child),
                Some(Err(_)) => None,
            });
        }
        held_back.or(caused.first().copied())
    }
}

// ---- The children: they follow their scripts and record their polls and drops.

struct World<'p> {
    program: &'p Program,
    /// Events since the last comparison.
    events: RefCell<Vec<Event>>,
    /// The wakers that the children have kept.
    wakers: RefCell<Vec<Option<Waker>>>,
    deadline_passed: Cell<bool>,
}

impl World<'_> {
    fn record(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn keep(&self, child: usize, waker: Option<&Waker>) {
        let before = mem::replace(&mut self.wakers.borrow_mut()[child], waker.cloned());
        drop(before);
    }

    fn wake(&self, child: usize) {
        // Wakes a clone, since waking may run code that borrows the wakers.
        let waker = self.wakers.borrow()[child].clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Child<'w> {
    index: usize,
    polls: usize,
    world: &'w World<'w>,
}

type Ended<'w> = Result<Output<'w>, Output<'w>>;

impl<'w> Future for Child<'w> {
    type Output = Ended<'w>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended<'w>> {
        let (index, world) = (self.index, self.world);
        world.record(Event::Polled(index));
        let step = world.program.scripts[index].steps.get(self.polls);
        self.polls += 1;
        world.keep(index, None);
        let Some(step) = step else {
            return Poll::Pending;
        };
        for (nth, whom) in step.wakes.iter().enumerate() {
            if step.keeps_waker_after == Some(nth) {
                world.keep(index, Some(context.waker()));
            }
            match *whom {
                None => context.waker().wake_by_ref(),
                Some(other) => world.wake(other % world.program.scripts.len()),
            }
        }
        if step.keeps_waker_after >= Some(step.wakes.len()) {
            world.keep(index, Some(context.waker()));
        }
        let world = Some(world);
        match step.then {
            Then::Pending => Poll::Pending,
            Then::Ok => Poll::Ready(Ok(Output { index, world })),
            Then::Err => Poll::Ready(Err(Output { index, world })),
            Then::Panic(payload) => raise(Fault(index, Cause::Poll(payload))),
        }
    }
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        self.world.record(Event::Dropped(self.index));
        let scripts = &self.world.program.scripts;
        for other in &scripts[self.index].wakes_in_drop {
            self.world.wake(other % scripts.len());
        }
        if scripts[self.index].panics_in_drop {
            raise(Fault(self.index, Cause::Drop));
        }
    }
}

struct Output<'w> {
    index: usize,
    /// `None` once the join has returned the output: its drop is then no longer recorded.
    world: Option<&'w World<'w>>,
}

impl Output<'_> {
    fn claim(mut self) -> usize {
        self.world = None;
        self.index
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        let Some(world) = self.world else { return };
        world.record(Event::OutputDropped(self.index));
        if world.program.scripts[self.index].output_panics_in_drop {
            raise(Fault(self.index, Cause::OutputDrop));
        }
    }
}

// ---- Panics.

struct Bomb(Fault);

impl Drop for Bomb {
    fn drop(&mut self) {
        // Does not run the panic hook, whose runs must equal the number of panics in the model.
        resume_unwind(Box::new("a payload was dropped"));
    }
}

fn raise(fault: Fault) -> ! {
    let Fault(child, cause) = fault;
    match cause {
        Cause::Poll(Payload::Str) => panic_any(&*child.to_string().leak()),
        Cause::Poll(Payload::String) => panic_any(child.to_string()),
        Cause::Poll(Payload::Bomb) => panic_any(Bomb(fault)),
        Cause::Poll(Payload::Custom) | Cause::Drop | Cause::OutputDrop => panic_any(fault),
    }
}

fn fault_of(payload: Box<dyn Any + Send>) -> Fault {
    let parsed = |text: &str, payload| {
        let child = text
            .parse()
            .unwrap_or_else(|_| panic!("not a child's panic: {text}"));
        Fault(child, Cause::Poll(payload))
    };
    if let Some(text) = payload.downcast_ref::<&str>() {
        parsed(text, Payload::Str)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        parsed(text, Payload::String)
    } else if let Some(&Bomb(fault)) = payload.downcast_ref() {
        mem::forget(payload);
        fault
    } else {
        *payload.downcast().expect("a payload of a child")
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static HOOK_RUNS: Cell<usize> = const { Cell::new(0) };
}

/// Catches a panic without printing it. Installs a panic hook for the rest of the process, which
/// still prints panics outside of `contain`.
fn contain<R>(run: impl FnOnce() -> R) -> thread::Result<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            HOOK_RUNS.set(HOOK_RUNS.get() + 1);
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(outer);
    result
}

// ---- Running a program, and comparing it with the model after each action.

struct Run<'w, C, R> {
    world: &'w World<'w>,
    model: Model<'w>,
    combinator: Option<Pin<Box<C>>>,
    /// Converts the join's output to an outcome.
    read: R,
    over: bool,
    parents: [Arc<Wakes>; 2],
    /// The parent that polled last, and how often each had been woken before that.
    current: usize,
    wakes_before: [usize; 2],
    /// How often each child was dropped.
    drops: Vec<usize>,
}

impl<C: Future, R: Fn(C::Output) -> Outcome> Run<'_, C, R> {
    fn act(&mut self, action: &Action) {
        let count = self.model.count();
        match *action {
            Action::Poll(parent) => self.poll(parent),
            Action::PassDeadline => self.world.deadline_passed.set(true),
            // There is no child to wake.
            Action::Wake(_) | Action::LetGo(_) if count == 0 => {}
            Action::Wake(child) => {
                self.world.wake(child % count);
                if !self.over {
                    self.model.wake_if_kept(child % count);
                }
            }
            Action::LetGo(child) => {
                self.world.wakers.borrow_mut()[child % count] = None;
                self.model.keeps_waker[child % count] = false;
            }
        }
        self.compare();
    }

    fn poll(&mut self, parent: usize) {
        self.current = parent;
        self.wakes_before = self.wakes();
        let combinator = self.combinator.as_mut().expect("it is dropped last");
        let waker = Waker::from(Arc::clone(&self.parents[parent]));
        let polled = contain(|| combinator.as_mut().poll(&mut Context::from_waker(&waker)));
        if self.over {
            let message = common::message(polled.map(drop));
            assert!(message.contains("polled again"), "{message}");
            self.model.panics += 1;
            return;
        }
        let outcome = match polled {
            Ok(Poll::Pending) => Outcome::Pending,
            Ok(Poll::Ready(output)) => (self.read)(output),
            Err(payload) => Outcome::Panicked(fault_of(payload)),
        };
        let deadline_passed = self.world.deadline_passed.get() && self.world.program.has_deadline;
        assert_eq!(outcome, self.model.poll(deadline_passed), "the outcome");
        if outcome != Outcome::Pending {
            self.end();
        }
    }

    /// The join is ready or dropped, and must not wake a parent again.
    fn end(&mut self) {
        self.over = true;
        self.model.parent_woken = false;
        self.wakes_before = self.wakes();
    }

    fn wakes(&self) -> [usize; 2] {
        [self.parents[0].count(), self.parents[1].count()]
    }

    fn compare(&mut self) {
        let events = self.world.events.take();
        for event in &events {
            if let Event::Dropped(child) = *event {
                self.drops[child] += 1;
            }
        }
        assert_eq!(events, mem::take(&mut self.model.events), "the events");
        assert_eq!(HOOK_RUNS.get(), self.model.panics, "runs of the panic hook");
        for (parent, wakes) in self.wakes().into_iter().enumerate() {
            let woken = wakes > self.wakes_before[parent];
            let expected = self.model.parent_woken && parent == self.current;
            assert_eq!(woken, expected, "parent {parent} was woken");
        }
    }

    fn drain(&mut self) {
        for parent in [0, 1].into_iter().cycle() {
            let polls_before: usize = self.model.polls.iter().sum();
            self.wake_all();
            self.act(&Action::Poll(parent));
            let stands_still = polls_before == self.model.polls.iter().sum();
            if self.over || (stands_still && self.world.deadline_passed.get()) {
                return;
            }
            if stands_still {
                self.act(&Action::PassDeadline);
            }
        }
    }

    fn wake_all(&mut self) {
        for child in 0..self.model.count() {
            self.act(&Action::Wake(child));
        }
    }

    fn drop(&mut self, while_unwinding: bool) {
        struct Outer;
        let combinator = self.combinator.take();
        let dropped = contain(|| {
            let _dropped_last = combinator;
            if while_unwinding {
                resume_unwind(Box::new(Outer));
            }
        });
        let resumed = (!self.over).then(|| self.model.drop_half_way()).flatten();
        self.end();
        match dropped {
            Ok(()) => assert_eq!(resumed, None, "the drop"),
            Err(payload) if while_unwinding => assert!(payload.is::<Outer>(), "the outer panic"),
            Err(payload) => assert_eq!(Some(fault_of(payload)), resumed, "the drop"),
        }
    }
}

fn run<C: Future>(world: &World<'_>, combinator: C, read: impl Fn(C::Output) -> Outcome) {
    let program = world.program;
    HOOK_RUNS.set(0);
    let mut run = Run {
        world,
        model: Model::new(program),
        combinator: Some(Box::pin(combinator)),
        read,
        over: false,
        parents: Default::default(),
        current: 0,
        wakes_before: [0; 2],
        drops: vec![0; program.scripts.len()],
    };
    for action in &program.actions {
        run.act(action);
    }
    if program.finale == Finale::Drain {
        run.drain();
        run.act(&Action::Poll(0));
    }
    run.drop(program.finale == Finale::DropWhileUnwinding);
    run.compare();
    run.wake_all();
    let once = run.drops.iter().all(|&drops| drops == 1);
    assert!(once, "each future is dropped exactly once: {:?}", run.drops);
}

fn run_settle_all<'w, P: OnPanic>(
    world: &'w World<'w>,
    all: SettleAll<Child<'w>, P>,
    end: impl Fn(P::Output<Ended<'w>>) -> End,
) {
    let all = all.limit(NonZeroUsize::new(world.program.limit).expect("a limit is not 0"));
    let read = |settled: Settled<_>| {
        let completion_order = settled.completion_order().to_vec();
        Outcome::Settled(settled.into_iter().map(&end).collect(), completion_order)
    };
    if !world.program.has_deadline {
        return run(world, all, read);
    }
    let mut was_ready = false;
    // Wakes nothing: the program decides when to poll again.
    let give_up = poll_fn(|_| {
        assert!(!was_ready, "the deadline was polled again");
        was_ready = world.deadline_passed.get();
        was_ready.then_some(()).map_or(Poll::Pending, Poll::Ready)
    });
    run(world, all.deadline(give_up), |result| match result {
        Ok(settled) => read(settled),
        Err(unsettled) => {
            let pending = unsettled.pending().iter();
            let pending = pending.map(|child| (child.index(), child.polls(), child.can_be_woken()));
            let pending = pending.collect();
            let settled = unsettled.into_settled().into_iter();
            let settled = settled.map(|(index, output)| (index, end(output)));
            Outcome::Unsettled(settled.collect(), pending)
        }
    });
}

fn check(program: &Program) {
    let count = program.scripts.len();
    let world = &World {
        program,
        events: RefCell::default(),
        wakers: RefCell::new(vec![None; count]),
        deadline_passed: Cell::new(false),
    };
    let child = |index| Child {
        index,
        polls: 0,
        world,
    };
    let children = (0..count).map(child);
    let claim = |ended: Ended<'_>| ended.map(Output::claim).map_err(Output::claim);
    let caught = |panic: Panic| fault_of(panic.into_payload());
    match program.form {
        Form::SettleAll => run_settle_all(world, settle_all(children), |ended| Ok(claim(ended))),
        Form::CatchUnwind => run_settle_all(world, settle_all(children).catch_unwind(), |ended| {
            ended.map(claim).map_err(caught)
        }),
        Form::Barrier => run(world, barrier(children), |result| {
            let values = result.map(|values| values.into_iter().map(Output::claim).collect());
            Outcome::Barrier(values.map_err(Output::claim))
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // The same programs in every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` override this.
        rng_seed: RngSeed::Fixed(0),
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_programs_match_model(program in program()) {
        // Contained as well, since shrinking a failing program fails hundreds of times.
        let checked = contain(|| check(&program));
        prop_assert!(checked.is_ok(), "{}", common::message(checked));
    }
}
