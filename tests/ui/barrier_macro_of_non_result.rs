async fn both() -> Result<(u8, u8), String> {
    straggler::barrier!(async { Ok(1) }, async { 2 })
}

fn main() {
    drop(both());
}
