//! `Rendezvous` releases all participants of a round at once, and breaks if one goes away.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread;

use crate::common::{Wakes, message, poll_with};
use futures::FutureExt;
use futures::executor::block_on;
use proptest::prelude::*;
use straggler::future::Arrival;
use straggler::{Broken, Participant, Rendezvous, settle, settle_all};
use tokio_test::{assert_pending, assert_ready, task};

fn joined<const N: usize>() -> [Participant; N] {
    let rendezvous = Rendezvous::new(N);
    [(); N].map(|()| rendezvous.join())
}

#[test]
fn last_arrival_releases_all_and_leads() {
    let [mut one, mut two, mut three] = joined();
    let (mut first, mut second) = (task::spawn(three.wait()), task::spawn(one.wait()));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert!(!first.is_woken() && !second.is_woken());
    let mut last = task::spawn(two.wait());
    let arrival = assert_ready!(last.poll()).unwrap();
    assert!(arrival.is_leader() && arrival.round() == 0);
    for waiting in [&mut first, &mut second] {
        assert!(waiting.is_woken());
        let arrival = assert_ready!(waiting.poll()).unwrap();
        assert!(!arrival.is_leader() && arrival.round() == 0);
    }
}

#[test]
fn rounds_do_not_overlap() {
    block_on(async {
        let [mut one, mut two, mut three] = joined();
        let rounds = async |participant: &mut Participant| {
            let mut leads = 0;
            for round in 0..100 {
                let arrival = participant.wait().await.unwrap();
                assert_eq!(arrival.round(), round);
                leads += usize::from(arrival.is_leader());
            }
            leads
        };
        let (one, two, three) = settle!(rounds(&mut one), rounds(&mut two), rounds(&mut three));
        assert_eq!(one + two + three, 100, "each round has one leader");
    });
}

#[test]
fn works_across_threads_with_own_executors() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 300;
    let rendezvous = Rendezvous::new(THREADS);
    let leads = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let mut participant = rendezvous.join();
                scope.spawn(move || {
                    let leads = |_| block_on(participant.wait()).unwrap().is_leader();
                    (0..ROUNDS).map(leads).filter(|leads| *leads).count()
                })
            })
            .collect();
        let leads = threads.into_iter().map(|thread| thread.join().unwrap());
        leads.sum::<usize>()
    });
    assert_eq!(leads, ROUNDS);
}

#[test]
fn departure_ends_all_waits_across_threads() {
    for round in 0..100 {
        let participants = joined::<3>();
        thread::scope(|scope| {
            for (index, mut participant) in participants.into_iter().enumerate() {
                scope.spawn(move || {
                    let rounds = if index == round % 3 {
                        round
                    } else {
                        usize::MAX
                    };
                    let broken = (0..rounds).find_map(|_| block_on(participant.wait()).err());
                    match broken {
                        Some(broken) => {
                            assert_eq!(broken.number(), Some(round % 3));
                            assert_eq!(broken.round(), round);
                        }
                        None => assert_eq!(index, round % 3),
                    }
                });
            }
        });
    }
}

#[cfg(feature = "tokio")]
#[test]
fn explored_schedules_have_one_leader_per_round() {
    straggler::Explore::new().runs(200).run(async || {
        let rendezvous = Rendezvous::new(3);
        let working = [(); 3].map(|()| {
            let mut participant = rendezvous.join();
            async move {
                let mut leads = 0;
                for round in 0..3 {
                    straggler::checkpoint("before it arrives").await;
                    let arrival = participant.wait().await?;
                    assert_eq!(arrival.round(), round);
                    leads += usize::from(arrival.is_leader());
                }
                Ok::<_, Broken>(leads)
            }
        });
        drop(rendezvous);
        let leads = settle_all(working).await.into_result().unwrap();
        assert_eq!(leads.iter().sum::<usize>(), 3);
    });
}

/// A waker that calls a closure on every wake-up.
struct OnWake<F: Fn() + Send + Sync + 'static>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

#[test]
fn all_are_woken_when_one_waker_panics() {
    for goes_away in [false, true] {
        let [mut first, mut second, mut last] = joined();
        let panics = Waker::from(Arc::new(OnWake(|| panic!("a waker"))));
        let wakes = Arc::new(Wakes::default());
        let (mut one, mut two) = (Box::pin(first.wait()), Box::pin(second.wait()));
        assert!(poll_with(&mut one, &panics).is_pending());
        assert!(poll_with(&mut two, &Arc::clone(&wakes).into()).is_pending());
        let caught = catch_unwind(AssertUnwindSafe(|| {
            if goes_away {
                drop(last);
            } else {
                _ = last.wait().now_or_never();
            }
        }));
        assert_eq!(message(caught), "a waker");
        assert_eq!(wakes.count(), 1, "goes away: {goes_away}");
    }
}

#[test]
fn woken_participant_may_use_rendezvous() {
    for goes_away in [false, true] {
        let [mut first, other, mut last] = joined();
        let other = Mutex::new(Some(other));
        let uses = Arc::new(OnWake(move || drop(other.lock().unwrap().take())));
        let mut waiting = Box::pin(first.wait());
        assert!(poll_with(&mut waiting, &uses.into()).is_pending());
        if goes_away {
            drop(last);
        } else {
            // The waker drops the other participant while the departure of `last` wakes `first`.
            assert!(last.wait().now_or_never().is_none());
            drop(last);
        }
        let broken = waiting.now_or_never().unwrap().unwrap_err();
        assert_eq!(broken.number(), Some(2), "the first to go away");
    }
}

#[test]
fn dropped_participant_breaks_current_and_later_waits() {
    let rendezvous = Rendezvous::new(3);
    let mut ada = rendezvous.join_named("ada");
    let (bob, line) = (rendezvous.join_named("bob"), line!());
    let mut eve = rendezvous.join_named("eve");
    let mut waiting = task::spawn(ada.wait());
    assert_pending!(waiting.poll());
    drop(bob);
    assert!(waiting.is_woken());
    let broken = assert_ready!(waiting.poll()).unwrap_err();
    assert_eq!((broken.number(), broken.name()), (Some(1), Some("bob")));
    assert_eq!(
        (broken.place().file(), broken.place().line()),
        (file!(), line)
    );
    assert_eq!((broken.round(), broken.has_panicked()), (0, false));
    drop(waiting);
    for participant in [&mut eve, &mut ada] {
        for _ in 0..2 {
            let later = participant.wait().now_or_never().unwrap();
            assert_eq!(
                later.unwrap_err(),
                broken,
                "it stays broken and names the first to go away"
            );
        }
    }
}

#[test]
fn broken_names_panicked_participant() {
    let rendezvous = Rendezvous::new(2);
    let mut waits = rendezvous.join();
    let panics = rendezvous.join();
    let panics = async move {
        let _participant = panics;
        panic!("before it arrives");
    };
    let (waited, caught) =
        block_on(async { settle!(waits.wait(), AssertUnwindSafe(panics).catch_unwind()) });
    assert!(caught.is_err());
    let broken = waited.unwrap_err();
    assert!(broken.has_panicked());
    let text = broken.to_string();
    let start = format!("participant #1 of the rendezvous (joined at {}:", file!());
    assert!(text.starts_with(&start), "{text}");
    assert!(
        text.ends_with(") was dropped by a panic before it arrived in round 0"),
        "{text}"
    );
    let _: &(dyn Error + Send + Sync) = &broken;
}

#[test]
fn broken_text_says_cause() {
    let rendezvous = Rendezvous::new(2);
    let mut waits = rendezvous.join();
    drop(rendezvous.join_named("bob"));
    let broken = waits.wait().now_or_never().unwrap().unwrap_err();
    let text = broken.to_string();
    assert_eq!(format!("{broken:?}"), text, "`unwrap` prints the same text");
    let start = format!(
        "participant #1 `bob` of the rendezvous (joined at {}:",
        file!()
    );
    assert!(text.starts_with(&start), "{text}");
    assert!(
        text.ends_with(
            ") left (by an early return or a cancellation) before it arrived in round 0"
        ),
        "{text}"
    );
}

#[test]
fn complete_round_survives_departure() {
    let [mut one, mut two, mut three] = joined();
    let (mut first, mut second) = (task::spawn(one.wait()), task::spawn(two.wait()));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert!(three.wait().now_or_never().unwrap().unwrap().is_leader());
    drop(three);
    for waiting in [&mut first, &mut second] {
        assert_eq!(
            assert_ready!(waiting.poll()).map(|arrival| arrival.round()),
            Ok(0)
        );
    }
    drop((first, second));
    let broken = one.wait().now_or_never().unwrap().unwrap_err();
    assert_eq!((broken.number(), broken.round()), (Some(2), 1));
}

#[test]
fn dropped_wait_withdraws_arrival() {
    let [mut one, mut two] = joined();
    let mut given_up = task::spawn(one.wait());
    assert_pending!(given_up.poll());
    drop(given_up);
    let mut other = task::spawn(two.wait());
    assert_pending!(other.poll());
    assert!(!other.is_woken());
    assert!(one.wait().now_or_never().unwrap().unwrap().is_leader());
    assert!(!assert_ready!(other.poll()).unwrap().is_leader());
}

#[test]
fn wait_dropped_after_round_is_made_up_for() {
    let [mut one, mut two] = joined();
    let mut given_up = task::spawn(one.wait());
    assert_pending!(given_up.poll());
    assert!(two.wait().now_or_never().unwrap().unwrap().is_leader());
    drop(given_up);
    let mut next = task::spawn(two.wait());
    assert_pending!(next.poll());
    assert_eq!(one.wait().now_or_never().unwrap().unwrap().round(), 0);
    assert!(
        !next.is_woken(),
        "the first wait does not count for the next round"
    );
    let arrival = one.wait().now_or_never().unwrap().unwrap();
    assert_eq!((arrival.round(), arrival.is_leader()), (1, true));
    assert!(next.is_woken());
}

#[test]
fn unpolled_wait_is_no_arrival() {
    let [mut one, mut two] = joined();
    drop(one.wait());
    let mut other = task::spawn(two.wait());
    assert_pending!(other.poll());
    assert!(!other.is_woken());
}

#[test]
fn drop_before_all_join_breaks_it() {
    let (rendezvous, line) = (Rendezvous::new(2), line!());
    let mut early = rendezvous.join();
    let mut waiting = task::spawn(early.wait());
    assert_pending!(waiting.poll());
    drop(rendezvous);
    assert!(waiting.is_woken());
    let broken = assert_ready!(waiting.poll()).unwrap_err();
    assert_eq!(
        (broken.number(), broken.name(), broken.place().line()),
        (None, None, line)
    );
    assert!(!broken.has_panicked());
    let text = broken.to_string();
    assert!(
        text.ends_with("was dropped before all of its participants had joined"),
        "{text}"
    );
}

#[test]
fn drop_after_all_joined_changes_nothing() {
    // `joined` drops the rendezvous.
    let [mut one] = joined();
    assert!(one.wait().now_or_never().unwrap().unwrap().is_leader());
}

#[test]
fn late_join_finds_it_broken() {
    let rendezvous = Rendezvous::new(2);
    drop(rendezvous.join());
    let broken = rendezvous
        .join()
        .wait()
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(broken.number(), Some(0));
}

#[test]
fn join_beyond_capacity_panics() {
    for of in [0, 2] {
        let (rendezvous, line) = (Rendezvous::new(of), line!());
        let mut joined: Vec<_> = (0..of).map(|_| rendezvous.join()).collect();
        let panic = message(catch_unwind(AssertUnwindSafe(|| rendezvous.join())));
        let says = format!(
            "all {of} participants of the rendezvous created at {}:{line}:",
            file!()
        );
        assert!(panic.starts_with(&says), "{panic}");
        // The refused participant does not break it.
        let arriving = settle_all(joined.iter_mut().map(Participant::wait));
        let settled = block_on(arriving);
        assert_eq!(settled.ok_count(), of);
    }
}

#[test]
#[should_panic(expected = "polled again after it was ready")]
fn repoll_panics() {
    let [mut alone] = joined();
    let mut waiting = alone.wait();
    assert!(poll_with(&mut waiting, Waker::noop()).is_ready());
    _ = poll_with(&mut waiting, Waker::noop());
}

#[test]
fn only_last_waker_is_woken_and_none_kept() {
    let [mut one, mut two] = joined();
    let wakes = [(); 2].map(|()| Arc::new(Wakes::default()));
    let mut waiting = one.wait();
    for wakes in &wakes {
        assert!(poll_with(&mut waiting, &Arc::clone(wakes).into()).is_pending());
    }
    assert!(two.wait().now_or_never().unwrap().unwrap().is_leader());
    assert_eq!(wakes.each_ref().map(|wakes| wakes.count()), [0, 1]);
    assert_eq!(wakes.each_ref().map(Arc::strong_count), [1, 1]);
    drop(waiting);

    let mut given_up = two.wait();
    assert!(poll_with(&mut given_up, &Arc::clone(&wakes[0]).into()).is_pending());
    drop(given_up);
    assert_eq!(Arc::strong_count(&wakes[0]), 1);
}

#[test]
fn debug_shows_names_and_counts() {
    let rendezvous = Rendezvous::new(2);
    let mut one = rendezvous.join_named("ada");
    assert!(format!("{one:?}").contains("ada"));
    assert!(one.wait().now_or_never().is_none());
    let shown = format!("{rendezvous:?}");
    assert!(
        shown.contains("n: 2") && shown.contains("joined: 1"),
        "{shown}"
    );
}

const MANY: usize = 3;

/// An operation on one of the participants.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Polls the participant's wait, and starts one if there is none.
    Poll(usize),
    /// Drops the participant's wait.
    GiveUp(usize),
    /// Drops the participant.
    GoAway(usize),
}

/// A participant in the model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// Not waiting: it has seen the end of every round it arrived in.
    Free,
    /// Waiting since it arrived in this round.
    Arrived(usize),
    Gone,
}

struct Model {
    round: usize,
    all: [Seen; MANY],
    broken_by: Option<usize>,
}

impl Model {
    fn poll(&mut self, who: usize) -> Poll<Result<(usize, bool), usize>> {
        if self.all[who] == Seen::Free && self.broken_by.is_none() {
            self.all[who] = Seen::Arrived(self.round);
            if self
                .all
                .iter()
                .all(|seen| *seen == Seen::Arrived(self.round))
            {
                self.all[who] = Seen::Free;
                self.round += 1;
                return Poll::Ready(Ok((self.round - 1, true)));
            }
        }
        match (self.all[who], self.broken_by) {
            (Seen::Arrived(round), _) if round < self.round => {
                self.all[who] = Seen::Free;
                Poll::Ready(Ok((round, false)))
            }
            (_, Some(by)) => {
                self.all[who] = Seen::Free;
                Poll::Ready(Err(by))
            }
            (_, None) => Poll::Pending,
        }
    }

    fn give_up(&mut self, who: usize) {
        if self.all[who] == Seen::Arrived(self.round) {
            self.all[who] = Seen::Free;
        }
    }

    fn go_away(&mut self, who: usize) {
        self.all[who] = Seen::Gone;
        self.broken_by.get_or_insert(who);
    }

    /// Whether the next poll of its wait is ready.
    fn is_woken(&self, who: usize) -> bool {
        matches!(self.all[who], Seen::Arrived(round) if round < self.round || self.broken_by.is_some())
    }
}

/// A participant and whether it waits. The wait borrows the participant, so it is not stored here.
struct One {
    participant: Option<Participant>,
    wakes: Arc<Wakes>,
    waits: bool,
}

impl One {
    /// Polls the wait once and forgets it, which leaves the arrival in place as if it were kept.
    fn poll(&mut self) -> Poll<Result<Arrival, Broken>> {
        let waker = Arc::clone(&self.wakes).into();
        let mut waiting = self.participant.as_mut().expect("it is there").wait();
        let polled = poll_with(&mut waiting, &waker);
        std::mem::forget(waiting);
        polled
    }
}

/// Applies the steps to a rendezvous and to the model, and compares the two after each.
fn compare(steps: &[Step]) {
    let mut all = joined::<MANY>().map(|participant| One {
        participant: Some(participant),
        wakes: Arc::default(),
        waits: false,
    });
    let mut woken_before = [0; MANY];
    let mut model = Model {
        round: 0,
        all: [Seen::Free; MANY],
        broken_by: None,
    };
    for &step in steps {
        match step {
            Step::Poll(who) if all[who].participant.is_some() => {
                let polled = all[who].poll();
                let polled = polled.map(|result| match result {
                    Ok(arrival) => Ok((arrival.round(), arrival.is_leader())),
                    Err(broken) => Err(broken.number().unwrap()),
                });
                assert_eq!(polled, model.poll(who), "{steps:?}");
                all[who].waits = polled.is_pending();
                woken_before[who] = all[who].wakes.count();
            }
            Step::GiveUp(who) if all[who].waits => {
                all[who].waits = false;
                // Stands for dropping the future that was forgotten.
                drop(all[who].participant.as_mut().map(Participant::wait));
                model.give_up(who);
                woken_before[who] = all[who].wakes.count();
            }
            Step::GoAway(who) if all[who].participant.is_some() => {
                all[who].participant = None;
                all[who].waits = false;
                model.go_away(who);
            }
            _ => {}
        }
        for (who, one) in all.iter().enumerate().filter(|(_, one)| one.waits) {
            let is_woken = one.wakes.count() > woken_before[who];
            assert_eq!(is_woken, model.is_woken(who), "{who} after {steps:?}");
        }
    }
}

#[test]
fn short_programs_match_model() {
    const DEPTH: usize = 6;
    let steps: Vec<Step> = (0..MANY)
        .flat_map(|who| [Step::Poll(who), Step::GiveUp(who), Step::GoAway(who)])
        .collect();
    // The first step is fixed, which keeps the number of programs small.
    for mut number in 0..steps.len().pow(u32::try_from(DEPTH).unwrap() - 1) {
        let mut program = vec![Step::Poll(0)];
        for _ in 1..DEPTH {
            program.push(steps[number % steps.len()]);
            number /= steps.len();
        }
        compare(&program);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..MANY).prop_map(Step::Poll),
        5 => (0..MANY).prop_map(Step::GiveUp),
        1 => (0..MANY).prop_map(Step::GoAway),
    ]
}

proptest! {
    #[test]
    fn random_programs_match_model(steps in prop::collection::vec(step(), 0..100)) {
        compare(&steps);
    }
}
