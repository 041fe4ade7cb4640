//! Threads that outlive a test, on Linux.
//!
//! The system lists the threads of a process and does not say who started them. But a thread has
//! the name of the one that started it, until it is given its own (this name is the system's,
//! `comm`, of which `std::thread` knows nothing). So while a test runs, its own thread and those of
//! its runtime bear a name that no other test has: a mark. What bears it in the end, and is neither
//! the one nor the other, was started by the test or by what it had started.
//!
//! A thread with a name of its own bears no mark. It is the test's if nobody else was there to
//! start it.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use crate::leak::record::os_threads::{Id, LIST, ids, is_exiting, name_of, own_id, rename};
use crate::leak::record::runtime_threads::RuntimeThreads;
use crate::leak::report::leaked_thread::LeakedThread;

/// How the names begin of threads that no test starts: the check's own, and the kernel's that work
/// for `io_uring`. The system keeps 15 bytes of a name.
const SERVANTS: [&[u8]; 3] = [b"straggler-watch", b"straggler-grace", b"iou-"];

/// How long the first pauses between two looks are, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// How often is looked at least: on a busy machine all of the time may have passed before a thread
/// that is about to end got a processor.
const LOOKS: usize = 300;

/// Finds the threads that a test leaves behind. It bears the test's mark until it is dropped.
#[derive(Debug)]
pub(crate) struct Threads {
    /// The one that runs the test.
    own: Id,
    /// Its name.
    name: Vec<u8>,
    runtime: Arc<RuntimeThreads>,
    /// The threads that were there before, if none of them starts others: then all that come are
    /// the test's.
    bystanders: Option<HashSet<Id>>,
}

impl Threads {
    /// Begins, on the thread of the test, before it makes its runtime.
    ///
    /// # Errors
    ///
    /// If the system does not tell what is needed.
    pub(crate) fn begin() -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        if !cfg!(target_os = "linux") {
            return Err(
                "`threads = \"deny\"` is not supported here: leaked threads are found on Linux \
                 only. To keep it there: \
                 `#[cfg_attr(target_os = \"linux\", straggler::test(threads = \"deny\"))]`, and \
                 another attribute for other systems"
                    .to_owned(),
            );
        }
        // The system keeps 15 bytes.
        let mark = format!("leaks:{:x}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let begin = || {
            let own = own_id()?;
            let Some(name) = name_of(own)? else {
                return Err(ErrorKind::NotFound.into());
            };
            let bystanders = bystanders(own)?;
            rename(own, mark.as_bytes())?;
            if name_of(own)?.as_deref() != Some(mark.as_bytes()) {
                return Err(io::Error::other("the name of a thread cannot be changed"));
            }
            let alive = Mutex::default();
            Ok(Self {
                own,
                name,
                runtime: Arc::new(RuntimeThreads { mark, alive }),
                bystanders,
            })
        };
        begin().map_err(|error: io::Error| {
            format!("`threads = \"deny\"` is not supported here: it needs {LIST}: {error}")
        })
    }

    /// Whom the threads of the runtime are to report to.
    pub(crate) fn of_runtime(&self) -> Arc<RuntimeThreads> {
        Arc::clone(&self.runtime)
    }

    /// The threads that are left when `patience` is over, or none as soon as there is none.
    ///
    /// # Errors
    ///
    /// If the system does not list them, say because too many files are open.
    pub(crate) fn left(&self, patience: Duration) -> Result<Vec<LeakedThread>, String> {
        let (mut pause, longest) = PAUSES;
        let begun = Instant::now();
        let mut looks = 0;
        loop {
            let left = self.look();
            let left =
                left.map_err(|error| format!("could not list the process's threads: {error}"))?;
            looks += 1;
            if left.is_empty() || looks > LOOKS && begun.elapsed() >= patience {
                return Ok(left);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    }

    fn look(&self) -> io::Result<Vec<LeakedThread>> {
        let mut left = Vec::new();
        for id in ids()? {
            if id == self.own || self.runtime.alive().contains(&id) {
                continue;
            }
            let Some(name) = name_of(id)? else {
                continue;
            };
            let is_marked = name == self.runtime.mark.as_bytes();
            let is_new = |bystanders: &HashSet<Id>| !bystanders.contains(&id) && !is_servant(&name);
            let is_of_test = is_marked || self.bystanders.as_ref().is_some_and(is_new);
            if is_of_test && !is_exiting(id)? {
                let name = String::from_utf8_lossy(&name).into_owned();
                left.push(LeakedThread {
                    name: (!is_marked).then_some(name),
                });
            }
        }
        left.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(left)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // It could be changed before.
        _ = rename(self.own, &self.name);
    }
}

/// The threads that are there beside the test's own, if none of them starts others: the check's
/// own, and the main thread while the test runner waits on it for this test.
fn bystanders(own: Id) -> io::Result<Option<HashSet<Id>>> {
    let mut bystanders = HashSet::new();
    for id in ids()? {
        let waits = id == process::id() && main_thread_waits();
        if id != own && !waits && !name_of(id)?.is_none_or(|name| is_servant(&name)) {
            return Ok(None);
        }
        bystanders.insert(id);
    }
    Ok(Some(bystanders))
}

/// Whether the test runner was told to run one test at a time, or one test only, as `cargo nextest`
/// tells it.
fn main_thread_waits() -> bool {
    let arguments = env::args_os().skip(1);
    let arguments: Vec<_> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let names = arguments.iter().filter(|name| !name.starts_with('-'));
    let line = format!(" {} ", arguments.join(" "));
    let one_at_a_time = if line.contains(" --test-threads") {
        line.contains(" --test-threads=1 ") || line.contains(" --test-threads 1 ")
    } else {
        env::var("RUST_TEST_THREADS").is_ok_and(|count| count == "1")
    };
    one_at_a_time || line.contains(" --exact ") && names.count() == 1
}

fn is_servant(name: &[u8]) -> bool {
    SERVANTS.iter().any(|servant| name.starts_with(servant))
}
