//! A clock that jumps while the body waits for the operating system.
//!
//! A paused clock advances to the next timer as soon as no task can run, however soon a socket or a process would
//! answer. So a timeout fires first, in every order.

use std::fmt;
use std::time::Duration;

use crate::explore::attempt::{Grace, Pause, Purpose};
use crate::explore::exploration::Exploration;
use crate::explore::failure::Cause;
use crate::explore::outcome::Outcome;
use crate::schedule::seed::{Kind, Seed};
use crate::schedule::steering::Run;
use crate::trace::symbols::Symbols;

/// A run in which the clock jumped beside a wait for the operating system.
#[derive(Debug)]
pub(crate) struct ClockJump {
    moved: Duration,
    /// The wait in words, such as `waits at src/client.rs:5:9 in ask, on tokio::net::..`.
    wait: String,
}

impl ClockJump {
    /// Looks for a jump in a recorded run whose clock was paused from the start.
    pub(crate) fn find(run: &Run) -> Option<Self> {
        let moved = run.clock_moved;
        if moved.is_zero() {
            return None;
        }
        let recorder = run.recorder.as_ref()?;
        let wait = recorder.wait_for_system(&mut Symbols::default())?;
        Some(Self { moved, wait })
    }
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = humantime::format_duration(self.moved);
        write!(
            f,
            "the paused clock jumped by {moved} in a run that {}: timers fire before an answer that takes real \
             time. Replace the connection or process with a fake, such as `tokio::io::duplex`",
            self.wait
        )
    }
}

impl<F, R> Exploration<F>
where
    F: FnMut() -> R,
    R: Future<Output: Outcome>,
{
    /// Returns why the test cannot be explored if the body fails in the plain order because the clock jumps: it waits for the operating
    /// system, and passes on a running clock.
    pub(crate) fn plain_order_jumps(&mut self, cause: &Cause) -> Option<String> {
        let report = match cause {
            Cause::Panicked { report, .. } | Cause::ReturnedError { report, .. } => report.as_ref(),
            Cause::Found(report) => Some(report),
            Cause::NoOverlap
            | Cause::Unscheduled(_)
            | Cause::Diverged(_)
            | Cause::NothingToCancel
            | Cause::NotRun(_) => None,
        };
        let has_ended = report.is_none_or(|report| report.ending().is_none());
        if !has_ended || self.subject.pause == Pause::ByBody {
            return None;
        }
        let confirm = Purpose::Confirm {
            is_deadlock: false,
            grace: Grace::Usual,
        };
        // The plain order is not recorded. This one is closest to it.
        let stepped = Seed::new(Kind::Changes(Vec::new()));
        let again = self.subject.attempt(&stepped, true, confirm);
        if !again.fails_like(cause) {
            return None;
        }
        let jump = ClockJump::find(again.run.as_ref()?)?;
        let plain = Seed::new(Kind::Plain);
        self.subject.pause = Pause::ByBody;
        let control = self.subject.attempt(&plain, false, confirm);
        self.subject.pause = Pause::AtStart;
        let passes = !control.has_failed();
        passes.then(|| {
            format!(
                "the plain order fails on a paused clock, and passes on a running one. In detail, {jump}"
            )
        })
    }
}
