//! A leak does not count as the expected panic, however `#[should_panic]` and `()` are written.

#![expect(
    clippy::should_panic_without_expect,
    reason = "a leak would satisfy this form alone"
)]

#[path = "../../tests/common/child.rs"]
mod child;

use std::future::pending;

/// Leaks a task and does not panic.
fn leak() {
    straggler::spawn(pending::<()>());
}

macro_rules! returning {
    ($name:ident, $output:ty) => {
        #[straggler::test(grace = "20ms")]
        #[should_panic]
        #[ignore = "fails on purpose"]
        async fn $name() -> $output {
            leak();
        }
    };
}

macro_rules! nested {
    ($name:ident, $output:ty) => {
        returning!($name, $output);
    };
}

returning!(unit_from_macro_rules, ());
nested!(unit_from_nested_macro_rules, ());

macro_rules! forwarding {
    (#[$attribute:meta] $name:ident) => {
        #[straggler::test(grace = "20ms")]
        #[$attribute]
        #[ignore = "fails on purpose"]
        async fn $name() {
            leak();
        }
    };
}

forwarding!(
    #[should_panic]
    attribute_from_macro_rules
);

macro_rules! item {
    ($item:item) => {
        #[straggler::test(grace = "20ms")]
        $item
    };
}

item! {
    #[should_panic]
    #[ignore = "fails on purpose"]
    async fn item_from_macro_rules() {
        leak();
    }
}

#[straggler::test(grace = "20ms")]
#[r#should_panic]
#[ignore = "fails on purpose"]
async fn raw_attribute() {
    leak();
}

#[straggler::test(grace = "20ms")]
#[cfg_attr(all(), should_panic)]
#[ignore = "fails on purpose"]
async fn attribute_by_cfg_attr() {
    leak();
}

#[straggler::test(grace = "20ms")]
#[ignore = "fails on purpose"]
async fn inner_attribute() {
    #![should_panic]
    leak();
}

#[straggler::test(grace = "20ms", explore = 2)]
#[r#should_panic]
#[ignore = "fails on purpose"]
async fn raw_attribute_of_explored_test() {
    leak();
}

#[test]
fn leak_is_not_expected_panic() {
    let names = [
        "unit_from_macro_rules",
        "unit_from_nested_macro_rules",
        "attribute_from_macro_rules",
        "item_from_macro_rules",
        "raw_attribute",
        "attribute_by_cfg_attr",
        "inner_attribute",
        "raw_attribute_of_explored_test",
    ];
    let passed = names.into_iter().filter(|name| child::run(name).passed);
    assert_eq!(passed.collect::<Vec<_>>(), [""; 0]);
}
