//! Code with `#[straggler::checkpoints]` compiles, and does what it does without.

#![deny(warnings, unused, future_incompatible, rust_2018_idioms)]
#![deny(clippy::pedantic)]

use std::cell::Cell;
use std::future::{Ready, ready};
use std::pin::{Pin, pin};

#[straggler::checkpoints]
async fn question_mark(text: Result<&str, String>) -> Result<u8, Box<dyn std::error::Error>> {
    let text = ready(text).await?;
    let number = ready(text.parse::<u8>()).await?;
    Ok(ready(Some(Ok::<_, String>(number))).await.unwrap()?)
}

#[straggler::test]
async fn question_mark_and_conversions_work() {
    assert_eq!(question_mark(Ok("7")).await.ok(), Some(7));
    let error = question_mark(Err("none".to_owned())).await.unwrap_err();
    assert_eq!(error.to_string(), "none");
    assert!(question_mark(Ok("seven")).await.is_err());
}

/// Awaits what borrows temporaries, which have to live until the `.await` is done.
#[straggler::checkpoints]
async fn borrows() -> usize {
    async fn length(text: &str) -> usize {
        ready(()).await;
        text.len()
    }

    let mut by_reference = pin!(length("three"));
    length(&["t", "wo"].concat()).await
        + length(&format!("{}", length(&String::from("one")).await)).await
        + by_reference.as_mut().await
}

#[straggler::test]
async fn borrowed_temporaries_live() {
    assert_eq!(borrows().await, 3 + 1 + 5);
}

/// Is awaited through `IntoFuture`.
struct Request(u8);

impl IntoFuture for Request {
    type Output = u8;
    type IntoFuture = Ready<u8>;

    fn into_future(self) -> Ready<u8> {
        ready(self.0)
    }
}

#[straggler::checkpoints]
async fn every_kind<F: Future<Output = u8> + Unpin>(
    mut first: F,
    boxed: Box<dyn Future<Output = u8> + Send + Unpin + '_>,
    pinned: Pin<&mut (dyn Future<Output = u8> + Send)>,
    opaque: impl Future<Output = u8>,
) -> Vec<u8> {
    let second = &mut ready(2);
    let by_move = async move |number: u8| ready(number).await;
    let moved = vec![9];
    vec![
        (&mut first).await,
        second.await,
        boxed.await,
        pinned.await,
        opaque.await,
        Request(6).await,
        by_move(7).await,
        async { 8 }.await,
        async move { ready(moved).await[0] }.await,
    ]
}

#[straggler::test]
async fn every_kind_of_future_is_awaited() {
    let pinned = pin!(ready(4));
    let all = every_kind(ready(1), Box::new(ready(3)), pinned, ready(5));
    assert_eq!(all.await, (1..=9).collect::<Vec<_>>());
}

const fn assert_send<T: Send>(value: T) -> T {
    value
}

struct Client<'a> {
    log: &'a std::sync::Mutex<Vec<u8>>,
}

#[straggler::checkpoints]
impl<'a> Client<'a> {
    const LIMIT: [u8; {
        const TWO: usize = 2;
        TWO
    }] = [1, 2];

    async fn sends(&mut self, numbers: &[u8]) -> u8 {
        for number in numbers.iter().chain(&Self::LIMIT) {
            let number: Pin<Box<dyn Future<Output = &u8> + Send + '_>> = Box::pin(ready(number));
            let number = *number.await;
            self.log.lock().unwrap().push(number);
        }
        let log: &'a _ = ready(self.log).await;
        log.lock().unwrap().iter().sum()
    }

    fn recurses(&mut self, depth: u8) -> Pin<Box<dyn Future<Output = u8> + Send + '_>> {
        Box::pin(async move {
            match depth {
                0 => self.sends(&[]).await,
                _ => self.recurses(depth - 1).await,
            }
        })
    }
}

// A second one in the same scope.
#[straggler::checkpoints]
impl Drop for Client<'_> {
    fn drop(&mut self) {
        futures::executor::block_on(async { ready(()).await });
        self.log.lock().unwrap().clear();
    }
}

#[straggler::test]
async fn future_with_checkpoints_is_send() {
    let log = std::sync::Mutex::default();
    let mut client = Client { log: &log };
    assert_eq!(assert_send(client.sends(&[4])).await, 7);
    assert_eq!(assert_send(client.recurses(2)).await, 10);
    drop(client);
    assert!(log.into_inner().unwrap().is_empty());
}

#[expect(clippy::unused_async, reason = "awaited all the same")]
#[straggler::checkpoints]
async fn without_await() -> u8 {
    7
}

#[expect(clippy::unused_async, reason = "awaited all the same")]
#[straggler::checkpoints]
async fn without_await_in_this_build() -> u8 {
    #[cfg(any())]
    ready(()).await;
    7
}

macro_rules! with_fragments {
    ($visibility:vis fn $name:ident() -> $output:ty = $value:expr, $body:block) => {
        #[straggler::checkpoints]
        $visibility async fn $name() -> $output $body

        #[straggler::checkpoints]
        mod $name {
            pub(super) async fn value() -> $output {
                $value.await
            }
        }
    };
}

with_fragments!(pub(crate) fn fragments() -> u8 = std::future::ready(7), { ready(8).await });

/// The macro is used where the attribute is not.
#[straggler::checkpoints]
mod with_macro {
    macro_rules! awaits {
        ($future:expr) => {
            $future.await
        };
    }
    pub(super) use awaits;

    pub(super) async fn own() -> u8 {
        awaits!(super::ready(7)) + super::ready(1).await
    }

    #[derive(Default)]
    pub(super) struct Empty {
        pub(super) r#await: u8,
    }
}

#[straggler::test]
async fn fragments_and_definitions_of_macros_work() {
    assert_eq!(without_await().await, without_await_in_this_build().await);
    assert_eq!((fragments().await, fragments::value().await), (8, 7));
    assert_eq!(with_macro::awaits!(ready(6)), 6);
    assert_eq!(with_macro::own().await, 8);
    assert_eq!(with_macro::Empty::default().r#await, 0);
}

#[straggler::checkpoints]
#[straggler::test]
async fn attribute_above_test() {
    assert_eq!(ready(7).await, 7);
}

#[straggler::test]
#[straggler::checkpoints]
async fn attribute_below_test() {
    assert_eq!(ready(7).await, 7);
}

/// Names in the scope that look like those of the expansion.
mod shadowed {
    mod straggler {}
    mod core {}
    struct BeforeAwait;
    struct Checkpointed;

    trait Shadow: Sized {
        fn checkpoint(self) {}
        fn into_future(self) {}
        fn before_await(self) {}
    }

    impl<T> Shadow for T {}

    #[::straggler::checkpoints]
    pub(super) async fn awaits() -> u8 {
        let _ = (BeforeAwait, Checkpointed);
        ().checkpoint();
        ().before_await();
        Shadow::into_future(());
        ::std::future::ready(7).await
    }
}

#[no_implicit_prelude]
mod without_prelude {
    #[::straggler::checkpoints(crate = "::straggler")]
    impl super::Request {
        pub(super) async fn number(self) -> u8 {
            self.await
        }
    }
}

#[straggler::test]
async fn names_in_scope_do_not_clash() {
    assert_eq!(shadowed::awaits().await, 7);
    assert_eq!(Request(6).number().await, 6);
}

#[straggler::test(explore = 20)]
async fn types_stay_the_same_in_runs() {
    let polls = Cell::new(0);
    let counts = async || {
        polls.set(polls.get() + 1);
        borrows().await
    };
    let settled = straggler::settle!(counts(), counts());
    assert_eq!((settled, polls.get()), ((9, 9), 2));
}
