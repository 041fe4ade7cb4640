//! Who catches a panic, by the frames of its backtrace.

use crate::trace::frame::Frame;

/// Who catches a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Catcher {
    /// Tokio, around a task: the panic ends it.
    Tokio {
        /// Whether a `block_on` on this thread polls the task.
        in_block_on: bool,
    },
    /// The user or a dependency.
    Other,
    /// Unknown: without debug information for tokio, functions with a `catch_unwind` may be inlined
    /// there.
    Unknown,
}

/// Who catches a panic with these frames, the innermost first.
pub(super) fn catcher(frames: impl Iterator<Item = Frame>) -> Catcher {
    let mut is_known = true;
    let mut frames = frames.inspect(|frame| is_known &= !frame.may_hide_catcher());
    loop {
        if !frames.any(|frame| frame.catches_panics()) {
            return Catcher::Unknown;
        }
        let catches = frames
            .find(|frame| frame.resumes_panics() || !frame.is_unknown() && !frame.is_standard());
        if catches.as_ref().is_some_and(Frame::resumes_panics) {
            continue;
        }
        let runs_a_task = catches.is_some_and(|frame| frame.runs_a_task());
        let in_block_on = runs_a_task && frames.any(|frame| frame.drives_runtime());
        return match (runs_a_task, is_known) {
            (true, _) => Catcher::Tokio { in_block_on },
            (false, true) => Catcher::Other,
            (false, false) => Catcher::Unknown,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Catcher, catcher};
    use crate::trace::frame::Frame;

    const CATCHES: (&str, &str) = (
        "catch_unwind<core::task::poll::Poll<!>, closure_env#0>",
        "/rustc/0a1b2c/library/std/src/panicking.rs",
    );
    const OF_TOKIO: (&str, &str) = (
        "poll_future<bank::transfer::{async_fn_env#0}>",
        "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/runtime/task/harness.rs",
    );
    const OF_USER: (&str, &str) = ("transfer", "src/bank.rs");

    /// Who catches a panic in `OF_USER`. `frames` are its callers, as name and file.
    fn caught_by(frames: &[(&str, &str)]) -> Catcher {
        let panics = ("{closure#0}", "/rustc/0a1b2c/library/std/src/panicking.rs");
        let frames = [panics, OF_USER].into_iter().chain(frames.iter().copied());
        catcher(frames.map(|(name, file)| Frame::test(name, file)))
    }

    fn ends(frames: &[(&str, &str)]) -> bool {
        matches!(caught_by(frames), Catcher::Tokio { .. })
    }

    #[test]
    fn thread_scope_resumes_panic() {
        let of_scope = "/rustc/0a1b2c/library/std/src/thread/scoped.rs";
        for scope in [
            ("std::thread::scoped::scope<{closure_env#0}, ()>", of_scope),
            ("scope<{closure_env#0}, ()>", of_scope),
            ("std::thread::scoped::scope", ""),
        ] {
            assert!(
                ends(&[CATCHES, scope, OF_USER, CATCHES, OF_TOKIO]),
                "{scope:?}"
            );
            let caught = [CATCHES, scope, CATCHES, OF_USER, CATCHES, OF_TOKIO];
            assert_eq!(caught_by(&caught), Catcher::Other, "{scope:?}");
        }
    }

    #[test]
    fn block_on_told_from_worker() {
        let file = "/users/ada/.cargo/registry/src/index-0a1b/tokio-1.54.1/src/runtime/runtime.rs";
        let full = ("tokio::runtime::runtime::Runtime::block_on", file);
        for block_on in [full, ("block_on<bank::transfer::{async_fn_env#0}>", file)] {
            let frames = [
                CATCHES, OF_TOKIO, OF_TOKIO, block_on, OF_USER, CATCHES, OF_TOKIO,
            ];
            let in_block_on = true;
            assert_eq!(caught_by(&frames), Catcher::Tokio { in_block_on });
        }
        let frames = [CATCHES, OF_TOKIO, OF_USER, CATCHES, OF_TOKIO];
        let in_block_on = false;
        assert_eq!(caught_by(&frames), Catcher::Tokio { in_block_on });
    }

    #[test]
    fn catcher_unknown_where_tokio_has_no_lines() {
        let of_tokio = ("tokio::runtime::task::raw::poll", "");
        assert_eq!(caught_by(&[of_tokio]), Catcher::Unknown);
        let of_runner = ("test::run_test", "");
        assert_eq!(caught_by(&[of_tokio, CATCHES, of_runner]), Catcher::Unknown);
        assert_eq!(caught_by(&[CATCHES, of_tokio]), Catcher::Unknown);
        assert_eq!(caught_by(&[CATCHES, OF_USER, of_tokio]), Catcher::Other);
    }

    #[test]
    fn line_tables_tell_who_catches_panic() {
        assert!(ends(&[CATCHES, CATCHES, OF_TOKIO]));
        assert!(ends(&[("__rust_try", ""), CATCHES, OF_TOKIO]));
        assert!(!ends(&[CATCHES, OF_USER, CATCHES, OF_TOKIO]));
        let of_futures = "/users/ada/.cargo/registry/src/index-0a1b/futures-util-0.3.34/src/lib.rs";
        assert!(!ends(&[
            CATCHES,
            ("catch_unwind<F>", of_futures),
            CATCHES,
            OF_TOKIO
        ]));
        assert!(ends(&[("catch_unwind<F>", of_futures), CATCHES, OF_TOKIO]));
        assert!(!ends(&[]));
    }

    #[test]
    fn paths_tell_who_catches_panic_without_files() {
        let catches = ("std::panicking::catch_unwind::<A, B>", "");
        let of_tokio = ("tokio::runtime::task::harness::poll_future", "");
        assert!(ends(&[catches, (of_tokio.0, "tokio/task.rs")]));
        assert!(!ends(&[catches, of_tokio]));
        assert!(!ends(&[catches, ("bank::transfer", ""), catches, OF_TOKIO]));
        assert!(ends(&[catches, ("", ""), OF_TOKIO]));
    }
}
