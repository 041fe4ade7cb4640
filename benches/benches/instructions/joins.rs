//! How many instructions a small join takes, from the call to its output: without making the futures, and without
//! dropping the output.

use std::fmt::Write;
use std::future::ready;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use straggler_benches::driver::Driver;
use straggler_benches::joins::{Join, JoinAll, Ours};
use straggler_benches::workloads::{AllReady, Burst, EachYields, Workload, YieldsOnce};

use crate::{Counted, count};

/// The numbers of futures of the joins.
const COUNTS: [usize; 6] = [1, 2, 3, 5, 10, 30];

/// The numbers of futures of the macros.
const FEW: [usize; 4] = [2, 3, 4, 5];

/// The workloads of the joins.
const WORKLOADS: [&str; 3] = [AllReady::NAME, EachYields::NAME, Burst::NAME];

/// The workloads of the macros.
const SMALL_WORKLOADS: [&str; 2] = [AllReady::NAME, EachYields::NAME];

/// Each macro of straggler with its counterpart in tokio.
const MACROS: [[&str; 2]; 2] = [
    ["straggler::settle!", "tokio::join!"],
    ["straggler::barrier!", "tokio::try_join!"],
];

/// Counts only in this function, and in what it calls.
const OPTIONS: [&str; 1] = ["--toggle-collect=instructions::joins::measured"];

/// How many joins a count is the mean of.
const TIMES: usize = 100;

pub(crate) fn print_tables() {
    println!("\nInstructions per join (locked ones): straggler / other = ratio\n");
    print_head(&COUNTS);
    for workload in WORKLOADS {
        print_row(&[Ours::NAME, JoinAll::NAME], workload, &COUNTS);
    }
    println!();
    print_head(&FEW);
    for pair in &MACROS {
        for workload in SMALL_WORKLOADS {
            print_row(pair, workload, &FEW);
        }
    }
    println!();
}

fn print_head(counts: &[usize]) {
    let columns: Vec<String> = counts.iter().map(|count| format!("n={count}")).collect();
    println!("| | {} |", columns.join(" | "));
    println!("|---|{}", "---|".repeat(counts.len()));
}

fn print_row([ours, other]: &[&str; 2], workload: &str, counts: &[usize]) {
    let mut row = format!("| `{ours}` / `{other}`, {workload} |");
    for futures in counts {
        let per_join = |join: &str| {
            let join = ["join", join, workload, &futures.to_string()];
            let Counted {
                instructions,
                locked,
            } = count(&OPTIONS, &join.map(str::to_owned));
            (instructions / TIMES as u64, locked / TIMES as u64)
        };
        let ((ours, our_locked), (other, other_locked)) = (per_join(ours), per_join(other));
        let tenths = 100 * ours / other;
        write!(
            row,
            " {ours} ({our_locked}) / {other} ({other_locked}) = **{}.{:02}** |",
            tenths / 100,
            tenths % 100
        )
        .expect("a string takes it");
    }
    println!("{row}");
}

/// Makes the joins of one macro for one number of futures.
macro_rules! make_macro {
    ($package:ident::$join:ident, $future:expr; $($name:ident)+) => {{
        let driver = Driver::default();
        for _ in 0..TIMES {
            $(let $name = black_box($future);)+
            let no_turn = || panic!("all futures were woken");
            let drive = || driver.drive(async move { $package::$join!($($name),+) }, no_turn);
            _ = black_box(measured(drive));
        }
    }};
}

/// Makes the joins of any macro for any number of futures.
macro_rules! make_macros {
    ($macro:expr, $futures:expr, $future:expr, $fallible:expr) => {
        make_macros!(@ $macro, $futures; $future, $fallible;
            (2: a b) (3: a b c) (4: a b c d) (5: a b c d e))
    };
    (@ $macro:expr, $futures:expr; $future:expr, $fallible:expr; $(($count:literal: $($name:ident)+))+) => {
        match ($macro, $futures) {
            $(
                ("straggler::settle!", $count) => make_macro!(straggler::settle, $future; $($name)+),
                ("tokio::join!", $count) => make_macro!(tokio::join, $future; $($name)+),
                ("straggler::barrier!", $count) => make_macro!(straggler::barrier, $fallible; $($name)+),
                ("tokio::try_join!", $count) => make_macro!(tokio::try_join, $fallible; $($name)+),
            )+
            (name, futures) => panic!("there is no `{name}` of {futures} futures here"),
        }
    };
}

/// Makes the same join again and again: of its name, the workload, and the number of futures.
pub(crate) fn make(arguments: &[String]) {
    let [join, workload, futures] = arguments else {
        panic!("expected a join, a workload and a number of futures");
    };
    let (join, workload) = (join.as_str(), workload.as_str());
    let futures = futures.parse().expect("a number of futures");
    match join {
        Ours::NAME => make_joins::<Ours>(workload, futures),
        JoinAll::NAME => make_joins::<JoinAll>(workload, futures),
        _ if workload == AllReady::NAME => {
            make_macros!(join, futures, ready(1), ready(Ok::<_, ()>(1)));
        }
        _ => make_macros!(
            join,
            futures,
            YieldsOnce::new(1),
            YieldsOnce::new(Ok::<_, ()>(1))
        ),
    }
}

fn make_joins<J: Join>(workload: &str, futures: usize) {
    match workload {
        AllReady::NAME => make_workload::<J, AllReady>(futures),
        EachYields::NAME => make_workload::<J, EachYields>(futures),
        _ => make_workload::<J, Burst>(futures),
    }
}

fn make_workload<J: Join, W: Workload>(count: usize) {
    let driver = W::driver::<J>();
    for _ in 0..TIMES {
        let (mut workload, futures) = W::prepare(count);
        let workload = &mut workload;
        _ = black_box(measured(|| workload.drive(&driver, J::join(futures))));
    }
}

/// Makes a join and polls it to its end, which needs a single poll of the driver.
#[inline(never)]
fn measured<D: Future>(drive: impl FnOnce() -> D) -> D::Output {
    let drive = pin!(drive());
    let polled = drive.poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(output) = polled else {
        panic!("nothing else has to run");
    };
    output
}
