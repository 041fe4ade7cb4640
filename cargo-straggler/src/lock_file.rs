//! The lock file of the suite, which the command changes while it runs and then restores.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The first line of a lock file that the command has changed. Cargo keeps comments at the top.
const MARK: &str = "# `cargo straggler` runs, or was killed: its next run restores this file from \
    Cargo.lock.before-straggler.\n";

/// The lock file while it is changed. Drop restores it.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    original: Option<Original>,
    /// What the file holds once nobody should change it any more.
    settled: Option<Vec<u8>>,
    is_restored: bool,
}

/// The file as it was before. There is none if the workspace had no lock file.
#[derive(Debug)]
struct Original {
    content: Vec<u8>,
    modified: Option<SystemTime>,
}

/// What restoring the file found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// The file is as before.
    Unchanged,
    /// The file is as before, and another program had changed it meanwhile. That content.
    ChangedMeanwhile(Vec<u8>),
}

/// What a killed run left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// There was nothing to restore.
    Nothing,
    /// The file is as it was before the killed run.
    Restored,
    /// Someone has replaced the file since. It is kept.
    Replaced,
}

impl LockFile {
    /// Saves the file, so that it can be changed.
    ///
    /// # Errors
    ///
    /// Returns the error of the system. The file is unchanged then.
    pub(crate) fn protect(path: PathBuf) -> io::Result<Self> {
        let original = match fs::read(&path) {
            Ok(content) => {
                let modified = fs::metadata(&path).and_then(|found| found.modified());
                Some(Original {
                    content,
                    modified: modified.ok(),
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match &original {
            Some(original) => save(&backup(&path), &original.content)?,
            None => save(&absence(&path), b"")?,
        }
        let file = Self {
            path,
            original,
            settled: None,
            is_restored: false,
        };
        if let Some(original) = &file.original {
            file.write(&String::from_utf8_lossy(&original.content))?;
        }
        Ok(file)
    }

    /// Restores the file if a run was killed that had changed it.
    ///
    /// # Errors
    ///
    /// Returns the error of the system. The saved file is still there then.
    pub(crate) fn recover(path: &Path) -> io::Result<Recovered> {
        let (backup, absence) = (backup(path), absence(path));
        let is_ours = match fs::read(path) {
            Ok(content) => contains(&content, MARK.as_bytes()),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        let recovered = |is_saved: bool| match (is_saved, is_ours) {
            (false, _) => Recovered::Nothing,
            (true, true) => Recovered::Restored,
            (true, false) => Recovered::Replaced,
        };
        let (had_file, had_none) = (backup.exists(), absence.exists());
        if had_file {
            if is_ours {
                fs::write(path, fs::read(&backup)?)?;
            }
            fs::remove_file(&backup)?;
        }
        if had_none {
            if is_ours {
                remove(path)?;
            }
            fs::remove_file(&absence)?;
        }
        Ok(recovered(had_file || had_none))
    }

    /// The content, or an empty text if there is no file.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub(crate) fn read(&self) -> io::Result<String> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }

    /// Replaces the content, and marks the file as changed by this command.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub(crate) fn write(&self, content: &str) -> io::Result<()> {
        let mark = if content.contains(MARK) { "" } else { MARK };
        fs::write(&self.path, format!("{mark}{content}"))
    }

    /// Notes that from now on a change comes from another program.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.settled = Some(fs::read(&self.path)?);
        Ok(())
    }

    /// The text before the command changed it.
    pub(crate) fn original(&self) -> Option<String> {
        let original = self.original.as_ref()?;
        Some(String::from_utf8_lossy(&original.content).into_owned())
    }

    /// Restores the file.
    ///
    /// # Errors
    ///
    /// Returns the error of the system. The saved file is still there then.
    pub(crate) fn restore(mut self) -> io::Result<Restored> {
        self.is_restored = true;
        self.put_back()
    }

    fn put_back(&self) -> io::Result<Restored> {
        let found = fs::read(&self.path);
        if let Some(original) = &self.original {
            // In place: its permissions stay, and so does a link. If this stops midway, the saved file
            // is still there.
            let mut file = File::create(&self.path)?;
            file.write_all(&original.content)?;
            if let Some(modified) = original.modified {
                file.set_modified(modified)?;
            }
            fs::remove_file(backup(&self.path))?;
        } else {
            remove(&self.path)?;
            fs::remove_file(absence(&self.path))?;
        }
        Ok(match (&self.settled, found) {
            (Some(settled), Ok(found)) if *settled != found => Restored::ChangedMeanwhile(found),
            _ => Restored::Unchanged,
        })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if !self.is_restored {
            // If it fails, the next run restores the file.
            _ = self.put_back();
        }
    }
}

/// The saved file, beside the lock file: `cargo clean` does not remove it, and people see it.
fn backup(path: &Path) -> PathBuf {
    path.with_extension("lock.before-straggler")
}

/// An empty file that stands for a workspace without a lock file.
fn absence(path: &Path) -> PathBuf {
    path.with_extension("lock.absent-before-straggler")
}

/// Writes a file that is either complete or not there.
fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Removes a file that may be gone.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
