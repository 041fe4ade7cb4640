//! Tests that block their thread, each inside another function.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

fn lock(mutex: &Mutex<()>) {
    drop(mutex.lock());
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn on_mutex() {
    let mutex = Arc::new(Mutex::new(()));
    let _held = mutex.lock().unwrap();
    lock(&mutex);
}

#[straggler::test(explore = 50, eager_spawns, timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn on_lock_of_spawner() {
    let mutex = Arc::new(Mutex::new(()));
    let _held = mutex.lock().unwrap();
    let locks = Arc::clone(&mutex);
    straggler::spawn(async move { lock(&locks) });
}

fn receive(receiver: &mpsc::Receiver<()>) {
    _ = receiver.recv();
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn on_channel() {
    let (_sender, receiver) = mpsc::channel();
    receive(&receiver);
}

fn sleep() {
    thread::sleep(Duration::from_secs(3600));
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn in_sleep() {
    sleep();
}

fn run() {
    futures::executor::block_on(std::future::pending::<()>());
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn in_block_on() {
    run();
}

fn join(thread: thread::JoinHandle<()>) {
    _ = thread.join();
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn on_thread() {
    join(thread::spawn(sleep));
}

fn read(mut stream: &TcpStream) {
    _ = stream.read(&mut [0]);
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn in_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    read(&stream);
}

fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

#[straggler::test(timeout = "20ms")]
#[ignore = "fails on purpose"]
async fn in_loop() {
    spin();
}
