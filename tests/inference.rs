//! A crate that this one depends on must not make code ambiguous that its users have. `serde_json`
//! would: it has an `impl PartialEq<Value> for usize`, which the compiler sees in every crate that
//! depends on it, from however far.

use futures::executor::block_on;
use straggler::settle_all;

#[test]
fn the_types_of_numbers_and_strings_are_still_found() {
    let settled = block_on(settle_all([1_usize, 2].map(|number| async move { number })));
    assert_eq!(3_usize, settled.iter().sum());
    assert_eq!(3_u64, "3".parse().unwrap());
}
