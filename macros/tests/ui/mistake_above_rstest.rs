use rstest::rstest;
use straggler::leak_check;

#[leak_check(retries = 3)]
#[rstest]
#[case(1)]
async fn a_test(#[case] number: u8) {
    assert_eq!(number, 1);
}

fn main() {}
