//! Ctrl-C and termination: the command ends its child, restores the lock file, and exits.

use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use shared_child::SharedChild;

/// How long a child may take to end by itself. A terminal sends Ctrl-C to the child too, and nextest
/// reports what it stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a signal asked the command to end, and the child to end then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupts {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_interrupted: AtomicBool,
    child: Mutex<Option<Arc<SharedChild>>>,
}

impl Interrupts {
    /// Handles the signals of this process from now on.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub(crate) fn install() -> io::Result<Self> {
        let interrupts = Self::default();
        let (signal, signals) = mpsc::channel();
        let state = interrupts.state.clone();
        ctrlc::set_handler(move || {
            state.is_interrupted.store(true, SeqCst);
            // It fails only if the other thread is gone, which ends with the process.
            _ = signal.send(());
        })
        .map_err(io::Error::other)?;
        let state = interrupts.state.clone();
        thread::spawn(move || state.end_child(&signals));
        Ok(interrupts)
    }

    /// Whether a signal arrived.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.state.is_interrupted.load(SeqCst)
    }

    /// Starts a child that a signal ends, and passes it to `attend` while it runs.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, also if a signal arrived before.
    pub(crate) fn run<T>(
        &self,
        command: &mut Command,
        attend: impl FnOnce(&SharedChild) -> T,
    ) -> io::Result<(ExitStatus, T)> {
        if self.is_interrupted() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = Arc::new(SharedChild::spawn(command)?);
        *self.state.child() = Some(child.clone());
        let attended = attend(&child);
        let status = child.wait();
        *self.state.child() = None;
        Ok((status?, attended))
    }
}

impl State {
    /// Ends the child some time after the first signal, and at once after the second.
    fn end_child(&self, signals: &Receiver<()>) {
        while signals.recv().is_ok() {
            _ = signals.recv_timeout(PATIENCE);
            if let Some(child) = &*self.child() {
                // It may have ended by now.
                _ = child.kill();
            }
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Arc<SharedChild>>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
