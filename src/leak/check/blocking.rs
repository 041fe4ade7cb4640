//! Counts untracked blocking work, by the threads of the runtime that do not stop.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::leak::record::os_threads::{Id, Stat};
use crate::leak::record::session::Session;
use crate::leak::record::thread_count::ThreadCount;

/// The pause between two looks at the threads that have not stopped.
const PAUSE: Duration = Duration::from_millis(1);

/// How many looks in a row must find no thread that is about to stop.
const LOOKS: usize = 20;

/// The processor time that only a busy thread uses, in hundredths of a second. An idle one needs
/// less than one to stop.
const BUSY_TICKS: u64 = 3;

/// How long to look at threads that may be about to stop but get no processor. Ends before the
/// watchdog takes the teardown for a hang.
const STARVED: Duration = Duration::from_secs(3);

/// Returns how much untracked blocking work is left after the runtime has shut down.
///
/// A thread that is busy then runs a closure, or polls or drops a task: the shutdown has dropped all
/// other tasks. Closures that wait for a thread are counted only with `--cfg tokio_unstable`.
pub(crate) fn unseen_work(threads: &ThreadCount, runtime: &Handle, session: &Session) -> usize {
    let unseen = |busy: usize| {
        let recorded = session.at_work();
        let queued = queue_depth(runtime).saturating_sub(recorded.queued);
        busy.saturating_sub(recorded.running) + queued
    };
    let begun = Instant::now();
    let mut looks = Looks::default();
    // Without threads nothing is queued either: a closure waits only while all threads are busy.
    while threads.now() > 0 && unseen(threads.now()) > 0 {
        if let Some(busy) = looks.look(&threads.stats()) {
            return unseen(busy);
        }
        if begun.elapsed() > STARVED {
            return unseen(looks.computing);
        }
        thread::sleep(PAUSE);
    }
    0
}

/// What several looks showed of the threads that have not stopped.
///
/// On a busy machine the whole shutdown may pass before an idle thread gets a processor to stop on.
/// The kernel tells it from a busy one: it is ready to run, or sleeps because a thread that is ready
/// to run holds a lock.
#[derive(Debug, Default)]
struct Looks {
    /// The processor time of each thread at the first look.
    began: HashMap<Id, u64>,
    /// How many threads there were at the last look.
    number: usize,
    /// How many threads have used so much processor time since that they cannot be idle.
    computing: usize,
    /// In how many looks in a row no thread stopped or was about to.
    quiet: usize,
}

impl Looks {
    /// Looks at the threads, `None` for one that the kernel does not know. Returns how many of them
    /// are busy, once that is certain: in as many looks as it takes, none was about to stop.
    fn look(&mut self, threads: &[Option<Stat>]) -> Option<usize> {
        let mut is_computing = |stat: &Stat| {
            let began = *self.began.entry(stat.id).or_insert(stat.ticks);
            stat.ticks.saturating_sub(began) >= BUSY_TICKS
        };
        let known = threads.iter().flatten();
        let (computing, others): (Vec<_>, Vec<&Stat>) = known.partition(|stat| is_computing(stat));
        let may_stop = threads.len() != self.number || others.iter().any(|stat| !stat.sleeps);
        self.quiet = if may_stop { 0 } else { self.quiet + 1 };
        self.computing = computing.len();
        self.number = threads.len();
        (self.quiet >= LOOKS).then_some(self.number)
    }
}

#[cfg(tokio_unstable)]
fn queue_depth(runtime: &Handle) -> usize {
    runtime.metrics().blocking_queue_depth()
}

#[cfg(not(tokio_unstable))]
fn queue_depth(_: &Handle) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::{BUSY_TICKS, LOOKS, Looks};
    use crate::leak::record::os_threads::Stat;

    fn asleep(id: u32) -> Stat {
        Stat::new(id, true, 0)
    }

    fn ready(id: u32, ticks: u64) -> Stat {
        Stat::new(id, false, ticks)
    }

    fn look(looks: &mut Looks, threads: &[Stat]) -> Option<usize> {
        let known: Vec<_> = threads.iter().copied().map(Some).collect();
        looks.look(&known)
    }

    /// Looks often enough to see a busy thread, and returns what the last look says.
    fn look_long(looks: &mut Looks, threads: &[Stat]) -> Option<usize> {
        let looks = (0..=LOOKS).map(|_| look(looks, threads));
        looks.last().flatten()
    }

    #[test]
    fn blocked_threads_are_busy() {
        let mut looks = Looks::default();
        let threads = [asleep(1), asleep(2)];
        assert_eq!(look(&mut looks, &threads), None, "one look is not enough");
        assert_eq!(look_long(&mut looks, &threads), Some(2));
    }

    #[test]
    fn thread_without_processor_is_not_busy() {
        let mut looks = Looks::default();
        assert_eq!(look_long(&mut looks, &[ready(1, 7)]), None);
        assert_eq!(looks.computing, 0);
    }

    #[test]
    fn computing_thread_is_busy() {
        let mut looks = Looks::default();
        assert_eq!(look_long(&mut looks, &[ready(1, 7)]), None);
        assert_eq!(look_long(&mut looks, &[ready(1, 7 + BUSY_TICKS)]), Some(1));
    }

    #[test]
    fn sleeper_beside_ready_thread_is_not_busy() {
        let mut looks = Looks::default();
        assert_eq!(look_long(&mut looks, &[asleep(1), ready(2, 0)]), None);
        assert_eq!(look_long(&mut looks, &[asleep(1)]), Some(1), "it stopped");
    }

    #[test]
    fn looks_begin_again_when_thread_stops() {
        let mut looks = Looks::default();
        for left in (1..=5).rev() {
            let threads: Vec<_> = (0..left).map(asleep).collect();
            for _ in 0..LOOKS {
                assert_eq!(look(&mut looks, &threads), None);
            }
        }
        assert_eq!(look(&mut looks, &[asleep(0)]), Some(1));
    }

    #[test]
    fn time_decides_on_unknown_threads() {
        let mut looks = Looks::default();
        let counts = (0..=LOOKS).map(|_| looks.look(&[None, None]));
        assert_eq!(counts.last().flatten(), Some(2));
    }
}
