//! What a thread of this process is doing, from `/proc`. Linux only.

use std::fs;
use std::thread;
use std::time::Duration;

use super::stack::is_plain_socket;
use super::{Activity, Id};

/// How often to look at a thread that runs, a millisecond apart. One that sleeps in a loop runs now and
/// then.
const LOOKS: u32 = 3;

/// Returns what a thread is doing, and whether a signal handler may interrupt it: the interrupted code
/// cannot notice. It runs, or is in a system call that resumes or that libc and the standard library
/// repeat.
pub(super) fn of(thread: Id) -> (Option<Activity>, bool) {
    let mut seen = once(thread);
    for _ in 1..LOOKS {
        if seen.0 != Some(Activity::Runs) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
        seen = once(thread);
    }
    seen
}

fn once(thread: Id) -> (Option<Activity>, bool) {
    // `running`, or the number of the system call and its arguments (`proc_pid_syscall(5)`).
    let Ok(line) = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")) else {
        return (None, false);
    };
    let mut words = line.split_whitespace();
    let first = words.next();
    if first == Some("running") {
        return (Some(Activity::Runs), true);
    }
    let Some(call) = first.and_then(|number| number.parse().ok()) else {
        return (None, false);
    };
    let argument = words.next().and_then(|word| word.strip_prefix("0x"));
    let file = argument.and_then(|word| i32::from_str_radix(word, 16).ok());
    of_call(call, file)
}

fn of_call(call: libc::c_long, file: Option<i32>) -> (Option<Activity>, bool) {
    match call {
        // Whoever waits on a futex has to expect wake-ups without a reason.
        libc::SYS_futex => (Some(Activity::Waits), true),
        // The standard library sleeps for the rest of the time.
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => (Some(Activity::Sleeps), true),
        libc::SYS_wait4 | libc::SYS_waitid | libc::SYS_flock => (Some(Activity::DoesIo), true),
        libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_accept4 => {
            let resumes = file.is_some_and(resumes);
            (Some(Activity::DoesIo), resumes)
        }
        // These end with an error when a handler has run, `SA_RESTART` or not (`signal(7)`).
        libc::SYS_epoll_pwait | libc::SYS_ppoll | libc::SYS_pselect6 | libc::SYS_connect => {
            (Some(Activity::DoesIo), false)
        }
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll | libc::SYS_select | libc::SYS_epoll_wait => (Some(Activity::DoesIo), false),
        _ => (None, false),
    }
}

/// Whether reads and writes of a file resume after a signal: a pipe, a terminal, or a socket without a
/// timeout.
fn resumes(file: i32) -> bool {
    let Ok(target) = fs::read_link(format!("/proc/self/fd/{file}")) else {
        return false;
    };
    let target = target.to_string_lossy();
    target.starts_with("pipe:")
        || target.starts_with("/dev/")
        || target.starts_with("socket:") && is_plain_socket(file)
}
