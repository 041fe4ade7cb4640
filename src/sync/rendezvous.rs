//! `Rendezvous`: a barrier of n participants that breaks, instead of hanging, when one of them leaves.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::contain::FirstPanic;
use crate::mutex::lock;
use crate::sync::broken::{Broken, Left};

/// A barrier at which n participants wait for one another, round after round.
///
/// It works like [`std::sync::Barrier`] and `tokio::sync::Barrier`, but it knows its participants. Each
/// one [joins](Self::join) once, then [arrives](Participant::wait) in each round. A round completes
/// when all n have arrived; exactly one of them is its [leader](Arrival::is_leader). If a participant
/// leaves, the others do not hang: each gets [`Broken`], which names that participant.
///
/// - A participant leaves when its [`Participant`] is dropped: by an early return, a cancellation or a
///   panic. A round in which all had arrived stays complete, even for those not polled since.
/// - Dropping the rendezvous before all have joined breaks it too: nobody else can join. If you keep
///   it and fewer than n ever join, the others hang. Drop it after the last `join`.
/// - A broken rendezvous stays broken. Create another one to continue.
/// - With `n == 0` nobody can join.
///
/// It works without features, on every executor and across several. All n participants must be able
/// to make progress concurrently: awaited one after the other on one task, they deadlock.
///
/// # Examples
///
/// ```
/// use straggler::{Rendezvous, settle_all};
///
/// # tokio_test::block_on(async {
/// let rendezvous = Rendezvous::new(3);
/// let workers = [0, 1, 2].map(|number| {
///     let mut participant = rendezvous.join();
///     async move {
///         if number == 2 {
///             return Err("the config is missing".to_owned()); // leaves
///         }
///         participant.wait().await.map_err(|broken| broken.to_string())?;
///         Ok("started together")
///     }
/// });
/// let settled = settle_all(workers).await;
///
/// let broken = settled[0].as_ref().unwrap_err();
/// assert!(broken.contains("participant #2"), "{broken}");
/// # });
/// ```
pub struct Rendezvous {
    shared: Arc<Shared>,
}

/// The state that the rendezvous shares with its participants.
#[derive(Debug)]
struct Shared {
    /// The number of participants.
    n: usize,
    created_at: &'static Location<'static>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    joined: usize,
    /// The current round.
    round: usize,
    /// How many participants have arrived in it, and wait.
    arrived: usize,
    /// The wakers of the waiting participants, by their numbers.
    wakers: Vec<Option<Waker>>,
    broken: Option<Broken>,
}

impl Rendezvous {
    /// Creates a rendezvous for `n` participants. None has joined yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let mut alone = straggler::Rendezvous::new(1).join();
    /// assert!(alone.wait().await.unwrap().is_leader());
    /// # });
    /// ```
    #[must_use]
    #[track_caller]
    pub fn new(n: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                n,
                created_at: Location::caller(),
                state: Mutex::new(State {
                    joined: 0,
                    round: 0,
                    arrived: 0,
                    wakers: Vec::new(),
                    broken: None,
                }),
            }),
        }
    }

    /// Joins as the next participant. The first one is number 0.
    ///
    /// [`Broken`] shows the place of this call if the participant leaves. Join before the work starts,
    /// and move the participant into the future that does the work: from now on, dropping it breaks
    /// the rendezvous. Joining a broken rendezvous succeeds; its `wait` returns [`Broken`].
    ///
    /// # Panics
    ///
    /// If all n participants have already joined.
    ///
    /// # Examples
    ///
    /// ```
    /// let rendezvous = straggler::Rendezvous::new(2);
    /// let participants = [rendezvous.join(), rendezvous.join()];
    /// assert_eq!(participants.map(|participant| participant.number()), [0, 1]);
    /// ```
    #[track_caller]
    pub fn join(&self) -> Participant {
        self.join_as(None, Location::caller())
    }

    /// Joins like [`join`](Self::join), with a name that [`Broken`] shows.
    ///
    /// # Panics
    ///
    /// If all n participants have already joined.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let rendezvous = straggler::Rendezvous::new(2);
    /// let mut ada = rendezvous.join_named("ada");
    /// drop(rendezvous.join_named("bob"));
    /// assert_eq!(ada.wait().await.unwrap_err().name(), Some("bob"));
    /// # });
    /// ```
    #[track_caller]
    pub fn join_named(&self, name: impl Into<Cow<'static, str>>) -> Participant {
        self.join_as(Some(name.into()), Location::caller())
    }

    fn join_as(
        &self,
        name: Option<Cow<'static, str>>,
        place: &'static Location<'static>,
    ) -> Participant {
        let n = self.shared.n;
        let mut state = self.shared.state();
        if state.joined == n {
            // Unlocked first: the panic hook is foreign code.
            drop(state);
            let created_at = self.shared.created_at;
            panic!(
                "all {n} participants of the rendezvous created at {created_at} have already joined"
            );
        }
        let number = state.joined;
        state.joined += 1;
        state.wakers.push(None);
        drop(state);
        Participant {
            shared: Arc::clone(&self.shared),
            number,
            name,
            place,
            arrived_in: None,
        }
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        self.shared.break_if(
            |state, n| state.joined < n,
            |state| Broken {
                left: None,
                round: state.round,
                place: self.shared.created_at,
            },
        );
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Rendezvous")
            .field("created_at", &format_args!("{}", self.shared.created_at))
            .field("n", &self.shared.n)
            .field("joined", &state.joined)
            .field("round", &state.round)
            .field("arrived", &state.arrived)
            .field("broken", &state.broken)
            .finish()
    }
}

impl Shared {
    /// Breaks the rendezvous if `condition` holds and it is not broken yet, and wakes the waiters.
    fn break_if(
        &self,
        condition: impl FnOnce(&State, usize) -> bool,
        error: impl FnOnce(&State) -> Broken,
    ) {
        let mut state = self.state();
        // `Broken` reports the first cause.
        if state.broken.is_some() || !condition(&state, self.n) {
            return;
        }
        state.broken = Some(error(&state));
        let waiting = state.take_wakers();
        // Unlocked before the wake-ups: a waker may poll a participant on the spot.
        drop(state);
        wake(waiting).resume_in_drop();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Takes the wakers of the waiting participants, in the order of their numbers.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let wakers = self.wakers.iter_mut();
        wakers.filter_map(Option::take).collect()
    }
}

/// Wakes all of them, even if one panics.
fn wake(wakers: Vec<Waker>) -> FirstPanic {
    let mut panics = FirstPanic::default();
    for waker in wakers {
        // `wake` also drops the waker, so both panics are contained here.
        panics.run(|| waker.wake());
    }
    panics
}

/// A participant of a [`Rendezvous`].
///
/// Dropping it breaks the rendezvous for the others.
///
/// # Examples
///
/// ```
/// use straggler::{Rendezvous, settle};
///
/// # tokio_test::block_on(async {
/// let rendezvous = Rendezvous::new(2);
/// let (mut ada, mut bob) = (rendezvous.join(), rendezvous.join());
/// assert_eq!((ada.number(), bob.number()), (0, 1));
///
/// let (first, second) = settle!(ada.wait(), bob.wait());
/// assert!(first.is_ok() && second.is_ok());
///
/// drop(bob);
/// assert_eq!(ada.wait().await.unwrap_err().number(), Some(1));
/// # });
/// ```
#[must_use = "dropping a participant breaks the rendezvous for the others"]
pub struct Participant {
    shared: Arc<Shared>,
    number: usize,
    name: Option<Cow<'static, str>>,
    place: &'static Location<'static>,
    /// The round in which it has arrived, until it has seen the outcome of that round.
    arrived_in: Option<usize>,
}

impl Participant {
    /// Arrives at the rendezvous and waits until all participants have arrived.
    ///
    /// The last one to arrive does not wait: it is the leader. It wakes the others in the order of
    /// their numbers. With a single participant, `wait` is ready at once.
    ///
    /// # Errors
    ///
    /// [`Broken`] if a participant left before it arrived in this round, or if the rendezvous was
    /// dropped before all had joined. Every later round returns it too.
    ///
    /// # Panics
    ///
    /// The returned future panics if it is polled again after it was ready. The future of the leader
    /// also panics if the waker of another participant does; all of them are woken first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the returned future withdraws the arrival, and the others keep waiting.
    /// The participant has not left: call `wait` again. If all had arrived before the drop, the next
    /// call is ready at once with the outcome of that round.
    ///
    /// # Examples
    ///
    /// ```
    /// use straggler::{Rendezvous, settle};
    ///
    /// # tokio_test::block_on(async {
    /// let rendezvous = Rendezvous::new(2);
    /// let (mut ada, mut bob) = (rendezvous.join(), rendezvous.join());
    /// let (first, last) = settle!(ada.wait(), bob.wait());
    /// assert!(!first.unwrap().is_leader() && last.unwrap().is_leader());
    /// # });
    /// ```
    pub fn wait(&mut self) -> Waiting<'_> {
        Waiting {
            participant: self,
            is_done: false,
        }
    }

    /// Returns the number of the participant: how many joined before it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(straggler::Rendezvous::new(1).join().number(), 0);
    /// ```
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Arrives in the current round unless it has, and polls the outcome of that round.
    pub(crate) fn poll_arrive(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Arrival, Broken>> {
        let mut state = self.shared.state();
        let round = *self.arrived_in.get_or_insert_with(|| {
            state.arrived += usize::from(state.broken.is_none());
            state.round
        });
        // The round completed, perhaps before the rendezvous broke: that does not undo it.
        if state.round > round {
            self.arrived_in = None;
            return Poll::Ready(Ok(Arrival {
                round,
                is_leader: false,
            }));
        }
        if let Some(broken) = &state.broken {
            self.arrived_in = None;
            return Poll::Ready(Err(broken.clone()));
        }
        if state.arrived < self.shared.n {
            let earlier = state.wakers[self.number].replace(context.waker().clone());
            // Unlocked before the earlier waker is dropped, which is foreign code.
            drop(state);
            drop(earlier);
            return Poll::Pending;
        }
        // This is the leader: it opens the next round before it wakes the others, so that they find
        // the round complete.
        state.arrived = 0;
        state.round += 1;
        self.arrived_in = None;
        let waiting = state.take_wakers();
        drop(state);
        wake(waiting).resume();
        Poll::Ready(Ok(Arrival {
            round,
            is_leader: true,
        }))
    }

    /// Withdraws the arrival, unless the round is complete.
    fn withdraw(&mut self) {
        let mut state = self.shared.state();
        if self.arrived_in != Some(state.round) {
            return;
        }
        self.arrived_in = None;
        state.arrived -= usize::from(state.broken.is_none());
        let waker = state.wakers[self.number].take();
        drop(state);
        drop(waker);
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.shared.break_if(
            |_, _| true,
            |state| Broken {
                left: Some(Left {
                    number: self.number,
                    name: mem::take(&mut self.name),
                    has_panicked: thread::panicking(),
                }),
                // The round in which it would have arrived next.
                round: state.round,
                place: self.place,
            },
        );
    }
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("number", &self.number)
            .field("name", &self.name)
            .field("place", &format_args!("{}", self.place))
            .field("arrived_in", &self.arrived_in)
            .finish_non_exhaustive()
    }
}

/// Future for the [`wait`](Participant::wait) method of [`Participant`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
#[derive(Debug)]
pub struct Waiting<'a> {
    participant: &'a mut Participant,
    is_done: bool,
}

impl Future for Waiting<'_> {
    type Output = Result<Arrival, Broken>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(
            !self.is_done,
            "the `wait` of a participant was polled again after it was ready"
        );
        let arrival = self.participant.poll_arrive(context);
        self.is_done = arrival.is_ready();
        arrival
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.participant.withdraw();
    }
}

/// The outcome of a complete round of a [`Rendezvous`]: all participants have arrived.
///
/// # Examples
///
/// ```
/// use straggler::{Rendezvous, settle};
///
/// # tokio_test::block_on(async {
/// let rendezvous = Rendezvous::new(2);
/// let (mut ada, mut bob) = (rendezvous.join(), rendezvous.join());
/// for round in [0, 1] {
///     let (first, last) = settle!(ada.wait(), bob.wait());
///     let (first, last) = (first.unwrap(), last.unwrap());
///     assert!(!first.is_leader() && last.is_leader());
///     assert_eq!((first.round(), last.round()), (round, round));
/// }
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    round: usize,
    is_leader: bool,
}

impl Arrival {
    /// Returns whether this participant is the leader of the round: the last one to arrive. Each round
    /// has exactly one.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }

    /// Returns the number of the round, from 0.
    #[must_use]
    pub fn round(&self) -> usize {
        self.round
    }
}
