#[straggler::test]
fn a_test() {}

fn main() {
    a_test();
}
