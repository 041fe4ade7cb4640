#[straggler::checkpoints]
#[derive(Debug)]
pub struct Structure;

#[straggler::checkpoints]
pub(crate) trait Trait {
    #[straggler::checkpoints]
    fn without_body();
}

#[straggler::checkpoints]
const ASYNC: u8 = 7;

#[straggler::checkpoints(name = "point")]
async fn with_argument() {
    std::future::ready(()).await;
}

#[straggler::checkpoints(crate = 7)]
async fn with_wrong_path() {}

fn main() {
    let _ = (Structure, ASYNC, with_argument, with_wrong_path);
}
