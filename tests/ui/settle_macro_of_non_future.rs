async fn number() -> u8 {
    straggler::settle!(async { 1 }, 2).0
}

fn main() {
    drop(number());
}
