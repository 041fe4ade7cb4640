use std::rc::Rc;

fn spawn<F: Future + Send + 'static>(_: F) {}

fn main() {
    let shared = Rc::new(1);
    spawn(straggler::settle_all([async move { *shared }]));
}
