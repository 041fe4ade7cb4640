//! The dependencies of this crate must not make its users' code ambiguous. `serde_json` would: its
//! `impl PartialEq<Value> for usize` is visible in every crate that depends on it, however
//! indirectly.
//!
//! This is a binary of its own because any crate that another test uses would be visible here too.

use futures::executor::block_on;
use straggler::settle_all;

#[test]
fn number_and_string_types_are_inferred() {
    let settled = block_on(settle_all([1_usize, 2].map(|number| async move { number })));
    assert_eq!(3_usize, settled.iter().sum());
    assert_eq!(3_u64, "3".parse().unwrap());
}
