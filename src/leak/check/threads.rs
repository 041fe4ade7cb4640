//! Finds threads that outlive a test, on Linux.
//!
//! The kernel lists the threads of a process but not which thread started another. A thread without
//! a name inherits the system name (`comm`) of its starter, which `std::thread` does not use. So
//! while a test runs, its thread and those of its runtime carry a unique name, the mark. Any other
//! thread that carries the mark afterwards was started by the test.
//!
//! A named thread does not carry the mark. It counts only if nothing else can have started it.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use crate::leak::record::os_threads::{Id, LIST, ids, is_exiting, name_of, own_id, rename};
use crate::leak::record::runtime_threads::RuntimeThreads;
use crate::leak::report::leaked_thread::LeakedThread;

/// Name prefixes of threads that no test starts: straggler's own, and the kernel's `io_uring`
/// workers. The kernel keeps 15 bytes of a name.
const HELPERS: [&[u8]; 3] = [b"straggler-watch", b"straggler-grace", b"iou-"];

/// What the mark of every check begins with.
const MARK: &str = "leaks:";

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// The minimum number of looks. On a busy machine the time may be over before an ending thread gets
/// a processor.
const LOOKS: usize = 300;

/// Finds the threads that a test leaves behind. Keeps the test's thread marked until dropped.
#[derive(Debug)]
pub(crate) struct Threads {
    /// The thread of the test.
    own: Id,
    /// Its name before the test.
    name: Vec<u8>,
    runtime: Arc<RuntimeThreads>,
    /// The threads from before the test, if none of them starts others. Then every new thread is
    /// the test's.
    bystanders: Option<HashSet<Id>>,
}

impl Threads {
    /// Marks the calling thread, before it builds the runtime of the test.
    ///
    /// # Errors
    ///
    /// Returns an error if this is not Linux, or `/proc` cannot be used.
    pub(crate) fn begin() -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        if !cfg!(target_os = "linux") {
            return Err(
                "`threads = \"deny\"` works on Linux only. Limit it with \
                 `#[cfg_attr(target_os = \"linux\", straggler::test(threads = \"deny\"))]`, and use \
                 `#[cfg_attr(not(target_os = \"linux\"), straggler::test)]` for other systems"
                    .to_owned(),
            );
        }
        // At most 15 bytes, which is what the kernel keeps.
        let mark = format!("{MARK}{:x}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let begin = || {
            let own = own_id()?;
            let Some(name) = name_of(own)? else {
                return Err(ErrorKind::NotFound.into());
            };
            let bystanders = bystanders(own)?;
            rename(own, mark.as_bytes())?;
            // A write without effect would leave every thread unmarked, and leaks unseen.
            if name_of(own)?.as_deref() != Some(mark.as_bytes()) {
                return Err(io::Error::other("renaming a thread has no effect"));
            }
            let runtime = RuntimeThreads {
                mark: Some(mark),
                ..RuntimeThreads::default()
            };
            Ok(Self {
                own,
                name,
                runtime: Arc::new(runtime),
                bystanders,
            })
        };
        begin().map_err(|error: io::Error| {
            format!("`threads = \"deny\"` needs read and write access to {LIST}: {error}")
        })
    }

    /// Returns the set that the threads of the runtime add themselves to.
    pub(crate) fn of_runtime(&self) -> Arc<RuntimeThreads> {
        Arc::clone(&self.runtime)
    }

    /// Waits at most `patience` until no thread of the test is left, and returns the remaining ones.
    ///
    /// # Errors
    ///
    /// Returns an error if `/proc` cannot be read, for example because too many files are open.
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
            let is_marked = self
                .runtime
                .mark
                .as_ref()
                .is_some_and(|mark| name == mark.as_bytes());
            // One that carries another mark was started by a nested check, which reports it.
            let is_new = |bystanders: &HashSet<Id>| {
                !bystanders.contains(&id) && !is_helper(&name) && !name.starts_with(MARK.as_bytes())
            };
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
        // Renaming worked in `begin`, so it works here.
        _ = rename(self.own, &self.name);
    }
}

/// Returns the threads other than the test's, if none of them starts threads. These are straggler's
/// own, and the main thread while the test runner waits there for this test.
fn bystanders(own: Id) -> io::Result<Option<HashSet<Id>>> {
    let mut bystanders = HashSet::new();
    for id in ids()? {
        let waits = id == process::id() && main_thread_waits();
        if id != own && !waits && !name_of(id)?.is_none_or(|name| is_helper(&name)) {
            return Ok(None);
        }
        bystanders.insert(id);
    }
    Ok(Some(bystanders))
}

/// Returns whether the arguments make the test runner run one test at a time, or only one test as
/// under `cargo nextest`.
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

fn is_helper(name: &[u8]) -> bool {
    HELPERS.iter().any(|prefix| name.starts_with(prefix))
}
