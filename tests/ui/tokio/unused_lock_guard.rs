#![deny(unused_must_use)]

#[tokio::main]
async fn main() {
    let lock = straggler::Lock::new();
    lock.acquire().await;
}
