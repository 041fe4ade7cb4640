//! `settle!` and `barrier!`: their syntax, types and temporaries. The macros share the engine of
//! the functions, so order, wake-ups and panics are tested here only where they could differ.

use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture, Ready, poll_fn, ready};
use std::marker::PhantomPinned;
use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::common::{Gate, Log, message};
use futures::executor::block_on;
use straggler::{barrier, settle, settle_all};
use tokio::sync::{Mutex, oneshot};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, task};

#[tokio::test]
async fn no_futures_yield_unit() {
    settle!();
    let nothing: Result<(), &str> = barrier!();
    assert_eq!(nothing, Ok(()));
}

#[tokio::test]
async fn one_future_yields_one_tuple() {
    assert_eq!(settle!(async { 1 }), (1,));
    assert_eq!(barrier!(async { Ok::<_, ()>(1) }), Ok((1,)));
}

#[tokio::test]
async fn outputs_may_differ_in_type() {
    let (number, text, unit) = settle!(async { 1_u8 }, async { "two" }, async {});
    assert_eq!((number, text, unit), (1, "two", ()));

    let (number, text) = settle!(ready(1), async { String::from("two") });
    assert_eq!((number, text.as_str()), (1, "two"));

    let values = barrier!(async { Ok::<u8, ()>(1) }, async { Ok("two") }, async {
        Ok(())
    });
    assert_eq!(values, Ok((1, "two", ())));
}

#[tokio::test]
async fn trailing_comma_is_allowed() {
    assert_eq!(settle!(ready(1), ready(2),), (1, 2));
    assert_eq!(barrier!(ready(Ok::<_, ()>(1)),), Ok((1,)));
}

#[tokio::test]
async fn twelve_futures_yield_flat_tuple() {
    let outputs = settle!(
        ready(0),
        ready(1),
        ready(2),
        ready(3),
        ready(4),
        ready(5),
        ready(6),
        ready(7),
        ready(8),
        ready(9),
        ready("ten"),
        async { '!' },
    );
    assert_eq!(outputs, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, "ten", '!'));
}

/// Calls both macros with 60 futures and collects each tuple into an array.
macro_rules! sixty {
    ($($index:ident)*) => {{
        let gates = Gate::many(60);
        let at = Cell::new(0);
        let next = || {
            let index = at.replace(at.get() + 1);
            let gate = gates[index].clone();
            async move {
                gate.await;
                index
            }
        };
        let mut settling = task::spawn(async {
            let ($($index,)*) = settle!($({ stringify!($index); next() }),*);
            [$($index),*]
        });
        let mut waiting = task::spawn(async {
            let next = |index: usize| ready(if index % 7 == 6 { Err(index) } else { Ok(index) });
            let at = Cell::new(0);
            let failed = barrier!($({ stringify!($index); next(at.replace(at.get() + 1)) }),*);
            failed.map(|($($index,)*)| [$($index),*])
        });
        assert_pending!(settling.poll());
        gates.iter().rev().for_each(Gate::open);
        (assert_ready!(settling.poll()), assert_ready!(waiting.poll()))
    }};
}

#[test]
fn sixty_futures_yield_flat_tuple() {
    let (outputs, failed) = sixty!(
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9
        c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 d0 d1 d2 d3 d4 d5 d6 d7 d8 d9
        e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9
    );
    assert!(outputs.into_iter().eq(0..60));
    assert_eq!(failed, Err(6));
}

#[tokio::test]
async fn expressions_evaluated_in_order_before_polls() {
    let log = Log::new();
    let future = |name: &'static str| {
        log.push(name);
        let log = &log;
        async move { log.push(&name[1..]) }
    };
    settle!(future("1a"), future("2b"), future("3c"));
    assert_eq!(log.take(), ["1a", "2b", "3c", "a", "b", "c"]);
}

#[tokio::test]
async fn accepts_borrowed_futures() {
    let mut whole = ready(1);
    let mut pinned = pin!(async { 2 });
    assert_eq!(settle!(&mut whole, pinned.as_mut()), (1, 2));
    let mut boxed: std::pin::Pin<Box<dyn Future<Output = u8>>> = Box::pin(async { 3 });
    assert_eq!(settle!(&mut boxed), (3,));
}

#[test]
fn borrowed_future_resumes_after_drop() {
    let gate = Gate::default();
    let mut kept = Box::pin(async {
        gate.clone().await;
        "done"
    });
    {
        let mut settling = task::spawn(async { settle!(&mut kept, std::future::pending::<()>()) });
        assert_pending!(settling.poll());
    }
    gate.open();
    assert_eq!(block_on(kept), "done");
}

#[tokio::test]
async fn futures_may_borrow_locals() {
    let text = String::from("text");
    let count = Cell::new(0);
    let add = |number| {
        let count = &count;
        async move { count.set(count.get() + number) }
    };
    let (length, (), ()) = settle!(async { text.len() }, add(1), add(2));
    assert_eq!((length, count.get()), (4, 3));
}

#[tokio::test]
async fn guards_in_expressions_dropped_before_polls() {
    let number = Mutex::new(1);
    let settled = settle!(ready(*number.lock().await), async {
        *number.lock().await += 1;
    });
    assert_eq!(settled, (1, ()));

    let passed = barrier!(ready(Ok::<_, ()>(*number.lock().await)), async {
        *number.lock().await += 1;
        Ok(())
    });
    assert_eq!(passed, Ok((2, ())));
    assert_eq!(number.into_inner(), 3);
}

#[tokio::test]
async fn guard_in_expression_keeps_future_send() {
    let number = Arc::new(std::sync::Mutex::new(1));
    let spawned =
        tokio::spawn(
            async move { settle!(ready(*number.lock().unwrap()), tokio::task::yield_now()) },
        );
    assert_eq!(spawned.await.unwrap(), (1, ()));
}

#[tokio::test]
async fn pinned_futures_stay_in_place() {
    let gate = Gate::default();
    let addresses = RefCell::new(Vec::new());
    let waits = async {
        let here = PhantomPinned;
        addresses
            .borrow_mut()
            .push(std::ptr::from_ref(&here) as usize);
        gate.clone().await;
        addresses
            .borrow_mut()
            .push(std::ptr::from_ref(&here) as usize);
    };
    settle!(waits, async { gate.open() });
    let addresses = addresses.into_inner();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0], addresses[1]);
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

    assert_eq!(settle!(Request(1), ready(2)), (Ok(1), 2));
    assert_eq!(barrier!(Request(1), Request(2)), Ok((1, 2)));
}

#[tokio::test]
async fn expressions_may_return_early_and_await() {
    async fn make(number: u8) -> Ready<u8> {
        tokio::task::yield_now().await;
        ready(number)
    }

    async fn parse(left: &str, right: &str) -> Result<(u8, u8), ParseIntError> {
        Ok(settle!(
            ready(left.parse::<u8>()?),
            make(right.parse()?).await
        ))
    }

    async fn both(left: &str, right: &str) -> Result<u8, ParseIntError> {
        let (left, right) = barrier!(async { left.parse::<u8>() }, async { right.parse::<u8>() })?;
        Ok(left + right)
    }

    assert_eq!(parse("1", "2").await, Ok((1, 2)));
    assert!(parse("1", "x").await.is_err());
    assert_eq!(both("1", "2").await, Ok(3));
    assert!(both("x", "2").await.is_err());
}

#[tokio::test]
async fn error_type_inferred_from_siblings() {
    let failed = barrier!(async { Ok(1) }, async { Err::<(), _>("error") }, async {
        Ok(2)
    });
    assert_eq!(failed, Err("error"));
    let fine: Result<_, String> = barrier!(async { Ok(1) }, async { Ok('2') });
    assert_eq!(fine, Ok((1, '2')));
}

#[test]
fn barrier_returns_first_error_in_time() {
    let gates = Gate::many(3);
    let finished = Cell::new(false);
    let fails = |index: usize| {
        let gate = gates[index].clone();
        async move {
            gate.await;
            Err::<u8, _>(index)
        }
    };
    let mut waiting = task::spawn(async {
        let fine = async {
            gates[1].clone().await;
            finished.set(true);
            Ok::<_, usize>("fine")
        };
        barrier!(fails(0), fine, fails(2))
    });
    assert_pending!(waiting.poll());
    gates[2].open();
    assert_pending!(waiting.poll());
    gates[0].open();
    assert_pending!(waiting.poll());
    gates[1].open();
    assert_eq!(assert_ready_err!(waiting.poll()), 2);
    assert!(finished.get(), "the other futures completed");
}

#[test]
fn panic_outranks_error_after_all_settle() {
    let finished = Cell::new(false);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        block_on(async {
            barrier!(
                async { Err::<(), _>("error") },
                async {
                    if finished.get() {
                        Ok(())
                    } else {
                        panic!("first panic")
                    }
                },
                async {
                    tokio::task::yield_now().await;
                    finished.set(true);
                    panic!("second panic");
                    #[expect(unreachable_code, reason = "says what the block would return")]
                    Ok(())
                },
            )
        })
    }));
    assert_eq!(message(panicked), "first panic");
    assert!(finished.get());
}

#[test]
fn settle_resumes_panic_after_all_settle() {
    let finished = Cell::new(false);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        block_on(async {
            settle!(async { panic!("at once") }, async {
                tokio::task::yield_now().await;
                finished.set(true);
            })
        })
    }));
    assert_eq!(message::<((), ())>(panicked), "at once");
    assert!(finished.get());
}

#[test]
fn only_woken_futures_polled_once_per_turn() {
    let gates = Gate::many(3);
    let mut settling =
        task::spawn(async { settle!(gates[0].clone(), gates[1].clone(), gates[2].clone()) });
    let polls = || gates.iter().map(Gate::polls).collect::<Vec<_>>();
    assert_pending!(settling.poll());
    gates[1].wake();
    assert_pending!(settling.poll());
    assert_pending!(settling.poll());
    assert_eq!(polls(), [1, 2, 1]);
    gates.iter().for_each(Gate::open);
    assert_ready!(settling.poll());
    assert_eq!(polls(), [2, 3, 2]);
}

#[test]
fn self_waking_future_does_not_starve_others() {
    let finished = Cell::new(false);
    let busy = poll_fn(|context| {
        context.waker().wake_by_ref();
        if finished.get() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let gate = Gate::default();
    let mut settling = task::spawn(async {
        settle!(busy, async {
            gate.clone().await;
            finished.set(true);
        })
    });
    for _ in 0..10 {
        assert_pending!(settling.poll());
    }
    gate.open();
    assert_pending!(settling.poll());
    assert_ready!(settling.poll());
}

#[tokio::test]
async fn macros_can_be_nested() {
    let (inner, (left, right)) = settle!(async { barrier!(ready(Ok::<_, ()>(1))) }, async {
        settle!(ready(2), async { settle!(ready(3)) })
    });
    assert_eq!((inner, left, right), (Ok((1,)), 2, (3,)));
    // In the expression of a future too: the macro awaits it before the other futures start.
    assert_eq!(settle!(ready(settle!(ready(1)))), ((1,),));
    let settled = settle_all([1, 2].map(|number| async move { settle!(ready(number)).0 })).await;
    assert_eq!(settled.into_vec(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn macros_work_in_spawned_tasks() {
    let (sender, receiver) = oneshot::channel();
    let task = tokio::spawn(async move {
        let text = String::from("text");
        let (sent, length) = settle!(receiver, async { text.len() });
        barrier!(async { sent }, async { Ok(length) })
    });
    sender.send("sent").unwrap();
    assert_eq!(task.await.unwrap(), Ok(("sent", 4)));
}

#[tokio::test]
async fn caller_names_do_not_clash() {
    let (output, outputs, values, error, nested) = (1, 2, 3, 4, 5);
    let settled = settle!(async { output }, async { outputs }, async { nested });
    assert_eq!(settled, (1, 2, 5));
    let passed = barrier!(async { Ok::<_, u8>(values) }, async { Ok(error) });
    assert_eq!(passed, Ok((3, 4)));
}

/// Items and traits whose names the macros' expansions use, or used once.
mod hostile_scope {
    #![allow(non_upper_case_globals, dead_code, reason = "the names are the point")]

    use straggler::{barrier, settle};

    const settling: u8 = 0;
    const outputs: u8 = 0;
    const output: u8 = 0;
    static errors: u8 = 0;
    const values: u8 = 0;
    const error: u8 = 0;

    trait Slot: Sized {
        fn slot(self) {}
        fn and(self) {}
    }
    impl<T> Slot for T {}

    #[tokio::test]
    async fn names_do_not_break_expansion() {
        assert_eq!(settle!(async { 1 }, async { "two" }), (1, "two"));
        let values_of_both = barrier!(async { Ok::<_, u8>(1) }, async { Ok("two") });
        assert_eq!(values_of_both, Ok((1, "two")));
    }
}
