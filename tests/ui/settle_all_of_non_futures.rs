fn main() {
    let _ = straggler::settle_all([1, 2]);
}
