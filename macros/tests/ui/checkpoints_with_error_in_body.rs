use std::future::ready;

#[straggler::checkpoints]
async fn wrong_type() -> u8 {
    let text: &str = ready(7).await;
    ready(missing).await;
    ready(text.lenght()).await
}

#[straggler::checkpoints]
fn not_async() {
    ready(()).await;
}

fn main() {
    let _ = (wrong_type, not_async);
}
