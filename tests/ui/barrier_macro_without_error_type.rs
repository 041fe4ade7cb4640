async fn nothing() {
    let _ = straggler::barrier!();
}

fn main() {
    drop(nothing());
}
