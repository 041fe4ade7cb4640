use straggler::leak_check;

#[leak_check(explore = 5)]
#[test_case::test_case((1, 2))]
async fn takes_it_apart((one, other): (u8, u8)) {
    assert!(one < other);
}

fn main() {}
