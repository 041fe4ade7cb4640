//! `Rendezvous`: a meeting point of n, which breaks instead of hanging when one of them goes away.

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

/// A point at which n participants wait for one another, round after round.
///
/// It is the classic barrier, as [`std::sync::Barrier`] and `tokio::sync::Barrier` are, but it knows
/// its participants. Each [joins](Self::join), and then [arrives](Participant::wait) in each round:
/// nobody goes on before all n have arrived, and exactly one of them is the
/// [leader](Arrival::is_leader) of the round. When a participant goes away the others cannot meet any
/// more. They are not left waiting: each gets [`Broken`], which says who it was.
///
/// - A participant goes away when its [`Participant`] is dropped: because it has returned early, was
///   cancelled, or panicked. A round in which all had arrived by then is complete, also for those who
///   have not been polled since.
/// - Dropping the rendezvous before n have joined breaks it, too: nobody can join any more. One that is
///   kept, and in which fewer than n ever join, is waited at for ever: drop it when the last has joined.
/// - Once it is broken it stays so. Make another one to go on with.
/// - Of no participants there is nobody to wait; it can be made, and nobody can join.
///
/// It works on every executor, across several of them, and without features. Like every future that
/// waits for others it must not be the only one that its executor polls: all n have to make progress.
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
///             return Err("the config is missing".to_owned()); // goes away
///         }
///         participant.wait().await.map_err(|broken| broken.to_string())?;
///         Ok("started with all others")
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

/// What the participants share.
#[derive(Debug)]
struct Shared {
    /// How many participants there are.
    of: usize,
    made_at: &'static Location<'static>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    joined: usize,
    /// The round in which they arrive now.
    round: usize,
    /// How many have arrived in it, and wait.
    arrived: usize,
    /// How to wake those, by their numbers.
    wakers: Vec<Option<Waker>>,
    broken: Option<Broken>,
}

impl Rendezvous {
    /// Makes a rendezvous of `of` participants, of which none has joined.
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
    pub fn new(of: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                of,
                made_at: Location::caller(),
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

    /// Joins as the next participant. The first is number 0.
    ///
    /// The place of this call is what [`Broken`] shows if the participant goes away. That is so from
    /// here on: join before the work begins, and have the participant owned by who does the work. One
    /// that joins a broken rendezvous finds it broken.
    ///
    /// # Panics
    ///
    /// If all participants have joined already.
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

    /// Joins as [`join`](Self::join) does, with a name that [`Broken`] shows.
    ///
    /// # Panics
    ///
    /// If all participants have joined already.
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
        let of = self.shared.of;
        let mut state = self.shared.state();
        if state.joined == of {
            drop(state);
            let made_at = self.shared.made_at;
            panic!("all {of} participants of the rendezvous made at {made_at} have joined already");
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
            |state, of| state.joined < of,
            |state| Broken {
                gone: None,
                round: state.round,
                place: self.shared.made_at,
            },
        );
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("Rendezvous")
            .field("made_at", &format_args!("{}", self.shared.made_at))
            .field("of", &self.shared.of)
            .field("joined", &state.joined)
            .field("round", &state.round)
            .field("arrived", &state.arrived)
            .field("broken", &state.broken)
            .finish()
    }
}

impl Shared {
    /// Breaks the rendezvous, unless it is broken, and wakes those who wait.
    fn break_if(
        &self,
        is_so: impl FnOnce(&State, usize) -> bool,
        by: impl FnOnce(&State) -> Broken,
    ) {
        let mut state = self.state();
        if state.broken.is_some() || !is_so(&state, self.of) {
            return;
        }
        state.broken = Some(by(&state));
        let waiting = state.take_wakers();
        drop(state);
        wake(waiting).resume_in_drop();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Those who wait, in the order of their numbers.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let wakers = self.wakers.iter_mut();
        wakers.filter_map(Option::take).collect()
    }
}

/// Wakes all of them, also if one panics.
fn wake(wakers: Vec<Waker>) -> FirstPanic {
    let mut panics = FirstPanic::default();
    for waker in wakers {
        // To wake a waker drops it.
        panics.run(|| waker.wake());
    }
    panics
}

/// One of those who wait for one another at a [`Rendezvous`].
///
/// It goes away when it is dropped, which breaks the rendezvous for the others.
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
#[must_use = "a participant that is dropped breaks the rendezvous for the others"]
pub struct Participant {
    shared: Arc<Shared>,
    number: usize,
    name: Option<Cow<'static, str>>,
    place: &'static Location<'static>,
    /// The round in which it has arrived, if it has not seen what came of it.
    arrived_in: Option<usize>,
}

impl Participant {
    /// Arrives, and waits until all participants have.
    ///
    /// The last to arrive does not wait: it is the leader. The others are woken in the order of
    /// their numbers.
    ///
    /// # Errors
    ///
    /// [`Broken`], if a participant has gone away before it arrived in this round, or if the rendezvous
    /// was dropped before all had joined. So it is in each later round.
    ///
    /// # Panics
    ///
    /// The returned future panics if it is polled again after it was ready.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the returned future is dropped the participant has not arrived, and the others
    /// go on waiting for it. It has not gone away: call this again. If all had arrived by then, the
    /// next call is ready at once, with what came of that round.
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

    /// Returns the number of the participant: how many had joined before it.
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

    /// Arrives if it has not, and says what has come of the round.
    pub(crate) fn poll_arrive(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Arrival, Broken>> {
        let mut state = self.shared.state();
        let round = *self.arrived_in.get_or_insert_with(|| {
            state.arrived += usize::from(state.broken.is_none());
            state.round
        });
        // A round that was complete before it broke is complete.
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
        if state.arrived < self.shared.of {
            let before = state.wakers[self.number].replace(context.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
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

    /// Takes back its arrival, unless all have arrived.
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
                gone: Some(Gone {
                    number: self.number,
                    name: mem::take(&mut self.name),
                    has_panicked: thread::panicking(),
                }),
                // In which it would have arrived next.
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

/// Future for the [`wait`](Participant::wait) method.
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

/// All participants have arrived.
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
    /// Returns whether the participant is the leader of the round: the one that arrived last. There
    /// is exactly one.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }

    /// Returns the number of the round, which is 0 of the first.
    #[must_use]
    pub fn round(&self) -> usize {
        self.round
    }
}

/// A participant of a [`Rendezvous`] has gone away, or the rendezvous before all had joined, so that the
/// others cannot meet any more.
///
/// If several have it is the first in time. `Debug` tells the same as `Display`, since tests `unwrap()`.
///
/// # Examples
///
/// ```
/// # tokio_test::block_on(async {
/// let rendezvous = straggler::Rendezvous::new(2);
/// let mut ada = rendezvous.join_named("ada");
/// drop(rendezvous.join_named("bob"));
///
/// let broken = ada.wait().await.unwrap_err();
/// assert_eq!((broken.number(), broken.name()), (Some(1), Some("bob")));
/// assert_eq!((broken.round(), broken.has_panicked()), (0, false));
/// assert_eq!(broken.place().file(), file!());
/// # });
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Broken {
    /// `None` if the rendezvous was dropped before all had joined.
    gone: Option<Gone>,
    round: usize,
    place: &'static Location<'static>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Gone {
    number: usize,
    name: Option<Cow<'static, str>>,
    has_panicked: bool,
}

impl Broken {
    /// Returns the number of the participant that has gone away, or `None` if none has: the rendezvous
    /// was dropped before all had joined.
    #[must_use]
    pub fn number(&self) -> Option<usize> {
        self.gone.as_ref().map(|gone| gone.number)
    }

    /// Returns the name of the participant that has gone away, if it [has](Rendezvous::join_named) one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.gone.as_ref()?.name.as_deref()
    }

    /// Returns where the participant joined that has gone away, or where the rendezvous was made if it
    /// was dropped before all had joined.
    #[must_use]
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// Returns the number of the round that can never be complete.
    #[must_use]
    pub fn round(&self) -> usize {
        self.round
    }

    /// Returns whether the participant was dropped while its thread unwound: by a panic of its own, or of
    /// something beside it in the same task.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.gone.as_ref().is_some_and(|gone| gone.has_panicked)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gone, round, place } = self;
        let Some(gone) = gone else {
            return write!(
                f,
                "the rendezvous made at {place} was dropped before all of its participants had joined"
            );
        };
        write!(f, "participant #{}", gone.number)?;
        if let Some(name) = &gone.name {
            write!(f, " `{name}`")?;
        }
        let did = if gone.has_panicked {
            "was dropped by a panic"
        } else {
            "went away: it returned early, or was cancelled,"
        };
        write!(
            f,
            " of the rendezvous (joined at {place}) {did} before it arrived in round {round}"
        )
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}
