//! `Rendezvous`: all or nobody, round after round, and broken instead of waiting for who went away.

mod common;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread;

use common::{Wakes, message, poll_with};
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
fn nobody_goes_on_before_all_have_arrived_and_the_last_is_the_leader() {
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
fn rounds_follow_each_other_and_nobody_laps_the_others() {
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
fn it_works_on_threads_with_an_executor_each() {
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
fn on_threads_one_that_goes_away_ends_the_wait_of_all_others() {
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
fn in_every_order_that_is_explored_all_meet_and_one_leads() {
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

/// Does something when it is woken.
struct Does<F: Fn() + Send + Sync + 'static>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

#[test]
fn all_are_woken_also_if_one_of_the_wakers_panics() {
    for goes_away in [false, true] {
        let [mut first, mut second, mut last] = joined();
        let panics = Waker::from(Arc::new(Does(|| panic!("a waker"))));
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
fn whoever_is_woken_may_use_the_rendezvous_on_the_spot() {
    for goes_away in [false, true] {
        let [mut first, other, mut last] = joined();
        let other = Mutex::new(Some(other));
        let uses = Arc::new(Does(move || drop(other.lock().unwrap().take())));
        let mut waiting = Box::pin(first.wait());
        assert!(poll_with(&mut waiting, &uses.into()).is_pending());
        if goes_away {
            drop(last);
        } else {
            // The other one goes away while this one is told that the first has.
            assert!(last.wait().now_or_never().is_none());
            drop(last);
        }
        let broken = waiting.now_or_never().unwrap().unwrap_err();
        assert_eq!(broken.number(), Some(2), "the first to go away");
    }
}

#[test]
fn one_that_is_dropped_breaks_it_for_those_who_wait_and_who_come_later() {
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
                "it stays broken, and the first is named"
            );
        }
    }
}

#[test]
fn one_that_panics_is_named_as_such() {
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
    assert!(
        text.starts_with("participant #1 of the rendezvous (joined at tests/rendezvous.rs:"),
        "{text}"
    );
    assert!(
        text.ends_with(") was dropped by a panic before it arrived in round 0"),
        "{text}"
    );
    let _: &(dyn Error + Send + Sync) = &broken;
}

#[test]
fn what_broke_it_is_said_in_words() {
    let rendezvous = Rendezvous::new(2);
    let mut waits = rendezvous.join();
    drop(rendezvous.join_named("bob"));
    let broken = waits.wait().now_or_never().unwrap().unwrap_err();
    let text = broken.to_string();
    assert_eq!(
        format!("{broken:?}"),
        text,
        "as it is printed by an `unwrap()`"
    );
    assert!(
        text.starts_with("participant #1 `bob` of the rendezvous (joined at tests/rendezvous.rs:"),
        "{text}"
    );
    assert!(
        text.ends_with(
            ") went away: it returned early, or was cancelled, before it arrived in round 0"
        ),
        "{text}"
    );
}

#[test]
fn a_round_that_was_complete_before_one_went_away_is_complete() {
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
fn a_wait_that_is_dropped_takes_its_arrival_back_and_breaks_nothing() {
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
fn a_wait_that_is_dropped_when_all_have_arrived_is_made_up_for() {
    let [mut one, mut two] = joined();
    let mut given_up = task::spawn(one.wait());
    assert_pending!(given_up.poll());
    assert!(two.wait().now_or_never().unwrap().unwrap().is_leader());
    drop(given_up);
    let mut next = task::spawn(two.wait());
    assert_pending!(next.poll());
    assert_eq!(one.wait().now_or_never().unwrap().unwrap().round(), 0);
    assert!(!next.is_woken(), "that was no arrival in the next round");
    let arrival = one.wait().now_or_never().unwrap().unwrap();
    assert_eq!((arrival.round(), arrival.is_leader()), (1, true));
    assert!(next.is_woken());
}

#[test]
fn a_wait_that_was_never_polled_is_no_arrival() {
    let [mut one, mut two] = joined();
    drop(one.wait());
    let mut other = task::spawn(two.wait());
    assert_pending!(other.poll());
    assert!(!other.is_woken());
}

#[test]
fn dropping_the_rendezvous_before_all_have_joined_breaks_it() {
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
fn dropping_the_rendezvous_after_all_have_joined_changes_nothing() {
    // `joined` drops it.
    let [mut one] = joined();
    assert!(one.wait().now_or_never().unwrap().unwrap().is_leader());
}

#[test]
fn one_that_joins_when_it_is_broken_finds_it_broken() {
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
fn more_than_all_cannot_join_and_of_none_nobody_can() {
    for of in [0, 2] {
        let (rendezvous, line) = (Rendezvous::new(of), line!());
        let mut joined: Vec<_> = (0..of).map(|_| rendezvous.join()).collect();
        let panic = message(catch_unwind(AssertUnwindSafe(|| rendezvous.join())));
        let says =
            format!("all {of} participants of the rendezvous made at tests/rendezvous.rs:{line}:");
        assert!(panic.starts_with(&says), "{panic}");
        // Who was refused has not broken it.
        let arriving = settle_all(joined.iter_mut().map(Participant::wait));
        let settled = block_on(arriving);
        assert_eq!(settled.ok_count(), of);
    }
}

#[test]
#[should_panic(expected = "polled again after it was ready")]
fn polled_again_it_panics() {
    let [mut alone] = joined();
    let mut waiting = alone.wait();
    assert!(poll_with(&mut waiting, Waker::noop()).is_ready());
    _ = poll_with(&mut waiting, Waker::noop());
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken_and_none_is_kept() {
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
fn it_can_be_shown() {
    let rendezvous = Rendezvous::new(2);
    let mut one = rendezvous.join_named("ada");
    assert!(format!("{one:?}").contains("ada"));
    assert!(one.wait().now_or_never().is_none());
    let shown = format!("{rendezvous:?}");
    assert!(
        shown.contains("of: 2") && shown.contains("joined: 1"),
        "{shown}"
    );
}

const MANY: usize = 3;

/// What a test can do with the participants of a rendezvous.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Polls the wait of a participant, and begins one if there is none.
    Poll(usize),
    /// Drops its wait.
    GiveUp(usize),
    /// Drops the participant.
    GoAway(usize),
}

/// A participant as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// It has seen the end of each round in which it arrived.
    Free,
    /// It has arrived in this round.
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

    /// Whether there is something to be polled for.
    fn is_woken(&self, who: usize) -> bool {
        matches!(self.all[who], Seen::Arrived(round) if round < self.round || self.broken_by.is_some())
    }
}

/// A participant and its wait, which borrows it: taken apart, so that both can be dropped alone.
struct One {
    participant: Option<Participant>,
    wakes: Arc<Wakes>,
    waits: bool,
}

impl One {
    /// Polls once. What is begun stays begun, as if the future were kept: it is forgotten.
    fn poll(&mut self) -> Poll<Result<Arrival, Broken>> {
        let waker = Arc::clone(&self.wakes).into();
        let mut waiting = self.participant.as_mut().expect("it is there").wait();
        let polled = poll_with(&mut waiting, &waker);
        std::mem::forget(waiting);
        polled
    }
}

/// Takes the steps with a rendezvous and with the model, and compares them after each.
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
                // As the end of the future that was forgotten.
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
fn every_order_of_a_few_steps_is_that_of_the_model() {
    const DEPTH: usize = 6;
    let steps: Vec<Step> = (0..MANY)
        .flat_map(|who| [Step::Poll(who), Step::GiveUp(who), Step::GoAway(who)])
        .collect();
    // The first may as well arrive first.
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
    fn any_number_of_steps_is_that_of_the_model(steps in prop::collection::vec(step(), 0..100)) {
        compare(&steps);
    }
}
