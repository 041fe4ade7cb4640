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
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, process, thread};

use super::groups;
use super::report::{Findings, Verdict};
use super::text::LISTED;

/// Where the system lists the threads of this process.
const LIST: &str = "/proc/self/task";

/// How the names begin of threads that no test starts: the check's own, and the kernel's that work
/// for `io_uring`. The system keeps 15 bytes of a name.
const SERVANTS: [&[u8]; 3] = [b"straggler-watch", b"straggler-grace", b"iou-"];

/// How long the first pauses between two looks are, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// How often is looked at least: on a busy machine all of the time may have passed before a thread
/// that is about to end got a processor.
const LOOKS: usize = 300;

/// What the system counts threads by.
type Id = u32;

/// A thread that outlived its test.
///
/// # Examples
///
/// ```
/// use std::thread;
///
/// let check = straggler::LeakCheck::new().deny_threads();
/// let result = check.run(async { drop(thread::spawn(thread::park)) });
/// # if cfg!(target_os = "linux") {
/// let report = result.unwrap_err();
/// assert_eq!(report.threads()[0].name(), None);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakedThread {
    name: Option<String>,
}

impl LeakedThread {
    /// Returns the thread's name, if it has been given one, of which the system keeps 15 bytes.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

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

/// The threads of the test's runtime.
#[derive(Debug)]
pub(crate) struct RuntimeThreads {
    mark: String,
    alive: Mutex<HashSet<Id>>,
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

impl RuntimeThreads {
    /// Has this thread bear the mark, which those that it starts inherit. Its name in `std::thread`
    /// is not touched.
    pub(crate) fn start(&self) {
        if let Ok(id) = own_id() {
            self.alive().insert(id);
            _ = rename(id, self.mark.as_bytes());
        }
    }

    /// Forgets this thread, whose number may be given to another.
    pub(crate) fn stop(&self) {
        if let Ok(id) = own_id() {
            self.alive().remove(&id);
        }
    }

    fn alive(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The thread of the caller.
fn own_id() -> io::Result<Id> {
    let link = fs::read_link("/proc/thread-self")?;
    id(link.file_name())
}

/// The threads of this process.
fn ids() -> io::Result<Vec<Id>> {
    fs::read_dir(LIST)?
        .map(|entry| id(Some(&entry?.file_name())))
        .collect()
}

fn id(name: Option<&OsStr>) -> io::Result<Id> {
    let id = name.and_then(|name| name.to_str()?.parse().ok());
    id.ok_or_else(|| ErrorKind::InvalidData.into())
}

/// The name of a thread, or `None` if it has ended.
fn name_of(id: Id) -> io::Result<Option<Vec<u8>>> {
    let name = of_thread(id, "comm")?;
    Ok(name.map(|name| name.strip_suffix(b"\n").unwrap_or(&name).to_vec()))
}

/// What the system says of a thread in this file, or `None` if it has ended.
fn of_thread(id: Id, file: &str) -> io::Result<Option<Vec<u8>>> {
    /// What it says of one that has ended since the file was opened.
    const ESRCH: i32 = 3;

    match fs::read(format!("{LIST}/{id}/{file}")) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a thread is about to go: also one that was joined is listed for a moment longer.
fn is_exiting(id: Id) -> io::Result<bool> {
    /// `PF_EXITING` of the kernel.
    const EXITING: u32 = 0x4;

    let Some(stat) = of_thread(id, "stat")? else {
        return Ok(true);
    };
    // The name, which may have anything in it, stands in parentheses; the flags are the seventh field
    // after it (`proc_pid_stat(5)`).
    let stat = String::from_utf8_lossy(&stat);
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let flags = fields.and_then(|fields| fields.split_whitespace().nth(6)?.parse::<u32>().ok());
    Ok(flags.is_some_and(|flags| flags & EXITING != 0))
}

fn rename(id: Id, name: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .open(format!("{LIST}/{id}/comm"))?;
    file.write_all(name)
}

/// `1 thread`, `2 threads`.
pub(super) fn threads(count: usize) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}

/// Writes which threads are left, below what ranks higher.
pub(super) fn write_section(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    let left = &findings.threads;
    match (left.len(), &findings.verdict) {
        (0, _) => return Ok(()),
        (_, Verdict::ThreadsLeaked) => f.write_str("\n")?,
        (1, _) => f.write_str("\n\nbesides 1 thread has not ended:\n")?,
        (count, _) => write!(f, "\n\nbesides {} have not ended:\n", threads(count))?,
    }
    let groups = groups::of_threads(left);
    for group in groups.iter().take(LISTED) {
        write_group(f, group)?;
    }
    if groups.len() > LISTED {
        let more: usize = groups[LISTED..].iter().map(Vec::len).sum();
        write!(f, "\n  and {more} more")?;
    }
    Ok(())
}

/// Writes how many threads there are of a name.
pub(super) fn write_group(f: &mut fmt::Formatter<'_>, group: &[&LeakedThread]) -> fmt::Result {
    let count = threads(group.len());
    match group[0].name() {
        Some(name) => write!(f, "\n  {count} `{name}`"),
        None => write!(f, "\n  {count} without a name"),
    }
}

/// What to do where nothing ranks higher than threads.
pub(super) const ADVICE: &str = "
A thread goes on when its `JoinHandle` is dropped, beside the next tests. What to do:
  give it a sign to stop, and `join()` it before the test ends: drop the sender, or set a flag
  or start it in `std::thread::scope`, which joins it";

/// The same in a line, below what ranks higher.
pub(super) fn write_advice(f: &mut fmt::Formatter<'_>, findings: &Findings) -> fmt::Result {
    match findings.threads.len() {
        0 => Ok(()),
        _ => f.write_str("\n  join threads, too: nothing else ends them before the process does"),
    }
}
