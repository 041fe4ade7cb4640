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

/// Returns whether a thread is exiting. The kernel lists even a joined thread for a moment longer.
pub(crate) fn is_exiting(id: Id) -> io::Result<bool> {
    /// `PF_EXITING` of the kernel.
    const EXITING: u32 = 0x4;

    let Some(stat) = read_file(id, "stat")? else {
        return Ok(true);
    };
    // The flags are the seventh field after the name, which is in parentheses and may contain any
    // character, parentheses too (`proc_pid_stat(5)`).
    let stat = String::from_utf8_lossy(&stat);
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let flags = fields.and_then(|fields| fields.split_whitespace().nth(6)?.parse::<u32>().ok());
    Ok(flags.is_some_and(|flags| flags & EXITING != 0))
}

/// Sets the name of a thread.
pub(crate) fn rename(id: Id, name: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .open(format!("{LIST}/{id}/comm"))?;
    file.write_all(name)
}
