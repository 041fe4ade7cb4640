#[tokio::main]
async fn main() {
    let lock = straggler::Lock::new();
    let guard = lock.acquire().await;
    guard.release();
    guard.release();
}
