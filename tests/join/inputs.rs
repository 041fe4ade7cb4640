//! What `settle_all` and `barrier` accept: every form of input, and iterators with a wrong length.

use std::cell::Cell;
use std::future::{Future, IntoFuture, Ready, ready};
use std::pin::{Pin, pin};

use crate::common::Gate;
use futures::executor::block_on;
use straggler::{barrier, settle_all};
use tokio_test::{assert_pending, assert_ready, task};

#[tokio::test]
async fn accepts_array_vector_and_iterator() {
    assert_eq!(settle_all([ready(1), ready(2)]).await.into_vec(), [1, 2]);
    assert_eq!(settle_all(vec![ready(1)]).await.into_vec(), [1]);
    assert_eq!(settle_all(Some(ready(1))).await.into_vec(), [1]);
    let filtered = (0..5).filter(|number| number % 2 == 1).map(ready);
    assert_eq!(settle_all(filtered).await.into_vec(), [1, 3]);
    assert_eq!(barrier([ready(Ok::<_, ()>(1))]).await, Ok(vec![1]));
}

#[tokio::test]
async fn accepts_borrowed_futures() {
    let mut whole = [ready(1), ready(2)];
    assert_eq!(settle_all(&mut whole).await.into_vec(), [1, 2]);

    let mut pinned = pin!(async { 3 });
    assert_eq!(settle_all([pinned.as_mut()]).await.into_vec(), [3]);
}

#[test]
fn borrowed_future_resumes_after_drop() {
    let gate = Gate::default();
    let mut future = Box::pin(async {
        gate.clone().await;
        "done"
    });
    let mut settling = task::spawn(settle_all([&mut future]));
    assert_pending!(settling.poll());
    drop(settling);
    gate.open();
    assert_eq!(assert_ready!(task::spawn(future).poll()), "done");
}

#[tokio::test]
async fn accepts_boxed_futures_of_mixed_types() {
    let futures: [Pin<Box<dyn Future<Output = u8>>>; 2] =
        [Box::pin(async { 1 }), Box::pin(ready(2))];
    assert_eq!(settle_all(futures).await.into_vec(), [1, 2]);

    let futures: Vec<Box<dyn Future<Output = u8> + Unpin + Send>> = vec![Box::new(ready(3))];
    assert_eq!(settle_all(futures).await.into_vec(), [3]);
}

#[tokio::test]
async fn accepts_into_future() {
    struct Request(u8);

    impl IntoFuture for Request {
        type Output = Result<u8, ()>;
        type IntoFuture = Ready<Self::Output>;

        fn into_future(self) -> Self::IntoFuture {
            ready(Ok(self.0))
        }
    }

    assert_eq!(settle_all([Request(1)]).await.into_vec(), [Ok(1)]);
    assert_eq!(barrier([Request(1), Request(2)]).await, Ok(vec![1, 2]));
}

#[tokio::test]
async fn futures_may_borrow_locals() {
    let words = [String::from("a"), String::from("b")];
    let total = Cell::new(0);
    let lengths = settle_all(words.iter().map(|word| async {
        total.set(total.get() + 1);
        word.as_str()
    }));
    assert_eq!(lengths.await.into_vec(), ["a", "b"]);
    assert_eq!(total.get(), 2);
}

/// An iterator with an arbitrary `size_hint`, right or wrong.
struct Hinted<I>(I, (usize, Option<usize>));

impl<I: Iterator> Iterator for Hinted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn wrong_size_hint_is_ignored() {
    let too_high = [(100, Some(100)), (100, None), (usize::MAX, None)];
    let absurd = [(usize::MAX, Some(usize::MAX)), (0, Some(usize::MAX))];
    let too_low = [(0, Some(0)), (1, Some(1)), (0, None), (5, Some(1))];
    for hint in too_high.into_iter().chain(absurd).chain(too_low) {
        let hinted = || Hinted((0..3).map(|index| ready(Ok::<_, ()>(index))), hint);
        let settled = block_on(settle_all(hinted()));
        assert_eq!(settled.into_vec(), [Ok(0), Ok(1), Ok(2)], "{hint:?}");
        assert_eq!(block_on(barrier(hinted())), Ok(vec![0, 1, 2]), "{hint:?}");
    }
}

#[test]
fn empty_iterator_with_size_hint_is_empty() {
    let hinted = Hinted(
        std::iter::empty::<Ready<()>>(),
        (usize::MAX, Some(usize::MAX)),
    );
    assert!(block_on(settle_all(hinted)).is_empty());
}

#[test]
fn zero_sized_outputs_are_counted() {
    let settled = block_on(settle_all([(); 100].map(ready)));
    assert_eq!(settled.into_vec(), [(); 100]);
}
