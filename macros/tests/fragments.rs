//! Tests made by `macro_rules!` macros, whose fragments come in invisible delimiters, and attributes
//! and types in their rarer spellings.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fmt;
use std::process::{Command, ExitCode, Termination};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Returns whether the runtime has several threads. No test attribute makes one by default.
fn is_multi_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

macro_rules! returning {
    ($name:ident, $output:ty, $body:block) => {
        #[straggler::test]
        async fn $name() -> $output $body
    };
}

returning!(unit_type, (), {});
returning!(impl_type, impl Termination, { ExitCode::SUCCESS });
returning!(result_type, Result<(), Box<dyn Error>>, {
    let seven: u8 = "7".parse()?;
    assert_eq!(seven, 7);
    Ok(())
});

// Never run: these need only compile. Without `allow`, `#[test]` itself warns of such functions.
#[allow(unreachable_code)]
mod never {
    macro_rules! returning {
        ($name:ident, $output:ty) => {
            #[straggler::test]
            #[ignore = "does not end"]
            async fn $name() -> $output {
                std::future::pending().await
            }
        };
    }

    returning!(fragment, !);

    #[straggler::test]
    #[ignore = "does not end"]
    async fn plain() -> ! {
        std::future::pending().await
    }
}

#[straggler::test]
#[allow(unused_parens)]
async fn type_in_parentheses() -> (Result<(), (fmt::Error)>) {
    Ok(())
}

#[straggler::test(explore = 2)]
async fn explored_impl_type() -> Result<impl fmt::Debug, fmt::Error> {
    tokio::task::yield_now().await;
    Ok::<_, fmt::Error>("any type")
}

macro_rules! explored {
    ($name:ident, $output:ty, $body:block) => {
        #[straggler::test(explore = 2)]
        async fn $name() -> $output $body
    };
}

explored!(explored_type, Result<(), Box<dyn Error>>, {
    let seven: u8 = "7".parse()?;
    assert_eq!(seven, 7);
    Ok(())
});

macro_rules! function {
    ($(#[$attribute:meta])* $visibility:vis async fn $name:ident() $body:block) => {
        #[straggler::test]
        $(#[$attribute])*
        $visibility async fn $name() $body
    };
}

function! {
    #[tokio::test(flavor = "multi_thread")]
    #[doc = "Documented."]
    pub(crate) async fn attributes_visibility_and_body() {
        assert!(is_multi_thread());
    }
}

function! {
    #[should_panic(expected = "as it should")]
    async fn should_panic_attribute() {
        panic!("as it should");
    }
}

macro_rules! item {
    ($item:item) => {
        #[straggler::test(flavor = "multi_thread")]
        $item
    };
}

item! {
    async fn whole_function() {
        assert!(is_multi_thread());
    }
}

macro_rules! attribute {
    ($attribute:meta, $path:path, $name:ident) => {
        #[$attribute]
        #[$path]
        async fn $name() {
            assert!(is_multi_thread());
        }
    };
}

attribute!(
    straggler::test(flavor = "multi_thread"),
    tokio::test,
    attribute_and_path
);

macro_rules! options {
    ($name:ident, $($option:meta),*) => {
        #[straggler::test($($option),*)]
        async fn $name() {
            assert!(is_multi_thread());
        }
    };
}

options!(
    whole_options,
    flavor = "multi_thread",
    allow("src/a.rs", "src/b.rs" = 2),
    worker_threads = 2
);

macro_rules! values {
    ($name:ident, $flavor:expr, $paused:expr, $place:literal, $tasks:literal) => {
        #[straggler::test(flavor = $flavor, start_paused = $paused, allow($place = $tasks))]
        async fn $name() {
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        }
    };
}

values!(values_of_options, "local", true, "src/a.rs", 1);

macro_rules! inner {
    ($name:ident, $flavor:expr, $place:expr, $tasks:expr) => {
        #[straggler::test(flavor = $flavor, allow($place = $tasks))]
        async fn $name() {
            assert!(is_multi_thread());
        }
    };
}

macro_rules! outer {
    ($name:ident, $flavor:expr, $place:expr, $tasks:expr) => {
        inner!($name, $flavor, $place, $tasks);
    };
}

outer!(values_through_two_macros, "multi_thread", "src/a.rs", 2);

macro_rules! merged {
    ($name:ident, $flavor:expr, $same:literal) => {
        #[straggler::test(flavor = $flavor)]
        #[tokio::test(flavor = $same)]
        async fn $name() {
            assert!(is_multi_thread());
        }
    };
}

merged!(same_value_in_two_fragments, "multi_thread", "multi_thread");

macro_rules! krate {
    ($name:ident, $krate:expr) => {
        #[straggler::test(crate = $krate)]
        async fn $name() {}
    };
}

krate!(path_of_crate, "::straggler");

mod raw {
    use super::*;

    #[straggler::test]
    #[r#test]
    async fn test() {}

    #[straggler::test]
    #[r#tokio::r#test(flavor = "multi_thread")]
    async fn tokio_test() {
        assert!(is_multi_thread());
    }

    #[straggler::test(r#flavor = "multi_thread")]
    async fn option() {
        assert!(is_multi_thread());
    }

    #[straggler::test]
    #[::core::prelude::v1::test]
    async fn test_of_core() {}

    #[straggler::test]
    #[::std::prelude::rust_2021::test]
    async fn test_of_std() {}

    #[straggler::test]
    async fn r#async() {}
}

mod explored_arguments {
    use test_case::test_case;

    macro_rules! pattern {
        ($name:ident, $pattern:pat, $value:expr) => {
            #[test_case(1)]
            #[straggler::test(explore = 2)]
            async fn $name($pattern: u8) {
                assert_eq!($value, 1);
            }
        };
    }

    pattern!(fragment, number, number);

    #[test_case(1)]
    #[straggler::test(explore = 2)]
    async fn wildcard(_: u8) {}

    #[test_case(1)]
    #[straggler::test(explore = 2)]
    async fn removed_by_cfg(number: u8, #[cfg(any())] removed: u8) {
        assert_eq!(number, 1);
    }
}

/// A test attribute that is not recognised makes a second test, without the check.
#[test]
fn harness_lists_each_test_once() {
    let output = Command::new(env::current_exe().expect("path of the test binary"))
        .arg("--list")
        .output()
        .expect("output of the test binary");
    let listed = String::from_utf8_lossy(&output.stdout);
    let tests: Vec<_> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let distinct: BTreeSet<_> = tests.iter().collect();
    assert_eq!(tests.len(), distinct.len(), "{listed}");
}
