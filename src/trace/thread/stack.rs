//! The stack of another thread, which blocks.
//!
//! Only a thread itself can walk its stack: a signal makes it do so, as in Go and in the JVM. The signal
//! handler stores addresses. They are resolved to names later, on the thread that asked.
//!
//! # Invariants
//!
//! 1. The handler neither allocates nor takes a lock, since it may interrupt the thread that holds it. It
//!    stores into [`ADDRESSES`], and the unwinder needs no memory. Since glibc 2.35 the unwinder finds its
//!    tables without a lock. Before, the lock of the loader is recursive.
//! 2. One request is under way at a time. [`REQUEST`] holds the thread that shall answer, and only that
//!    thread, in its handler, moves it on. A signal that comes too late finds another value and does
//!    nothing.
//! 3. The handler stays installed for as long as a signal may be on its way. A thread that does not
//!    answer in time is the last one to be asked, so its signal finds the handler whenever it comes.
//! 4. A system call goes on as if nothing had happened: only a thread in such a call is asked.

#![expect(
    unsafe_code,
    reason = "signals need libc, and only a signal handler can walk another thread's stack"
)]

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_void};
use std::fs;
use std::mem::{self, size_of_val};
use std::process;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::mutex::lock;
use crate::trace::thread::Id;

/// How many frames a stack has at most, the innermost first.
const FRAMES: usize = 256;

/// How long a thread gets to answer. A busy machine may let it wait for a processor.
const ANSWER: Duration = Duration::from_millis(500);

/// The kernel id of the thread that shall answer, or one of the values below.
static REQUEST: AtomicI32 = AtomicI32::new(NONE);
const NONE: i32 = 0;
const WALKING: i32 = -1;
const DONE: i32 = -2;

/// The answer: the addresses of the frames, and their number.
static ADDRESSES: [AtomicPtr<c_void>; FRAMES] = [const { AtomicPtr::new(ptr::null_mut()) }; FRAMES];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Held during a request.
static TURN: Mutex<()> = Mutex::new(());

/// Returns the kernel id of this thread.
pub(super) fn own_id() -> Id {
    thread_local! {
        static OWN: Cell<Id> = const { Cell::new(0) };
    }
    let id = |own: &Cell<Id>| {
        if own.get() == 0 {
            own.set(Id::try_from(kernel_id()).unwrap_or(0));
        }
        own.get()
    };
    OWN.try_with(id).unwrap_or(0)
}

/// Asks a thread for its stack. Returns `None` if it does not answer.
pub(super) fn ask(thread: Id) -> Option<Vec<*mut c_void>> {
    static IS_SILENT: AtomicBool = AtomicBool::new(false);

    let _turn = lock(&TURN);
    if IS_SILENT.load(Ordering::Relaxed) {
        return None;
    }
    let target = i32::try_from(thread).ok()?;
    // What the unwinder prepares at its first walk must not happen in the handler.
    let mut frames = 0;
    backtrace::trace(|_| {
        frames += 1;
        frames < FRAMES
    });
    let signal = install()?;
    if blocks_signal(thread, signal) {
        restore(signal);
        return None;
    }
    REQUEST.store(target, Ordering::Release);
    let own_process = c_long::from(process::id());
    // SAFETY: the system call takes three numbers and no memory, and the signal has a handler.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, own_process, target, signal) } == 0;
    if sent && is_answered() {
        let count = COUNT.load(Ordering::Relaxed).min(FRAMES);
        let addresses = ADDRESSES.iter().take(count);
        let addresses = addresses.map(|address| address.load(Ordering::Relaxed));
        let addresses = addresses.collect();
        REQUEST.store(NONE, Ordering::Relaxed);
        restore(signal);
        return Some(addresses);
    }
    _ = REQUEST.compare_exchange(target, NONE, Ordering::Relaxed, Ordering::Relaxed);
    if sent {
        IS_SILENT.store(true, Ordering::Relaxed);
    } else {
        // The thread has ended.
        restore(signal);
    }
    None
}

fn is_answered() -> bool {
    let begun = Instant::now();
    loop {
        if REQUEST.load(Ordering::Acquire) == DONE {
            return true;
        }
        if begun.elapsed() > ANSWER {
            return false;
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// Walks the stack of the thread that it interrupts, if that thread is asked.
// Never inlined: `Symbols` finds the start of the interrupted frames by the name of this function.
#[inline(never)]
extern "C" fn answer(_: c_int) {
    // SAFETY: the function only returns a pointer, to the `errno` of this thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the pointer is valid for as long as the thread lives, and no other thread uses it.
    let before = unsafe { errno.read() };
    let own = kernel_id();
    let is_asked = REQUEST.compare_exchange(own, WALKING, Ordering::Acquire, Ordering::Relaxed);
    if is_asked.is_ok() {
        let mut count = 0;
        let store = |frame: &backtrace::Frame| {
            let Some(slot) = ADDRESSES.get(count) else {
                return false;
            };
            slot.store(frame.ip(), Ordering::Relaxed);
            count += 1;
            true
        };
        // SAFETY: the function asks its caller that no other thread resolves names meanwhile. This walk
        // resolves none, and the unwinder has no state of its own that threads share without a lock.
        unsafe { backtrace::trace_unsynchronized(store) };
        COUNT.store(count, Ordering::Relaxed);
        REQUEST.store(DONE, Ordering::Release);
    }
    // SAFETY: as above.
    unsafe { errno.write(before) };
}

fn kernel_id() -> i32 {
    // SAFETY: the system call takes no arguments, and a signal handler may make it.
    let id = unsafe { libc::syscall(libc::SYS_gettid) };
    // The kernel's ids are of this type; no id is 0.
    i32::try_from(id).unwrap_or(i32::MAX)
}

/// Installs the handler for a real-time signal that has none, and returns the signal.
fn install() -> Option<c_int> {
    let mut signals = (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev();
    let signal = signals.find(|signal| handler_of(*signal) == Some(libc::SIG_DFL))?;
    let set = set_handler(signal, answer as *const () as libc::sighandler_t);
    set.then_some(signal)
}

/// Removes the handler, unless someone else has replaced it.
fn restore(signal: c_int) {
    if handler_of(signal) == Some(answer as *const () as libc::sighandler_t) {
        set_handler(signal, libc::SIG_DFL);
    }
}

fn handler_of(signal: c_int) -> Option<libc::sighandler_t> {
    let mut current = no_action();
    // SAFETY: the first pointer may be null, and the second one points to an action to overwrite.
    let result = unsafe { libc::sigaction(signal, ptr::null(), &raw mut current) };
    (result == 0).then_some(current.sa_sigaction)
}

fn set_handler(signal: c_int, handler: libc::sighandler_t) -> bool {
    let action = libc::sigaction {
        sa_sigaction: handler,
        // On the thread's own stack: the alternative one is too small for the unwinder.
        sa_flags: libc::SA_RESTART,
        ..no_action()
    };
    // SAFETY: the action is the default or `answer`, which has the signature of a handler and does only
    // what a handler may do (invariant 1). The second pointer may be null.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) == 0 }
}

fn no_action() -> libc::sigaction {
    // SAFETY: the struct has numbers and an optional function, and 0 is a value of each.
    unsafe { mem::zeroed() }
}

/// Whether operations on a socket wait without a timeout. With one, they end with an error when a signal
/// handler has run.
pub(super) fn is_plain_socket(file: c_int) -> bool {
    [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO].iter().all(|option| {
        let mut timeout = libc::timeval {
            tv_sec: 1,
            tv_usec: 0,
        };
        let mut size = libc::socklen_t::try_from(size_of_val(&timeout)).unwrap_or(0);
        let value = (&raw mut timeout).cast();
        // SAFETY: `value` points to as many bytes as `size` says, and any bytes are a `timeval`.
        let result =
            unsafe { libc::getsockopt(file, libc::SOL_SOCKET, *option, value, &raw mut size) };
        result == 0 && timeout.tv_sec == 0 && timeout.tv_usec == 0
    })
}

/// Whether a thread blocks a signal, so that it would never answer.
fn blocks_signal(thread: Id, signal: c_int) -> bool {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
    let mask = status.ok().and_then(|status| {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("SigBlk:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let bit = signal
        .checked_sub(1)
        .and_then(|bit| u32::try_from(bit).ok());
    mask.zip(bit)
        .is_none_or(|(mask, bit)| mask.checked_shr(bit).is_none_or(|rest| rest & 1 == 1))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _, pipe};
    use std::panic::{catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use super::{TURN, ask, handler_of, own_id};
    use crate::mutex::lock;
    use crate::trace::thread::{Activity, Look, look};

    /// Runs `block` on a thread, and returns what that thread is doing as soon as it does `activity`.
    fn look_at(activity: Activity, block: impl FnOnce() + Send, end: impl FnOnce()) -> Look {
        thread::scope(|scope| {
            let (tells, told) = channel();
            scope.spawn(move || {
                tells.send(own_id()).unwrap();
                block();
            });
            let thread = told.recv().unwrap();
            let mut seen = look(thread);
            while seen.activity != Some(activity) || seen.stack.is_empty() {
                seen = look(thread);
            }
            end();
            seen
        })
    }

    /// Whether a function with this name is on the stack.
    fn has(look: &Look, function: &str) -> bool {
        let mut addresses = look.stack.iter();
        addresses.any(|address| {
            let mut has = false;
            backtrace::resolve(*address, |symbol| {
                let name = symbol.name().map(|name| name.to_string());
                has |= name.is_some_and(|name| name.contains(function));
            });
            has
        })
    }

    #[inline(never)]
    fn waits_here(sender: &Mutex<Option<Sender<()>>>) {
        drop(sender.lock());
    }

    #[test]
    fn waiting_thread_shows_its_stack() {
        let mutex = Mutex::new(None);
        let held = mutex.lock().unwrap();
        let seen = look_at(Activity::Waits, || waits_here(&mutex), || drop(held));
        assert!(has(&seen, "waits_here"));
    }

    #[test]
    fn interrupted_calls_do_not_notice() {
        // `read` would return `ErrorKind::Interrupted`, or less than it should.
        let (mut reader, mut writer) = pipe().unwrap();
        let mut read = [0; 3];
        let seen = look_at(
            Activity::DoesIo,
            || assert_eq!(reader.read(&mut read).unwrap(), 3),
            || writer.write_all(b"abc").unwrap(),
        );
        assert!(has(&seen, "interrupted_calls_do_not_notice"));
        assert_eq!(read, *b"abc");
    }

    #[test]
    fn running_thread_shows_its_stack() {
        let ends = Arc::new(AtomicBool::new(false));
        let spins = Arc::clone(&ends);
        let spin = move || {
            while !spins.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let seen = look_at(Activity::Runs, spin, || ends.store(true, Ordering::Relaxed));
        assert!(has(&seen, "running_thread_shows_its_stack"));
    }

    /// Allocates, unwinds and walks its stack: a handler that needed the same locks would hang.
    #[test]
    fn thread_interrupted_anywhere_answers() {
        let ends = AtomicBool::new(false);
        let ends = &ends;
        thread::scope(|scope| {
            let (tells, told) = channel();
            scope.spawn(move || {
                tells.send(own_id()).unwrap();
                while !ends.load(Ordering::Relaxed) {
                    let unwinds = || resume_unwind(Box::new("a payload".to_owned()));
                    assert!(catch_unwind(unwinds).is_err());
                    drop(backtrace::Backtrace::new_unresolved());
                }
            });
            let thread = told.recv().unwrap();
            let answers = || ask(thread).is_some_and(|stack| stack.len() > 1);
            let always_answers = (0..1_000).all(|_| answers());
            ends.store(true, Ordering::Relaxed);
            assert!(always_answers);
        });
    }

    #[test]
    fn socket_with_timeout_not_interrupted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(3600)))
            .unwrap();
        thread::scope(|scope| {
            let (tells, told) = channel();
            scope.spawn(move || {
                tells.send(own_id()).unwrap();
                assert_eq!((&client).read(&mut [0]).unwrap(), 1);
            });
            let thread = told.recv().unwrap();
            while look(thread).activity != Some(Activity::DoesIo) {}
            assert!(look(thread).stack.is_empty());
            server.write_all(b"a").unwrap();
        });
    }

    #[test]
    fn no_handler_is_left() {
        let mutex = Mutex::new(None);
        let held = mutex.lock().unwrap();
        look_at(Activity::Waits, || waits_here(&mutex), || drop(held));
        // No other test is asking a thread right now.
        let _turn = lock(&TURN);
        assert_eq!(handler_of(libc::SIGRTMAX()), Some(libc::SIG_DFL));
    }
}
