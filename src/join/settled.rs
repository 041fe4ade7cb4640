//! What came out of a combinator whose every future has come to its end.

use std::fmt;
use std::ops::Deref;
use std::slice;
use std::vec;

use crate::children::CompletionOrder;
use crate::contain::FirstPanic;
use crate::join::aggregate_error::AggregateError;
use crate::join::names::Names;

/// The outputs of [`settle_all`](crate::settle_all): one for each future, in input order.
///
/// It is a slice of outputs to read (`settled[0]`, `*settled == [1, 2]`), an iterator to take apart,
/// and remembers in which order the futures came to their ends. Where the outputs are [`Result`]s
/// there is more: what went right, what went wrong, and what went wrong first.
///
/// It is no `Result` itself. For `?` and `unwrap` call [`into_result`](Self::into_result), which
/// has the first error, or [`into_result_all`](Self::into_result_all), which has every error.
///
/// # Examples
///
/// ```
/// use straggler::settle_all;
///
/// # tokio_test::block_on(async {
/// let settled = settle_all(["7", "x", "9"].map(|text| async { text.parse::<u8>() })).await;
///
/// assert_eq!(settled[0], Ok(7));
/// assert_eq!(settled.ok_count(), 2);
/// assert!(settled.into_result().is_err());
/// # });
/// ```
#[derive(Clone)]
#[must_use = "the outputs may be errors: look at them, or drop them with `let _ =`"]
pub struct Settled<O> {
    outputs: Vec<O>,
    order: CompletionOrder,
    names: Names,
}

impl<O> Settled<O> {
    pub(crate) fn new(outputs: Vec<O>, order: CompletionOrder, names: Names) -> Self {
        Self {
            outputs,
            order,
            names,
        }
    }

    /// Returns the outputs in input order.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([async { 1 }]).await;
    /// assert_eq!(settled.into_vec(), [1]);
    /// # });
    /// ```
    #[must_use]
    pub fn into_vec(self) -> Vec<O> {
        self.outputs
    }

    /// Returns the index of each future, in the order in which they came to their ends.
    ///
    /// Of two futures that ended within one poll of the combinator, the one that was polled first
    /// comes first.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio::task::yield_now;
    ///
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([3, 1, 2].map(|times| async move {
    ///     for _ in 0..times {
    ///         yield_now().await;
    ///     }
    /// }))
    /// .await;
    /// assert_eq!(settled.completion_order(), [1, 2, 0]);
    /// # });
    /// ```
    #[must_use]
    pub fn completion_order(&self) -> &[usize] {
        self.order.indices()
    }

    /// Returns the name that [`named`](crate::future::SettleAll::named) gave to future `index`, or `None`
    /// if there are no names or not so many futures.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([async { 1 }]).named(|_| "one").await;
    /// assert_eq!(settled.name(0), Some("one"));
    /// assert_eq!(settled.name(1), None);
    /// # });
    /// ```
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index)
    }
}

impl<T, E> Settled<Result<T, E>> {
    /// Returns how many futures returned `Ok`.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.ok_count(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn ok_count(&self) -> usize {
        self.oks().count()
    }

    /// Returns how many futures returned `Err`.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.err_count(), 1);
    /// # });
    /// ```
    #[must_use]
    pub fn err_count(&self) -> usize {
        self.errors().count()
    }

    /// Returns the values, each with the index of its future, in completion order.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Err("no"), Ok(1)].map(std::future::ready)).await;
    /// assert!(settled.oks().eq([(1, &1)]));
    /// # });
    /// ```
    pub fn oks(&self) -> impl Iterator<Item = (usize, &T)> {
        self.in_completion_order()
            .filter_map(|(index, output)| Some((index, output.as_ref().ok()?)))
    }

    /// Returns the errors, each with the index of its future, in completion order: the first in
    /// time comes first.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert!(settled.errors().eq([(1, &"no")]));
    /// # });
    /// ```
    pub fn errors(&self) -> impl Iterator<Item = (usize, &E)> {
        self.in_completion_order()
            .filter_map(|(index, output)| Some((index, output.as_ref().err()?)))
    }

    /// Returns the error that was first in time, or `None` if there is none.
    ///
    /// Its index is in [`errors`](Self::errors).
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.first_error(), Some(&"no"));
    /// # });
    /// ```
    #[must_use]
    pub fn first_error(&self) -> Option<&E> {
        self.errors().next().map(|(_, error)| error)
    }

    /// Returns every value in input order, or the error that was first in time.
    ///
    /// Nothing to settle is no error: of no futures it returns `Ok` with an empty `Vec`.
    ///
    /// # Errors
    ///
    /// If any future returned `Err`. The other outputs are dropped; to keep all errors call
    /// [`into_result_all`](Self::into_result_all).
    ///
    /// # Panics
    ///
    /// If it returns an error and one of the other outputs panics when it is dropped. All of them
    /// are dropped in any case, and the first of their panics goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.into_result(), Err("no"));
    /// # });
    /// ```
    pub fn into_result(self) -> Result<Vec<T>, E> {
        let Some(first) = self.errors().next().map(|(index, _)| index) else {
            return self.outputs.into_iter().collect();
        };
        let mut panics = FirstPanic::default();
        let mut first_error = None;
        for (index, output) in self.outputs.into_iter().enumerate() {
            match output {
                Err(error) if index == first => first_error = Some(error),
                other => panics.drop_value(other),
            }
        }
        let Some(first_error) = panics.or_resume(first_error) else {
            unreachable!("it was found above");
        };
        Err(first_error)
    }

    /// Returns every value in input order, or every error in completion order.
    ///
    /// Nothing to settle is no error: of no futures it returns `Ok` with an empty `Vec`.
    ///
    /// # Errors
    ///
    /// If any future returned `Err`. The values of the others are dropped; to keep them too call
    /// [`partition`](Self::partition).
    ///
    /// # Panics
    ///
    /// If it returns an error and one of the values panics when it is dropped. All of them are
    /// dropped in any case, and the first of their panics goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let outcomes = [Err("no"), Ok(1), Err("never")];
    /// let settled = straggler::settle_all(outcomes.map(std::future::ready)).await;
    ///
    /// let errors = settled.into_result_all().unwrap_err();
    /// assert_eq!(errors.to_string(), "2 of 3 futures failed\n  #0: no\n  #2: never");
    /// # });
    /// ```
    pub fn into_result_all(self) -> Result<Vec<T>, AggregateError<E>> {
        if self.first_error().is_none() {
            return Ok(self.outputs.into_iter().filter_map(Result::ok).collect());
        }
        let total = self.outputs.len();
        let (oks, mut errors, names) = self.split();
        let mut panics = FirstPanic::default();
        panics.drop_each(oks);
        if panics.is_some() {
            panics.drop_each(errors.drain(..));
        }
        panics.resume();
        Err(AggregateError::new(errors, total, names))
    }

    /// Returns the values in input order and the errors in completion order.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio_test::block_on(async {
    /// let settled = straggler::settle_all([Ok(1), Err("no")].map(std::future::ready)).await;
    /// assert_eq!(settled.partition(), (vec![1], vec!["no"]));
    /// # });
    /// ```
    #[must_use]
    pub fn partition(self) -> (Vec<T>, Vec<E>) {
        let (oks, errors, _) = self.split();
        (oks, errors.into_iter().map(|(_, error)| error).collect())
    }

    fn in_completion_order(&self) -> impl Iterator<Item = (usize, &Result<T, E>)> {
        self.order.iter().map(|index| (index, &self.outputs[index]))
    }

    /// The values in input order, the errors with their indices in completion order.
    fn split(self) -> (Vec<T>, Vec<(usize, E)>, Names) {
        let mut oks = Vec::new();
        let mut errors: Vec<_> = self.outputs.iter().map(|_| None).collect();
        for (index, output) in self.outputs.into_iter().enumerate() {
            match output {
                Ok(value) => oks.push(value),
                Err(error) => errors[index] = Some(error),
            }
        }
        let errors = self
            .order
            .iter()
            .filter_map(|index| Some((index, errors[index].take()?)))
            .collect();
        (oks, errors, self.names)
    }
}

/// Two are equal if their outputs are: the order of completion may differ from run to run.
impl<O: PartialEq> PartialEq for Settled<O> {
    fn eq(&self, other: &Self) -> bool {
        self.outputs == other.outputs
    }
}

impl<O: Eq> Eq for Settled<O> {}

impl<O: fmt::Debug> fmt::Debug for Settled<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled")
            .field("outputs", &self.outputs)
            .field("completion_order", &self.completion_order())
            .finish_non_exhaustive()
    }
}

impl<O> Deref for Settled<O> {
    type Target = [O];

    fn deref(&self) -> &[O] {
        &self.outputs
    }
}

impl<O> IntoIterator for Settled<O> {
    type Item = O;
    type IntoIter = vec::IntoIter<O>;

    fn into_iter(self) -> Self::IntoIter {
        self.outputs.into_iter()
    }
}

impl<'a, O> IntoIterator for &'a Settled<O> {
    type Item = &'a O;
    type IntoIter = slice::Iter<'a, O>;

    fn into_iter(self) -> Self::IntoIter {
        self.outputs.iter()
    }
}
