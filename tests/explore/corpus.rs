//! The corpus of known bugs. `.ci/corpus` runs it with more seeds, and prints how many runs each bug takes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use straggler::Explore;
use tokio::sync::Mutex;
use tokio::task::coop;

use super::bugs::{Bug, CORPUS, Needs};
use super::shrink;

/// How many forced reorderings a failing schedule may have: the median of the corpus, and each.
const MEDIAN: usize = 2;
const MOST: usize = 5;

fn all_bugs() -> impl Iterator<Item = &'static Bug> {
    CORPUS.iter().flat_map(|(_, bugs)| *bugs)
}

#[test]
fn bugs_in_reach_found() {
    let mut reorderings = Vec::new();
    for bug in all_bugs().filter(|bug| is_met(bug.needs)) {
        let Bug { name, body, .. } = bug;
        for seed in [1, 2] {
            let found = bug.explore().runs(500).seed(seed).find(|| body(false));
            let failure = found.expect_err(name);
            assert!(failure.run() > 1, "{name}: the plain order shows nothing");
            let forced = shrink::reorderings(&failure);
            assert!(forced <= MOST, "{name}: {failure}");
            reorderings.push(forced);
        }
    }
    reorderings.sort_unstable();
    let median = reorderings[reorderings.len() / 2];
    assert!(median <= MEDIAN, "{reorderings:?}");
}

#[test]
fn repaired_twins_pass() {
    // A task that is not scheduled fails the exploration of a twin too.
    let scheduled = |bug: &&Bug| bug.needs != Needs::Hooks || is_met(Needs::Hooks);
    for bug in all_bugs().filter(scheduled) {
        let Bug { name, body, .. } = bug;
        let explored = bug.explore().runs(500).find(|| body(true));
        assert!(explored.is_ok(), "{name}: {explored:?}");
    }
}

/// The guide says so. A bug that comes into reach belongs to the others.
#[test]
fn bugs_out_of_reach_pass() {
    if !yields_while_held() {
        // Until tokio 1.54 something may come before a free lock is taken, which brings some into reach.
        return;
    }
    let unmet = |bug: &&Bug| match bug.needs {
        Needs::PointsBefore => !is_met(bug.needs),
        // By default it is off.
        Needs::EagerSpawns => true,
        Needs::Budget | Needs::YieldWhileHeld | Needs::Hooks => false,
    };
    for Bug { name, body, .. } in all_bugs().filter(unmet) {
        let explored = Explore::new().runs(500).find(|| body(false));
        assert!(explored.is_ok(), "{name}: {explored:?}");
    }
}

fn is_met(needs: Needs) -> bool {
    match needs {
        Needs::Budget | Needs::EagerSpawns => true,
        Needs::YieldWhileHeld => yields_while_held(),
        Needs::PointsBefore => cfg!(straggler_instrumented),
        Needs::Hooks => cfg!(tokio_unstable),
    }
}

/// Whether a lock that finds no budget is taken when it yields, as from tokio 1.54 on.
fn yields_while_held() -> bool {
    let lock = Mutex::new(());
    let mut locks = pin!(lock.lock());
    tokio_test::block_on(poll_fn(|context| {
        while coop::has_budget_remaining() {
            if let Poll::Ready(unit) = coop::poll_proceed(context) {
                unit.made_progress();
            }
        }
        assert!(locks.as_mut().poll(context).is_pending());
        Poll::Ready(lock.try_lock().is_err())
    }))
}
