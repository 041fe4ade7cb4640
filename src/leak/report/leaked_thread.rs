//! A thread that outlived its test.

/// A thread that outlived a test with `threads = "deny"`.
///
/// Straggler finds threads on Linux only.
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
    /// Returns the name of the thread, which Linux truncates to 15 bytes, or `None` for an unnamed thread.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
