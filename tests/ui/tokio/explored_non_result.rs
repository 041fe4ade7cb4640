fn main() {
    straggler::Explore::new().run(|| async { 5 });
}
