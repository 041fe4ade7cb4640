fn main() {
    let lock = straggler::Lock::new();
    lock.release();
}
