#[straggler::test(explore = 5)]
#[test_case::test_case((1, 2))]
async fn destructures((one, other): (u8, u8)) {
    assert!(one < other);
}

fn main() {}
