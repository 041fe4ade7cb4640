async fn length(text: &str) -> usize {
    text.len()
}

async fn borrows() -> (usize,) {
    straggler::settle!(length(&String::from("text")))
}

fn main() {}
