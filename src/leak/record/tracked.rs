//! The future of a tracked task, and the record that ends with it.

use std::borrow::Cow;
use std::mem;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use pin_project::{pin_project, pinned_drop};

use crate::contain::{contain, discard};
use crate::leak::record::claim::{Claim, Claimed};
use crate::leak::record::panic_hook;
use crate::leak::record::probe::Held;
use crate::leak::record::session::Session;
use crate::leak::record::task::{Kind, Task};
use crate::panic::Panic;
use crate::schedule::steering;

/// Future of a tracked task.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub(crate) struct Tracked<F: Future> {
    /// `None` only after `drop`.
    #[pin]
    future: Option<F>,
    held: Held<F::Output>,
    /// `None` in a runtime that is not watched. Dropped after the future: a task has not ended
    /// while its variables are alive.
    record: Option<Recorded>,
}

impl<F: Future> Tracked<F> {
    /// Wraps `future`, which is tracked if there is a record.
    pub(crate) fn new(future: F, record: Option<Recorded>) -> Self {
        Self {
            future: Some(future),
            held: Held::new(),
            record,
        }
    }

    /// Returns the session and the task, if the runtime is watched.
    pub(crate) fn session_and_task(&self) -> Option<(Arc<Session>, Arc<Task>)> {
        let record = self.record.as_ref()?;
        Some((Arc::clone(&record.session), Arc::clone(&record.task)))
    }

    /// Claims the result for a combinator, if the runtime is watched.
    pub(crate) fn claim(&mut self) -> Option<Claim> {
        let record = self.record.as_mut()?;
        let (claimed, claim) = Claim::new(&record.session);
        record.claimed = Some(claimed);
        Some(claim)
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future.as_pin_mut();
        let future = future.expect("a dropped future is not polled");
        let Some(record) = this.record else {
            return future.poll(context);
        };
        let poll = |context: &mut Context<'_>| future.poll(context);
        let polled = contain(|| record.task.poll(context, this.held, poll));
        record.session.note_unscheduled();
        let polled = polled.unwrap_or_else(|panic| record.resume(panic));
        record.has_output = polled.is_ready() && mem::needs_drop::<F::Output>();
        polled
    }
}

#[pinned_drop]
impl<F: Future> PinnedDrop for Tracked<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let Some(record) = this.record else {
            return;
        };
        // A panic in the future's `drop` is the task's own.
        let dropped = contain(|| record.task.enter(|| this.future.set(None)));
        match dropped {
            // A second panic while unwinding would abort the process.
            Err(panic) if thread::panicking() => {
                record.note(&panic);
                discard(panic);
            }
            Err(panic) => record.resume(panic),
            Ok(()) => {}
        }
    }
}

/// The record of a live task or closure, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Recorded {
    session: Arc<Session>,
    task: Arc<Task>,
    /// Handles the task's panics in place of the session, if a combinator takes the result.
    claimed: Option<Claimed>,
    /// Whether the task ends with an output, or a panic, that may panic when tokio drops it.
    pub(crate) has_output: bool,
}

impl Recorded {
    /// Begins the record of a task that this thread is about to spawn.
    pub(crate) fn begin(
        session: Arc<Session>,
        kind: Kind,
        name: Option<Cow<'static, str>>,
        spawned_at: &'static Location<'static>,
    ) -> Self {
        Self {
            task: session.begin(kind, name, spawned_at),
            session,
            claimed: None,
            has_output: false,
        }
    }

    /// Returns the task.
    pub(crate) fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// Records a panic of the task.
    fn note(&self, panic: &Panic) {
        let panicked = panic_hook::of_tracked(&self.task, panic);
        match &self.claimed {
            Some(claimed) => claimed.note_panic(&self.session, panicked),
            None => self.session.note_panic(panicked),
        }
    }

    /// Records a panic of the task and resumes it.
    pub(crate) fn resume(&mut self, panic: Panic) -> ! {
        self.note(&panic);
        self.has_output = true;
        resume_unwind(panic.into_payload())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.task.kind.is_closure() {
            steering::forget_task(self.task.number, || self.task.label());
        }
        self.session.end(&self.task, self.has_output);
    }
}
