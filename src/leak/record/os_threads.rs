//! The threads of this process, from `/proc`. Linux only.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Write};

/// Lists the threads of this process.
pub(crate) const LIST: &str = "/proc/self/task";

/// A thread id of the kernel.
pub(crate) type Id = u32;

/// Returns the id of the calling thread.
pub(crate) fn own_id() -> io::Result<Id> {
    let link = fs::read_link("/proc/thread-self")?;
    id(link.file_name())
}

/// Returns the ids of all threads of this process.
pub(crate) fn ids() -> io::Result<Vec<Id>> {
    fs::read_dir(LIST)?
        .map(|entry| id(Some(&entry?.file_name())))
        .collect()
}

fn id(name: Option<&OsStr>) -> io::Result<Id> {
    let id = name.and_then(|name| name.to_str()?.parse().ok());
    id.ok_or_else(|| ErrorKind::InvalidData.into())
}

/// Returns the name of a thread, or `None` if it has ended.
pub(crate) fn name_of(id: Id) -> io::Result<Option<Vec<u8>>> {
    let name = read_file(id, "comm")?;
    Ok(name.map(|name| name.strip_suffix(b"\n").unwrap_or(&name).to_vec()))
}

/// Reads a file of a thread, or returns `None` if it has ended.
fn read_file(id: Id, file: &str) -> io::Result<Option<Vec<u8>>> {
    /// The error for a thread that ended after the file was opened.
    const ESRCH: i32 = 3;

    match fs::read(format!("{LIST}/{id}/{file}")) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the kernel says of a thread at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: Id,
    /// Whether it waits for something other than a processor or a disk.
    pub(crate) sleeps: bool,
    /// Its processor time so far, in hundredths of a second.
    pub(crate) ticks: u64,
    flags: u32,
}

#[cfg(test)]
impl Stat {
    pub(crate) fn new(id: Id, sleeps: bool, ticks: u64) -> Self {
        let flags = 0;
        Self {
            id,
            sleeps,
            ticks,
            flags,
        }
    }
}

/// Returns what the kernel says of a thread, or `None` if it has ended.
pub(crate) fn stat_of(id: Id) -> io::Result<Option<Stat>> {
    let Some(stat) = read_file(id, "stat")? else {
        return Ok(None);
    };
    // The name is in parentheses and may contain any character, parentheses too. The state follows
    // it (`proc_pid_stat(5)`).
    let stat = String::from_utf8_lossy(&stat);
    let parse = || {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Stat {
            id,
            sleeps: *fields.first()? == "S",
            ticks: ticks(11)? + ticks(12)?,
            flags: fields.get(6)?.parse().ok()?,
        })
    };
    parse()
        .map(Some)
        .ok_or_else(|| ErrorKind::InvalidData.into())
}

/// Returns whether a thread is exiting. The kernel lists even a joined thread for a moment longer.
pub(crate) fn is_exiting(id: Id) -> io::Result<bool> {
    /// `PF_EXITING` of the kernel.
    const EXITING: u32 = 0x4;

    Ok(stat_of(id)?.is_none_or(|stat| stat.flags & EXITING != 0))
}

/// Sets the name of a thread.
pub(crate) fn rename(id: Id, name: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .open(format!("{LIST}/{id}/comm"))?;
    file.write_all(name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::mpsc;
    use std::thread;

    use super::{Id, is_exiting, own_id, stat_of};

    /// Runs `work` on a thread, and waits until its state is the expected one.
    fn await_state(work: impl FnOnce() + Send, mut is_expected: impl FnMut(Id) -> bool) {
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                sender.send(own_id().unwrap()).unwrap();
                work();
            });
            let id = receiver.recv().unwrap();
            while !is_expected(id) {
                thread::yield_now();
            }
        });
    }

    #[test]
    fn blocked_thread_sleeps() {
        let (unblock, blocked) = mpsc::channel::<()>();
        let mut unblock = Some(unblock);
        await_state(
            move || _ = blocked.recv(),
            |id| {
                let sleeps = stat_of(id).unwrap().unwrap().sleeps;
                if sleeps {
                    unblock = None;
                }
                sleeps
            },
        );
    }

    #[test]
    fn spinning_thread_uses_processor_time() {
        static STOP: AtomicBool = AtomicBool::new(false);
        await_state(
            || {
                while !STOP.load(Relaxed) {
                    hint::spin_loop();
                }
            },
            |id| {
                let stat = stat_of(id).unwrap().unwrap();
                let has_run = stat.ticks >= 3;
                if has_run {
                    assert!(!stat.sleeps && !is_exiting(id).unwrap());
                    STOP.store(true, Relaxed);
                }
                has_run
            },
        );
    }
}
