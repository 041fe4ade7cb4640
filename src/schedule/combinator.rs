//! Whether a waker belongs to a combinator that polls its children with wakers of their own.
//!
//! What it polls may yield: its waker wakes the task. A waker of a test that polls by hand wakes nothing. Only
//! the names of their functions tell them apart without waking anything.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::task::{RawWakerVTable, Waker};

use rustc_hash::FxHashMap;

/// The module that the functions of such wakers are in. `join_all` and `buffer_unordered` are made of
/// `FuturesUnordered` too.
const MODULE: &str = "futures_util::stream::futures_unordered::";

thread_local! {
    /// The answers so far: looking up a name takes long.
    static KNOWN: RefCell<FxHashMap<*const RawWakerVTable, bool>> = RefCell::default();
}

/// Returns whether a combinator known to straggler made the waker, `false` if its functions have no names.
pub(crate) fn owns(waker: &Waker) -> bool {
    let table = waker.vtable();
    let look_up = |known: &RefCell<FxHashMap<_, _>>| {
        let mut known = known.borrow_mut();
        *known.entry(ptr::from_ref(table)).or_insert_with(|| {
            let name = name_of(table);
            name.is_some_and(|name| name.contains(MODULE))
        })
    };
    KNOWN.try_with(look_up).unwrap_or(false)
}

/// Returns the name of the first function of a table.
fn name_of(table: &RawWakerVTable) -> Option<String> {
    // The functions are private; their addresses are in the debug output.
    let text = format!("{table:?}");
    let (_, hexadecimal) = text.split_once("0x")?;
    let end = hexadecimal.find(|digit: char| !digit.is_ascii_hexdigit());
    let address =
        usize::from_str_radix(&hexadecimal[..end.unwrap_or(hexadecimal.len())], 16).ok()?;
    let mut found = None;
    // `resolve` takes addresses to return to, which are behind a call.
    let inside: *mut c_void = ptr::without_provenance_mut(address + 1);
    backtrace::resolve(inside, |symbol| {
        // Without the hashes of crates that the v0 mangling adds.
        found = symbol.name().map(|name| format!("{name:#}"));
    });
    found
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::{Poll, Waker};

    use futures::StreamExt as _;
    use futures::stream::FuturesUnordered;
    use futures::task::noop_waker;

    use super::owns;

    #[test]
    fn waker_of_futures_unordered_is_known() {
        let is_owned = poll_fn(|context| Poll::Ready(owns(context.waker())));
        let answers = FuturesUnordered::from_iter([is_owned]).collect::<Vec<_>>();
        assert_eq!(tokio_test::block_on(answers), [true]);
    }

    #[test]
    fn waker_of_hand_poll_is_unknown() {
        assert!(!owns(Waker::noop()));
        assert!(!owns(&noop_waker()));
        tokio_test::task::spawn(()).enter(|context, _| assert!(!owns(context.waker())));
    }
}
