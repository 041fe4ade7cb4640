fn main() {
    let _ = straggler::settle!(async { 1 });
}
