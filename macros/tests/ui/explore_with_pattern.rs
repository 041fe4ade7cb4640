#[straggler::test(explore = 5)]
#[test_case::test_case((1, 2))]
async fn destructures((one, other): (u8, u8)) {
    assert!(one < other);
}

#[straggler::test(explore = 5)]
#[test_case::test_case((1, 2))]
async fn binds_part(pair @ (one, _): (u8, u8)) {
    assert!(one < pair.1);
}

fn main() {}
