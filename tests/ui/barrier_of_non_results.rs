fn main() {
    let _ = straggler::barrier([1, 2].map(|number| async move { number }));
}
