#[straggler::test]
struct Test;

fn main() {
    let _ = Test;
}
