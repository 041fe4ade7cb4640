//! The time to use `Lock` and `Rendezvous`, against the mutexes and the barrier of other crates.
//!
//! `cargo bench -p straggler-benches --bench companions` measures each with criterion. At the end it
//! prints a table of straggler's times over the others. No leak check is running, as in production.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{BenchmarkId, Criterion};
use futures::future::join_all;
use straggler::{Lock, Rendezvous};
use straggler_benches::medians;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// How often each task acquires the lock, or meets the others, in one run.
const ROUNDS: usize = 100;

/// The numbers of tasks that contend for a lock, or meet.
const COUNTS: [usize; 3] = [2, 10, 100];

/// A lock of any crate.
trait Mutex: Send + Sync + 'static {
    const NAME: &'static str;

    fn new() -> Self;

    fn acquire(&self) -> impl Future<Output: Send> + Send;
}

impl Mutex for Lock {
    const NAME: &'static str = "straggler::Lock";

    fn new() -> Self {
        Self::new()
    }

    fn acquire(&self) -> impl Future<Output: Send> + Send {
        self.acquire()
    }
}

impl Mutex for tokio::sync::Mutex<()> {
    const NAME: &'static str = "tokio::sync::Mutex";

    fn new() -> Self {
        Self::new(())
    }

    fn acquire(&self) -> impl Future<Output: Send> + Send {
        self.lock()
    }
}

impl Mutex for async_lock::Mutex<()> {
    const NAME: &'static str = "async_lock::Mutex";

    fn new() -> Self {
        Self::new(())
    }

    fn acquire(&self) -> impl Future<Output: Send> + Send {
        self.lock()
    }
}

const BARRIER: &str = "tokio::sync::Barrier";
const RENDEZVOUS: &str = "straggler::Rendezvous";

/// The name of a runtime and the function that makes it.
type NamedRuntime = (&'static str, fn() -> Runtime);

/// The runtimes for tasks that contend or meet.
const RUNROUNDS: [NamedRuntime; 2] = [("one thread", one_thread), ("two threads", two_threads)];

fn one_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn two_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).build().unwrap()
}

/// Measures a lock that no other task wants.
fn measure_free<L: Mutex>(criterion: &mut Criterion) {
    let (runtime, lock) = (one_thread(), L::new());
    let mut group = criterion.benchmark_group("free");
    group.bench_function(BenchmarkId::new(L::NAME, 1), |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            for _ in 0..ROUNDS {
                drop(black_box(lock.acquire().await));
            }
        });
    });
}

/// Measures a lock under contention. Each task yields while it holds the lock, so that all others
/// queue up.
fn measure_contended<L: Mutex>(criterion: &mut Criterion) {
    for (name, runtime) in RUNROUNDS {
        let runtime = runtime();
        let mut group = criterion.benchmark_group(format!("contended, {name}"));
        for count in COUNTS {
            let lock = Arc::new(L::new());
            group.bench_function(BenchmarkId::new(L::NAME, count), |bencher| {
                bencher.to_async(&runtime).iter(|| {
                    let worker = |_| {
                        let lock = Arc::clone(&lock);
                        tokio::spawn(async move {
                            for _ in 0..ROUNDS {
                                let guard = lock.acquire().await;
                                yield_now().await;
                                drop(black_box(guard));
                            }
                        })
                    };
                    join_all((0..count).map(worker))
                });
            });
        }
        group.finish();
    }
}

/// Measures tasks that meet round after round.
fn measure_meetings(criterion: &mut Criterion) {
    for (name, runtime) in RUNROUNDS {
        let runtime = runtime();
        let mut group = criterion.benchmark_group(format!("meetings, {name}"));
        for count in COUNTS {
            group.bench_function(BenchmarkId::new(RENDEZVOUS, count), |bencher| {
                bencher.to_async(&runtime).iter(|| {
                    let rendezvous = Rendezvous::new(count);
                    let worker = |_| {
                        let mut participant = rendezvous.join();
                        tokio::spawn(async move {
                            for _ in 0..ROUNDS {
                                black_box(participant.wait().await.unwrap());
                            }
                        })
                    };
                    join_all((0..count).map(worker))
                });
            });
            group.bench_function(BenchmarkId::new(BARRIER, count), |bencher| {
                bencher.to_async(&runtime).iter(|| {
                    let barrier = Arc::new(tokio::sync::Barrier::new(count));
                    let worker = |_| {
                        let barrier = Arc::clone(&barrier);
                        tokio::spawn(async move {
                            for _ in 0..ROUNDS {
                                black_box(barrier.wait().await);
                            }
                        })
                    };
                    join_all((0..count).map(worker))
                });
            });
        }
        group.finish();
    }
}

fn main() {
    let started = SystemTime::now();
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    measure_free::<Lock>(&mut criterion);
    measure_free::<tokio::sync::Mutex<()>>(&mut criterion);
    measure_free::<async_lock::Mutex<()>>(&mut criterion);
    measure_contended::<Lock>(&mut criterion);
    measure_contended::<tokio::sync::Mutex<()>>(&mut criterion);
    measure_contended::<async_lock::Mutex<()>>(&mut criterion);
    measure_meetings(&mut criterion);
    criterion.final_summary();
    print_table(&medians(started));
}

/// Prints straggler's times, and their ratio to each of the others.
fn print_table(medians: &BTreeMap<String, f64>) {
    let locks = [
        <tokio::sync::Mutex<()> as Mutex>::NAME,
        <async_lock::Mutex<()> as Mutex>::NAME,
    ];
    let lock = <Lock as Mutex>::NAME;
    println!(
        "\n| nanoseconds per round | n | straggler | ratio to the others |\n|---|---|---|---|"
    );
    print_row(medians, "free", 1, lock, &locks);
    for (runtime, _) in RUNROUNDS {
        for count in COUNTS {
            let group = format!("contended, {runtime}");
            print_row(medians, &group, count, lock, &locks);
        }
    }
    for (runtime, _) in RUNROUNDS {
        for count in COUNTS {
            let group = format!("meetings, {runtime}");
            print_row(medians, &group, count, RENDEZVOUS, &[BARRIER]);
        }
    }
}

fn print_row(
    medians: &BTreeMap<String, f64>,
    group: &str,
    count: usize,
    ours: &str,
    others: &[&str],
) {
    let median = |name: &str| medians.get(&format!("{group}/{name}/{count}")).copied();
    let Some(nanoseconds) = median(ours) else {
        return;
    };
    let others = others.iter().filter_map(|other| {
        let ratio = nanoseconds / median(other)?;
        Some(format!("**{ratio:.2}** (`{other}`)"))
    });
    let others: Vec<String> = others.collect();
    let each = f64::from(u32::try_from(count * ROUNDS).unwrap_or(u32::MAX));
    println!(
        "| {group} | {count} | {:.1} | {} |",
        nanoseconds / each,
        others.join(", ")
    );
}
