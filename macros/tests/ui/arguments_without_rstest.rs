#[straggler::test]
async fn a_test(number: u8, other: u8) {
    assert_eq!(number, other);
}

fn main() {}
