#[straggler::checkpoints]
async fn not_a_future() {
    let number = 7;
    number.await;
}

#[straggler::checkpoints]
async fn by_value() {
    let boxed: Box<dyn Future<Output = ()>> = Box::new(std::future::ready(()));
    boxed.await;
}

fn main() {
    let _ = (not_a_future, by_value);
}
