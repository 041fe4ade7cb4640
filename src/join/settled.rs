//! `Settled`: the outputs of a combinator after every future has settled.

use std::fmt;
use std::ops::Deref;
use std::slice;
use std::vec;

use crate::children::CompletionOrder;
use crate::contain::FirstPanic;
use crate::join::aggregate_error::AggregateError;
use crate::join::names::Names;

/// The outputs of [`settle_all`](crate::settle_all): one per future, in input order.
///
/// It dereferences to a slice (`settled[0]`, `*settled == [1, 2]`), iterates by value and by
/// reference, and keeps the order in which the futures finished. Where the outputs are [`Result`]s,
/// further methods count, list and split them.
///
/// It is not a `Result`. For `?` and `unwrap` call [`into_result`](Self::into_result), which returns
/// the first error, or [`into_result_all`](Self::into_result_all), which returns every error.
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

    /// Returns the index of each future, in the order in which they finished.
    ///
    /// Futures that finish within one poll of the combinator are in the order in which it polled them.
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

    /// Returns the name of future `index`, set by [`named`](crate::future::SettleAll::named).
    ///
    /// Returns `None` if the futures have no names, or `index` is out of range.
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

    /// Returns the errors, each with the index of its future, in completion order.
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

    /// Returns the first error in time, or `None` if every future returned `Ok`.
    ///
    /// For its index use [`errors`](Self::errors).
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

    /// Returns every value in input order, or the first error in time.
    ///
    /// Without futures it returns `Ok` with an empty `Vec`.
    ///
    /// # Errors
    ///
    /// The first error, if any future returned `Err`. The other outputs are dropped; to keep every
    /// error call [`into_result_all`](Self::into_result_all).
    ///
    /// # Panics
    ///
    /// If it returns an error and dropping another output panics. All of them are dropped, then the
    /// first of these panics resumes.
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
            unreachable!("`first` is the index of an error");
        };
        Err(first_error)
    }

    /// Returns every value in input order, or every error in completion order.
    ///
    /// Without futures it returns `Ok` with an empty `Vec`.
    ///
    /// # Errors
    ///
    /// Every error, if any future returned `Err`. The values are dropped; to keep them call
    /// [`partition`](Self::partition).
    ///
    /// # Panics
    ///
    /// If it returns an error and dropping a value panics. All values are dropped, then the first of
    /// these panics resumes.
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
        // No error is returned then, so each is dropped here, contained as the values are.
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

    /// Splits off the values in input order, and the errors with their indices in completion order.
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

/// Compares the outputs only: the completion order may differ from run to run.
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
