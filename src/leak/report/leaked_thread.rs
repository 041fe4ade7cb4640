//! A thread that outlived its test.

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
    pub(crate) name: Option<String>,
}

impl LeakedThread {
    /// Returns the thread's name, if it has been given one, of which the system keeps 15 bytes.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
