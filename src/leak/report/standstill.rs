//! How long a test had made no progress when its timeout passed.

use std::time::Duration;

/// What made progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Body,
    Task { number: usize, since: Duration },
}

/// The last polls before the timeout of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standstill {
    /// How often the body was polled.
    pub(crate) polls: usize,
    /// The time since its last poll.
    pub(crate) body: Duration,
    /// The tracked task that was polled last and more than once, and the time since then.
    pub(crate) task: Option<(usize, Duration)>,
}

/// A test makes progress if its last poll is at most this old, or a tenth of a shorter timeout.
const RECENT: Duration = Duration::from_secs(1);

impl Standstill {
    /// The time since the last poll of the body or a tracked task.
    pub(crate) fn time(&self) -> Duration {
        self.task.map_or(self.body, |(_, time)| self.body.min(time))
    }

    /// Returns what still made progress at the timeout. Polls of untracked tasks are not known.
    pub(crate) fn progress(&self, timeout: Duration) -> Option<Progress> {
        let is_recent = |time| time <= RECENT.min(timeout / 10);
        // The first poll is no progress, however late a busy machine made it.
        if self.polls > 1 && is_recent(self.body) {
            return Some(Progress::Body);
        }
        let (number, since) = self.task.filter(|(_, time)| is_recent(*time))?;
        Some(Progress::Task { number, since })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, Standstill};

    #[test]
    fn progress_depends_on_last_poll() {
        let seconds = Duration::from_secs;
        let minute = seconds(60);
        let progress = |polls, body, task: Option<u64>, timeout| {
            let task = task.map(|time| (3, seconds(time)));
            let body = seconds(body);
            Standstill { polls, body, task }.progress(timeout)
        };
        let of_task = |since| {
            Some(Progress::Task {
                number: 3,
                since: seconds(since),
            })
        };
        assert_eq!(progress(2, 1, None, minute), Some(Progress::Body));
        assert_eq!(progress(2, 2, None, minute), None);
        assert_eq!(progress(1, 0, None, minute), None, "the first poll");
        assert_eq!(progress(2, 1, None, seconds(9)), None, "a short timeout");
        assert_eq!(progress(1, 60, Some(1), minute), of_task(1));
        assert_eq!(progress(1, 60, Some(2), minute), None);
        assert_eq!(progress(2, 1, Some(1), minute), Some(Progress::Body));
    }
}
