use straggler::leak_check;

#[leak_check]
struct Test;

fn main() {
    let _ = Test;
}
