//! One run in a workspace at a time: two would change the same lock file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Whether it is this run's turn. Drop ends the turn, as does the end of the process.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: File,
}

/// The answer to a request for a turn.
#[derive(Debug)]
pub(crate) enum Request {
    Granted(Turn),
    /// Another run has its turn.
    Waits(Waiting),
}

/// A run that waits for its turn.
#[derive(Debug)]
pub(crate) struct Waiting(File);

impl Turn {
    /// Asks for a turn in the workspace at `root`.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub(crate) fn request(root: &Path) -> io::Result<Request> {
        let path = lock_of(root)?;
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let lock = File::options().create(true).append(true).open(path)?;
        Waiting(lock).ask()
    }
}

impl Waiting {
    /// Waits until the turn is granted or `gives_up`.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, or `Interrupted` if it gave up.
    pub(crate) fn wait(mut self, gives_up: impl Fn() -> bool) -> io::Result<Turn> {
        loop {
            // The system wakes nobody whom a signal should stop.
            thread::sleep(Duration::from_millis(100));
            match self.ask()? {
                Request::Granted(turn) => return Ok(turn),
                Request::Waits(_) if gives_up() => return Err(io::ErrorKind::Interrupted.into()),
                Request::Waits(waiting) => self = waiting,
            }
        }
    }

    fn ask(self) -> io::Result<Request> {
        match self.0.try_lock() {
            Ok(()) => Ok(Request::Granted(Turn { _lock: self.0 })),
            Err(TryLockError::WouldBlock) => Ok(Request::Waits(self)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The file that a run in the workspace at `root` locks.
///
/// It is none in the target folder, which two runs may have set to different ones.
fn lock_of(root: &Path) -> io::Result<PathBuf> {
    let name: String = root
        .to_string_lossy()
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    // File systems allow some 255 bytes. Workspaces with the same name wait for each other in vain,
    // which does no harm.
    let start = name.char_indices().rev().nth(60).map_or(0, |(at, _)| at);
    Ok(home::cargo_home()?
        .join("straggler")
        .join(format!("{}.lock", &name[start..])))
}
