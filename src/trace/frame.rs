//! What a frame of a backtrace says: whose code it is, and what it waits for.

use std::path::Path;

use crate::trace::call::Call;
use crate::trace::function_path::function_path;
use crate::trace::place::{Place, is_foreign, is_standard, tokio_file};

/// A frame of a backtrace, or a function inlined into one.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Without the hash suffix.
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

/// Whether a future with frames in these modules waits for another task, and for nothing outside the
/// runtime.
pub(super) fn is_for_task(mut modules: impl Iterator<Item = String>) -> bool {
    let starts_with = |module: &str, any: &[&str]| any.iter().any(|path| module.starts_with(path));
    let mut has_leaf = false;
    modules.all(|module| {
        let is_leaf = starts_with(&module, &LEAVES);
        has_leaf |= is_leaf;
        is_leaf || starts_with(&module, &WRAPPERS)
    }) && has_leaf
}

/// Whether a future with these modules waits for the operating system: a socket, a process or a signal.
pub(super) fn is_for_system(mut modules: impl Iterator<Item = String>) -> bool {
    modules.any(|module| SYSTEM.iter().any(|path| module.starts_with(path)))
}

/// The modules of futures that the operating system completes.
const SYSTEM: [&str; 4] = [
    "tokio::net::",
    "tokio::process::",
    "tokio::runtime::io::",
    "tokio::signal::",
];

/// The modules of futures that only another task can complete. Timers and I/O complete without one.
const LEAVES: [&str; 5] = [
    "futures_channel::",
    "straggler::sync::",
    "tokio::runtime::task::",
    "tokio::sync::",
    "tokio::task::join_set::",
];

/// The modules of futures that may wrap such a future, or any other one.
const WRAPPERS: [&str; 2] = ["tokio_util::sync::", "tokio_util::task::"];

/// The modules that every kind of future uses, for its waker and its budget.
const PLUMBING: [&str; 11] = [
    "__rust",
    "alloc::",
    "core::",
    "std::",
    "straggler::",
    "tokio::future::",
    "tokio::loom::",
    "tokio::sync::task::",
    "tokio::task::coop::",
    "tokio::trace::",
    "tokio::util::",
];

/// With line tables alone an inlined function has only the last segment of its path. So most of these
/// look at the file too.
impl Frame {
    /// Whether there is neither a file nor a name.
    pub(super) fn is_unknown(&self) -> bool {
        self.file.is_none() && function_path(&self.name).is_empty()
    }

    /// Whether the frame is in the standard library.
    pub(super) fn is_standard(&self) -> bool {
        let path = function_path(&self.name);
        let own = ["std::", "core::", "alloc::", "__rust"];
        self.file.as_deref().is_some_and(is_standard) || own.iter().any(|own| path.starts_with(own))
    }

    /// Whether tokio runs a task here. Requires a file: only then are functions inlined here known too.
    pub(super) fn runs_a_task(&self) -> bool {
        let path = function_path(&self.name);
        self.file.as_deref().is_some_and(|file| {
            path.starts_with("tokio::runtime::task::")
                || tokio_file(file, &path).is_some_and(|file| file.starts_with("src/runtime/task/"))
        })
    }

    /// Whether the frame is in the user's code.
    pub(super) fn is_users(&self) -> bool {
        let path = function_path(&self.name);
        match &self.file {
            _ if path.starts_with("straggler::") => false,
            // With line tables alone the path is unknown, but the file is there.
            Some(file) => {
                let of_tokio = tokio_file(file, &path);
                // Tokio's own tests are their author's code.
                let is_tokio = of_tokio.is_some_and(|file| file.starts_with("src/"));
                !is_foreign(file) && own_file(file).is_none() && !is_tokio
            }
            // Without debug information there is only the name.
            None => !LIBRARIES.iter().any(|library| path.starts_with(library)),
        }
    }

    /// Whether the frame is a closure in `function`, by its path.
    ///
    /// A method that a trait gives a type has the same path as one of the type itself.
    pub(super) fn is_closure_of(&self, function: &Self) -> bool {
        let is_of_trait = |frame: &Self| frame.name.starts_with('<') && frame.name.contains(" as ");
        function_path(&self.name) == function_path(&function.name)
            && is_of_trait(self) == is_of_trait(function)
    }

    /// Whether the frame is in a dependency that may spawn: not in std or this crate.
    pub(super) fn is_library(&self) -> bool {
        let is_own = function_path(&self.name).starts_with("straggler::");
        self.file.as_deref().is_some_and(|file| {
            !is_own
                && !is_standard(file)
                && own_file(file).is_none()
                && !file.contains("/backtrace-")
        })
    }

    /// The path that a report shows as awaited, or `None` if the frame only forwards polls.
    pub(super) fn awaited(&self) -> Option<String> {
        let path = function_path(&self.name);
        let own_file = self.file.as_deref().and_then(own_file);
        let own = OWN_WAITS.iter().find(|(module, file, _)| {
            path.starts_with(module) || own_file.as_deref() == Some(file)
        });
        if let Some((_, _, awaited)) = own {
            return Some((*awaited).to_owned());
        }
        // A `select!` asks for budget before it polls its branches.
        let of_tokio = self
            .file
            .as_deref()
            .and_then(|file| tokio_file(file, &path));
        if path.starts_with("tokio::macros::support::")
            || of_tokio.as_deref() == Some("src/macros/support.rs")
        {
            return Some("tokio::select!".to_owned());
        }
        // A last segment alone means nothing to the reader.
        if own_file.is_some() || !path.contains("::") {
            return None;
        }
        let forwarding = [
            "__rust",
            "alloc::",
            "core::",
            "std::",
            "straggler::",
            "tokio::future::",
        ];
        let forwards = forwarding.iter().any(|library| path.starts_with(library));
        (!forwards).then_some(path)
    }

    /// The path of the function, or with line tables alone a path made from the file. `None` for a frame that
    /// says nothing of what the future waits for.
    pub(super) fn module(&self) -> Option<String> {
        let path = function_path(&self.name);
        let file = self.file.as_deref();
        let module = match file.and_then(|file| tokio_file(file, &path)) {
            _ if path.contains("::") => path,
            Some(of_tokio) => {
                let below = of_tokio.trim_start_matches("src/").trim_end_matches(".rs");
                format!("tokio::{}::", below.replace('/', "::"))
            }
            None if self.is_standard() => return None,
            None => match file.and_then(own_file) {
                Some(own) => format!(
                    "straggler::{}::",
                    own.trim_end_matches(".rs").replace('/', "::")
                ),
                None => path,
            },
        };
        let is_leaf = module.starts_with("straggler::sync::");
        let is_plumbing = PLUMBING.iter().any(|path| module.starts_with(path));
        (is_leaf || !is_plumbing).then_some(module)
    }

    /// The path of a function of a library that may block, or `None` if it says nothing.
    pub(super) fn blocking(&self) -> Option<String> {
        let path = function_path(&self.name);
        let is_plain = ["alloc::", "core::", "straggler::", "__rust"];
        if !path.contains("::") || is_plain.iter().any(|library| path.starts_with(library)) {
            return None;
        }
        if !path.starts_with("std::") {
            return Some(path);
        }
        let segments = path.split("::");
        let public: Vec<_> = segments.filter(|name| !PRIVATE.contains(name)).collect();
        Some(public.join("::"))
    }

    /// Whether the frame is in Rust code. Functions of libc have no paths.
    pub(super) fn is_rust(&self) -> bool {
        match &self.file {
            Some(file) => Path::new(file).extension().is_some_and(|of| of == "rs"),
            None => function_path(&self.name).contains("::"),
        }
    }

    /// Whether the check runs a poll, a closure or a `drop` here.
    pub(super) fn is_check(&self) -> bool {
        let file = self.file.as_deref().and_then(own_file);
        function_path(&self.name).starts_with("straggler::leak::")
            || file.is_some_and(|file| file.starts_with("leak/"))
    }

    /// Whether std catches panics here.
    pub(super) fn catches_panics(&self) -> bool {
        let path = function_path(&self.name);
        path == "__rust_try"
            || path.starts_with("std::panicking::catch_unwind")
            || path.starts_with("std::panicking::try")
            || path == "std::panic::catch_unwind"
            || self.is_standard() && ["catch_unwind", "try"].contains(&path.as_str())
    }

    /// Whether std resumes here what it catches: `thread::scope` joins its threads in between.
    pub(super) fn resumes_panics(&self) -> bool {
        let path = function_path(&self.name);
        let is_of_scope = |file: &str| is_standard(file) && file.ends_with("scoped.rs");
        path.starts_with("std::thread::scoped::scope")
            || self.file.as_deref().is_some_and(is_of_scope) && path.starts_with("scope")
    }

    /// Whether a runtime drives itself on this thread here.
    pub(super) fn drives_runtime(&self) -> bool {
        let path = function_path(&self.name);
        let file = self.file.as_deref();
        let is_tokio = file.is_some_and(|file| tokio_file(file, &path).is_some());
        is_tokio && path.split("::").last() == Some("block_on")
    }

    /// Whether functions of tokio may be inlined here unseen, among them one that catches panics.
    pub(super) fn may_hide_catcher(&self) -> bool {
        self.file.is_none() && function_path(&self.name).starts_with("tokio::runtime::task::")
    }

    /// Whether tokio defers the wake of a task that yields here.
    pub(super) fn defers(&self) -> bool {
        let path = function_path(&self.name);
        path.starts_with("tokio::runtime::") && path.ends_with("::defer")
    }

    /// The call that a report shows, or `None` if the frame is not in the user's code.
    pub(super) fn call(&self) -> Option<Call> {
        self.is_users().then(|| Call {
            function: function_path(&self.name),
            place: self.place(),
        })
    }

    /// The line of the frame, if there is debug information.
    pub(super) fn place(&self) -> Option<Place> {
        let place = self.file.as_ref().zip(self.line);
        place.map(|(file, line)| Place::new(file, line, self.column))
    }
}

/// Modules of std that its users do not see: `std::sync::poison::mutex::Mutex` is `std::sync::Mutex`.
const PRIVATE: [&str; 13] = [
    "barrier",
    "condvar",
    "functions",
    "join_handle",
    "lazy_lock",
    "mutex",
    "nonpoison",
    "once_lock",
    "poison",
    "rwlock",
    "scoped",
    "tcp",
    "udp",
];

/// The waits inside this crate: module, file and the name that a report shows.
const OWN_WAITS: [(&str, &str, &str); 2] = [
    (
        "straggler::sync::lock::",
        "sync/lock.rs",
        "straggler::Lock::acquire",
    ),
    (
        "straggler::sync::rendezvous::",
        "sync/rendezvous.rs",
        "straggler::Participant::wait",
    ),
];

/// The folder of this crate's sources.
const OWN_FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");

/// The path below the folder of this crate's sources, if the file is in it. On Windows both mix
/// slashes and backslashes.
fn own_file(file: &str) -> Option<String> {
    let file = file.replace('\\', "/");
    let below = file.strip_prefix(&OWN_FILES.replace('\\', "/"))?;
    Some(below.to_owned())
}

/// Crates that are not the user's, for builds without debug information.
const LIBRARIES: [&str; 6] = ["__rust", "alloc::", "core::", "futures", "std::", "tokio"];

#[cfg(test)]
impl Frame {
    /// A frame without a line, and without a file if that is empty.
    pub(super) fn test(name: &str, file: &str) -> Self {
        Self {
            name: name.to_owned(),
            file: (!file.is_empty()).then(|| file.to_owned()),
            line: None,
            column: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, OWN_FILES, is_for_task};

    #[test]
    fn tokio_outside_of_cache_is_not_users() {
        for (name, file) in [
            // A vendored copy, with full debug information and with line tables.
            (
                "tokio::sync::mutex::Mutex<T>::lock::{{closure}}",
                "/elsewhere/bank/vendor/tokio/src/sync/mutex.rs",
            ),
            (
                "{async_fn#0}<()>",
                "/elsewhere/bank/vendor/tokio-1.54.1/src/sync/mutex.rs",
            ),
            // A copy in a folder of another name.
            (
                "tokio::sync::mutex::Mutex<T>::lock::{{closure}}",
                "/elsewhere/fork/src/sync/mutex.rs",
            ),
            // Without debug information.
            ("tokio::sync::mutex::Mutex<T>::lock", ""),
        ] {
            assert!(!Frame::test(name, file).is_users(), "{name} {file}");
        }
        for (name, file) in [
            (
                "registry::pool::fill",
                "/elsewhere/bank/crates/registry/src/pool.rs",
            ),
            ("{async_fn#0}", "/elsewhere/bank/vendor/src/pool.rs"),
            ("{async_fn#0}", "/elsewhere/bank/tokio-bank/src/pool.rs"),
            ("sync_mutex::fair", "/elsewhere/tokio/tests/sync_mutex.rs"),
            // This workspace has a package of another name in the folder `tokio`.
            (
                "straggler_tokio::f",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tokio/src/lib.rs"),
            ),
        ] {
            assert!(Frame::test(name, file).is_users(), "{name} {file}");
        }
    }

    #[test]
    fn budget_of_select_awaited_as_select() {
        let file = "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/macros/support.rs";
        let path = "tokio::macros::support::poll_budget_available";
        // With full debug information, with line tables, without debug information.
        for (name, file) in [(path, file), ("poll_budget_available", file), (path, "")] {
            let awaited = Frame::test(name, file).awaited();
            assert_eq!(awaited.as_deref(), Some("tokio::select!"), "{name} {file}");
        }
    }

    #[test]
    fn method_of_trait_told_from_method_of_its_type() {
        let of_trait = Frame::test(
            "<tokio::net::tcp::listener::TcpListener as bank::Listen>::accept::{{closure}}",
            "src/listen.rs",
        );
        let file = "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/net/tcp/listener.rs";
        let of_type = "tokio::net::tcp::listener::TcpListener::accept::{{closure}}";
        assert!(!Frame::test(of_type, file).is_closure_of(&of_trait));
        let file = "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/macros/select.rs";
        let of_select = format!("{}::{{{{closure}}}}", of_trait.name);
        assert!(Frame::test(&of_select, file).is_closure_of(&of_trait));
    }

    /// Whether a future with these frames waits for another task.
    fn waits_for_task(frames: &[(&str, &str)]) -> bool {
        let frames = frames.iter().map(|(name, file)| Frame::test(name, file));
        is_for_task(frames.filter_map(|frame| frame.module()))
    }

    #[test]
    fn waits_for_tasks_end_in_lock_channel_or_handle() {
        for frames in [
            // With full debug information, with line tables, without debug information.
            &[
                ("<core::task::wake::Waker as core::clone::Clone>::clone", ""),
                ("tokio::loom::std::unsafe_cell::UnsafeCell<T>::with_mut", ""),
                (
                    "<tokio::sync::batch_semaphore::Acquire as core::future::future::Future>::poll",
                    "",
                ),
                ("tokio::sync::mutex::Mutex<T>::lock::{{closure}}", ""),
            ][..],
            &[(
                "{async_fn#0}<()>",
                "/elsewhere/vendor/tokio-1.54.1/src/sync/mutex.rs",
            )],
            &[(
                "<tokio::sync::batch_semaphore::Acquire as core::future::future::Future>::poll",
                "",
            )],
            &[("tokio::runtime::task::join::JoinHandle<T>::poll", "")],
            &[
                ("tokio::sync::notify::Notified::poll", ""),
                (
                    "tokio_util::sync::cancellation_token::WaitForCancellationFuture::poll",
                    "",
                ),
            ],
        ] {
            assert!(waits_for_task(frames), "{frames:?}");
        }
        for frames in [
            // In release, inlining hides what registers the waker.
            &[(
                "tokio::sync::task::atomic_waker::AtomicWaker::register_by_ref",
                "",
            )][..],
            &[],
            &[(
                "tokio_util::sync::cancellation_token::RunUntilCancelledFuture::poll",
                "",
            )],
            // These wrap a future that waits for something else.
            &[
                (
                    "tokio::runtime::io::scheduled_io::ScheduledIo::poll_readiness",
                    "",
                ),
                ("tokio::net::tcp::listener::TcpListener::poll_accept", ""),
                (
                    "tokio_util::sync::cancellation_token::RunUntilCancelledFuture::poll",
                    "",
                ),
            ],
            &[
                (
                    "tokio::sync::task::atomic_waker::AtomicWaker::register_by_ref",
                    "",
                ),
                ("poll", "/elsewhere/vendor/tokio-1.54.1/src/time/sleep.rs"),
            ],
            &[
                ("tokio::sync::oneshot::Receiver<T>::poll", ""),
                ("hyper::client::dispatch::Callback::poll", ""),
            ],
        ] {
            assert!(!waits_for_task(frames), "{frames:?}");
        }
    }

    #[test]
    fn line_tables_tell_awaited_path() {
        let awaited = |name: &str, file: &str| Frame::test(name, file).awaited();
        let own = |file| format!("{OWN_FILES}{file}");
        let acquires = awaited("poll<bank::Account>", &own("sync/lock.rs"));
        assert_eq!(acquires.as_deref(), Some("straggler::Lock::acquire"));
        assert_eq!(
            awaited("poll<bank::Account>", &own("join/settle_all.rs")),
            None
        );
        let file = "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/sync/oneshot.rs";
        assert_eq!(awaited("poll<bank::Account>", file), None);
        let receives = awaited("tokio::sync::oneshot::Receiver<T>::poll", file);
        assert!(receives.is_some_and(|path| path.starts_with("tokio::sync::oneshot")));
    }
}
