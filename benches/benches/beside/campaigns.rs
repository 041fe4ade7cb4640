//! Several campaigns at a time: a deadlock takes a second or two to confirm, in which nothing happens.

use std::thread::{self, ScopedJoinHandle};

const THREADS: usize = 8;

/// Runs a campaign with each seed from 0 up to `campaigns`, and returns what they found.
pub(crate) fn run<T: Send>(campaigns: u64, campaign: impl Fn(u64) -> Option<T> + Sync) -> Vec<T> {
    let campaign = &campaign;
    let found_by = |thread| {
        let seeds = (0..campaigns).skip(thread).step_by(THREADS);
        seeds.filter_map(campaign).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| scope.spawn(move || found_by(thread)));
        let threads: Vec<_> = threads.collect();
        let found = threads.into_iter().map(ScopedJoinHandle::join);
        found
            .flat_map(|found| found.expect("no campaign panics"))
            .collect()
    })
}
