//! The picture of a failing schedule, as text and as SVG, and the advice beside it.

use super::*;

/// The text shows the lines of these functions, so they come first.
async fn register_once(users: &RwLock<Vec<&str>>) -> Result<(), &'static str> {
    if users.read().await.contains(&"eve") {
        return Err("409");
    }
    users.write().await.push("eve");
    Ok(())
}

#[cfg(not(straggler_instrumented))]
async fn dine(left: &Mutex<()>, right: &Mutex<()>) {
    let _left = left.lock().await;
    let _right = right.lock().await;
}

async fn listen(news: oneshot::Receiver<()>) {
    _ = news.await;
}

async fn two_registrations_once() {
    let users = RwLock::default();
    let settled = settle_all([register_once(&users), register_once(&users)]).await;
    assert_eq!(settled.ok_count(), 1, "one name, one account");
}

#[cfg(not(straggler_instrumented))]
async fn three_philosophers() {
    let forks = [(); 3].map(|()| Mutex::new(()));
    let dine = |at: usize| dine(&forks[at], &forks[(at + 1) % 3]);
    settle!(dine(0), dine(1), dine(2));
}

/// The failure in the schedule of a seed that nothing was found with.
fn stepped<R: Future<Output: straggler::explore::Outcome>>(body: impl FnMut() -> R) -> Failure {
    let seed = "stepped".parse().unwrap();
    Explore::new().replay(seed).find(body).unwrap_err()
}

fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.set_omit_expression(true);
    // Builds with scheduling points find it in another run.
    settings.add_filter(r"reduced from \d+", "reduced from [count]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Compares the schedule of a failure with its picture and advice, and its SVG.
fn assert_picture(name: &str, failure: &Failure) {
    let text = failure.to_string();
    let (_, schedule) = text.split_once("minimal failing").expect(&text);
    let (schedule, _) = schedule.split_once("\n\nTo replay").expect(&text);
    assert_snapshot(&format!("{name}__text"), schedule);
    let svg = failure.to_svg().replace("><", ">\n<");
    assert_snapshot(&format!("{name}__svg"), &svg);
}

#[test]
fn race_of_registrations_drawn() {
    let failure = Explore::new().find(two_registrations_once).unwrap_err();
    assert_picture("race_of_registrations", &failure);
}

/// With scheduling points another philosopher yields.
#[cfg(not(straggler_instrumented))]
#[test]
fn deadlock_of_philosophers_drawn() {
    let failure = Explore::new().find(three_philosophers).unwrap_err();
    assert_picture("deadlock_of_philosophers", &failure);
}

#[test]
fn select_listed_branch_by_branch() {
    let failure = stepped(|| async {
        let (_answer, answered) = oneshot::channel::<()>();
        let (_news, heard) = oneshot::channel();
        let stopped = tokio::sync::Notify::new();
        tokio::select! {
            biased;
            _ = answered => {}
            () = listen(heard) => {}
            () = stopped.notified() => {}
        }
    });
    let step = &failure.schedule().steps()[0];
    let action = step.action();
    assert_eq!(action.matches("diagram.rs").count(), 1, "{action}");
    assert!(action.ends_with(", in 3 branches"), "{action}");
    let line = "at tests/explore/diagram.rs:21:14 in explore::diagram::listen";
    let of_listen = format!("{line}, on tokio::sync::oneshot::Receiver");
    let on = ["notify::Notified", "oneshot::Receiver"].map(|on| format!("on tokio::sync::{on}"));
    let mut branches = step.branches().to_vec();
    branches.sort();
    let [notified, receiver] = on;
    assert_eq!(branches, [of_listen, notified, receiver], "{failure}");
    let text = failure.to_string();
    for branch in &branches {
        assert!(text.contains(&format!("\n       {branch}\n")), "{text}");
    }
    let svg = failure.to_svg();
    assert!(svg.contains("waits: "), "{svg}");
}

#[test]
fn wake_ups_recorded() {
    let failure = stepped(|| async {
        let (send, receive) = oneshot::channel();
        settle!(listen(receive), async { send.send(()).unwrap() });
        fails();
    });
    let steps = failure.schedule().steps();
    let wakes: Vec<_> = steps.iter().map(Step::wakes).collect();
    let first = steps[0].actor().to_owned();
    assert_eq!(wakes, [&[][..], &[first], &[], &[]], "{failure}");
    let text = failure.schedule().to_string();
    assert!(text.contains(" ends, and wakes child #0 "), "{text}");
}

#[test]
fn yields_wake_nobody() {
    let failure = stepped(|| async {
        settle!(yield_now(), yield_now());
        fails();
    });
    let steps = failure.schedule().steps();
    assert!(
        steps.iter().all(|step| step.wakes().is_empty()),
        "{failure}"
    );
}

fn fails() {
    panic!("on purpose: <&>");
}

#[test]
fn svg_escapes_names() {
    let failure = stepped(|| async {
        let name = |_| "\"<b>\" & \u{1b}[1m";
        let _ = settle_all([yield_now(), yield_now()]).named(name).await;
        fails();
    });
    let svg = failure.to_svg();
    assert!(
        svg.contains("child #0 `&quot;&lt;b&gt;&quot; &amp; \u{fffd}[1m`"),
        "{svg}"
    );
    assert!(
        svg.contains("<title>the body panicked: on purpose: &lt;&amp;&gt;</title>"),
        "{svg}"
    );
    assert!(!svg.contains("<b>") && !svg.contains('\u{1b}'), "{svg}");
}

#[test]
fn svg_without_steps_has_cause() {
    let failure = Explore::new().find(|| async { fails() }).unwrap_err();
    assert!(failure.schedule().steps().is_empty());
    let svg = failure.to_svg();
    assert!(svg.contains("the body panicked: on purpose"), "{svg}");
    assert!(svg.contains("The run used the plain order"), "{svg}");
    assert!(!svg.contains("class=\"mark"), "{svg}");
}

#[test]
fn svg_without_failed_run_claims_no_order() {
    let exploring = Explore::new().runs(3).require_overlap();
    let svg = exploring.find(|| async {}).unwrap_err().to_svg();
    assert!(svg.contains("No single run failed"), "{svg}");
    assert!(!svg.contains("plain order"), "{svg}");
}

#[test]
fn long_schedule_drawn_in_bounds() {
    let failure = stepped(|| async {
        let yields = (0..40).map(|_| async {
            for _ in 0..20 {
                yield_now().await;
            }
        });
        let _ = settle_all(yields).named(|_| "n".repeat(5_000)).await;
        fails();
    });
    let svg = failure.to_svg();
    assert!(svg.len() < 60_000, "{} bytes", svg.len());
    let steps = failure.schedule().steps().len() + failure.schedule().omitted();
    assert_eq!(svg.matches("<g>").count(), 60);
    assert!(
        svg.contains(&format!("… {} steps not shown", steps - 60)),
        "{svg}"
    );
    assert!(svg.contains(" others</text>"), "{svg}");
    assert!(
        !failure.to_string().contains('◇'),
        "the text has no picture"
    );
}

#[test]
fn schedule_without_interleaving_not_drawn_in_text() {
    let failure = Explore::new().find(|| async {
        let order = RefCell::new(Vec::new());
        let arrive = async |name| order.borrow_mut().push(name);
        let _ = settle_all([arrive("ada"), arrive("bob")]).await;
        assert_eq!(order.into_inner(), ["ada", "bob"]);
    });
    let failure = failure.unwrap_err();
    let text = failure.to_string();
    assert!(!text.contains('■'), "{text}");
    assert!(text.contains("if this order is valid: "), "{text}");
    assert!(failure.to_svg().contains("class=\"mark full\""));
}

#[test]
fn advice_names_interrupted_child() {
    let failure = Explore::new().find(|| async {
        let total = Cell::new(0);
        let add = async || {
            let read = total.get();
            checkpoint("between").await;
            total.set(read + 1);
        };
        let _ = settle_all([add(), add()]).await;
        assert_eq!(total.get(), 2);
    });
    let text = failure.unwrap_err().to_string();
    let advice = "if child #1 must not run between step 1 and step 3 of child #0: ";
    assert!(text.contains(advice), "{text}");
}

#[cfg(not(straggler_instrumented))]
#[test]
fn advice_on_poll_by_hand_without_budget() {
    let failure = Explore::new().find(|| async {
        let lock = Mutex::new(());
        let mut locks = pin!(lock.lock());
        assert!(futures::poll!(&mut locks).is_ready());
    });
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("if the test polls by hand: "), "{text}");

    let failure = Explore::new().find(two_registrations).unwrap_err();
    let text = failure.to_string();
    assert!(!text.contains("polls by hand"), "{text}");
}

/// A body that looks at what a task has done after a `yield_now` alone.
async fn looks_after_yield(has_waited: bool) {
    let total = Arc::new(Mutex::new(0));
    let (send, receive) = oneshot::channel();
    let of_task = Arc::clone(&total);
    straggler::spawn(async move {
        let added: u32 = receive.await.unwrap();
        *of_task.lock().await += added;
    });
    if has_waited {
        yield_now().await;
    }
    send.send(1).unwrap();
    yield_now().await;
    assert_eq!(*total.lock().await, 1);
}

#[test]
fn advice_names_task_that_nobody_awaits() {
    for has_waited in [false, true] {
        let failure = Explore::new().find(|| looks_after_yield(has_waited));
        let text = failure.unwrap_err().to_string();
        let advice = "if the body needs task #1 to get further first: wait for that, ";
        assert!(text.contains(advice), "{text}");
        assert!(text.contains("`yield_now` (step "), "{text}");
        assert!(!text.contains("must not run"), "{text}");
    }
}

/// The body joins the tasks as they end, and expects the first one first.
#[test]
fn advice_names_task_that_was_put_off() {
    let failure = Explore::new().find(|| async {
        let ended = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut tasks = straggler::tokio::task::JoinSet::new();
        for name in ["ada", "bob", "eve"] {
            let ended = Arc::clone(&ended);
            tasks.spawn(async move { ended.lock().unwrap().push(name) });
        }
        tasks.join_next().await.unwrap().unwrap();
        tasks.join_next().await.unwrap().unwrap();
        assert!(ended.lock().unwrap().contains(&"ada"));
    });
    let text = failure.unwrap_err().to_string();
    let advice = "if the body needs task #1 to run first, which was put off (step ";
    assert!(text.contains(advice), "{text}");
    assert!(text.contains("if this order is valid: "), "{text}");
}

#[test]
fn advice_on_elapsed_timeout() {
    let waits_for_late_message = || async {
        let (send, receive) = oneshot::channel::<()>();
        let is_expected = Cell::new(true);
        let waits = async {
            if is_expected.get() {
                let waited = tokio::time::timeout(Duration::from_secs(1), receive).await;
                waited.unwrap().unwrap();
            }
        };
        let never_sends = async {
            is_expected.set(false);
            Box::leak(Box::new(send));
        };
        settle!(never_sends, waits);
    };
    let failure = Explore::new().find(waits_for_late_message).unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("if a `timeout` elapsed: on a paused clock"),
        "{text}"
    );
}
