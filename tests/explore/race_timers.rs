//! `race_timers`: timers that fire while tasks could still run.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use straggler::{Explore, settle_all};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// How bytes of a batch are sent.
#[derive(Clone, Copy)]
enum Flush {
    /// Takes a byte, and loses it if it is cancelled while it sends.
    Takes,
    /// Takes a byte once there is room for it.
    Reserves,
}

/// Flushes a batch within a timeout that only a machine under load exceeds, and counts what arrived.
async fn flush_in_time(how: Flush) {
    let batch = RefCell::new(vec![1, 2, 3]);
    let (sender, mut receiver) = mpsc::channel(1);
    let consumer = straggler::spawn(async move {
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        count
    });
    let flush = async {
        let take = || batch.borrow_mut().pop();
        match how {
            Flush::Takes => {
                while let Some(byte) = take() {
                    sender.send(byte).await.unwrap();
                }
            }
            Flush::Reserves => {
                while !batch.borrow().is_empty() {
                    let room = sender.reserve().await.unwrap();
                    room.send(take().unwrap());
                }
            }
        }
    };
    let _ = timeout(5 * SECOND, flush).await;
    drop(sender);
    let arrived = consumer.await.unwrap();
    assert_eq!(arrived + batch.borrow().len(), 3, "bytes were lost");
}

#[test]
fn timeout_cancels_work_that_could_go_on() {
    let missed = Explore::new().find(|| flush_in_time(Flush::Takes));
    assert_eq!(missed.unwrap().note(), None);

    let failure = Explore::new()
        .race_timers()
        .find(|| flush_in_time(Flush::Takes));
    let failure = failure.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("bytes were lost"), "{text}");
    let fires = "the body is woken by a timer that fires 5s early";
    assert!(text.contains(fires), "{text}");
    assert!(failure.to_svg().contains("timer fires early"));

    let replayed = Explore::new().race_timers().replay(failure.seed().clone());
    let again = replayed.find(|| flush_in_time(Flush::Takes)).unwrap_err();
    assert_eq!(again.schedule(), failure.schedule());

    let repaired = Explore::new()
        .race_timers()
        .find(|| flush_in_time(Flush::Reserves));
    assert_eq!(repaired.unwrap().note(), None);
}

/// Tasks that could run are behind a timer of another task, and the picture shows whose it is.
#[test]
fn timer_of_one_task_overtakes_another() {
    let overtaken = || async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let push = |name| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(name)
        };
        let (timer, worker) = (push("timer"), push("worker"));
        let timer = straggler::spawn(async move {
            sleep(SECOND).await;
            timer();
        });
        let worker = straggler::spawn(async move {
            yield_now().await;
            worker();
        });
        worker.await.unwrap();
        timer.await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["worker", "timer"]);
    };
    assert!(Explore::new().find(overtaken).is_ok());
    let failure = Explore::new().race_timers().find(overtaken).unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("is woken by a timer that fires 1s early"),
        "{text}"
    );
    assert!(text.contains("△ timer fires early"), "{text}");
}

#[test]
fn earliest_timer_fires_first() {
    let body = || async {
        let asleep = Arc::new(AtomicUsize::new(0));
        let sleeps = [30, 2, 7].map(|after| {
            let asleep = Arc::clone(&asleep);
            straggler::spawn(async move {
                asleep.fetch_add(1, Relaxed);
                sleep(after * SECOND).await;
            })
        });
        while asleep.load(Relaxed) < sleeps.len() {
            yield_now().await;
        }
        let began = Instant::now();
        for _ in 0..10 {
            yield_now().await;
            // A hold may end without a timer after a second.
            assert!(began.elapsed() < 2 * SECOND, "a timer fired");
        }
        for sleep in sleeps {
            sleep.await.unwrap();
        }
    };
    for seed in 0..3 {
        let failure = Explore::new().seed(seed).race_timers().find(body);
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("a timer fired"), "{text}");
        let fires = "task #2 is woken by a timer that fires 2s early";
        assert!(text.contains(fires), "{text}");
    }
}

#[test]
fn runs_without_timers_end() {
    let explored = Explore::new().runs(200).race_timers().find(|| async {
        let (sender, mut receiver) = mpsc::channel(1);
        let task = straggler::spawn(async move {
            for number in 0..3 {
                sender.send(number).await.unwrap();
            }
        });
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
        }
        task.await.unwrap();
        let blocking = straggler::spawn_blocking(|| 7).await.unwrap();
        let _ = settle_all([yield_now(), yield_now()]).await;
        assert_eq!(sum + blocking, 10);
    });
    assert_eq!(explored.unwrap().note(), None);
}

#[straggler::test(explore = 50, race_timers)]
#[should_panic(expected = "bytes were lost")]
async fn attribute_races_timers() {
    flush_in_time(Flush::Takes).await;
}
