use straggler::leak_check;

#[leak_check]
fn a_test() {}

fn main() {
    a_test();
}
