use rstest::rstest;

#[straggler::test(retries = 3)]
#[rstest]
#[case(1)]
async fn a_test(#[case] number: u8) {
    assert_eq!(number, 1);
}

fn main() {}
