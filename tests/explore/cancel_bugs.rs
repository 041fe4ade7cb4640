//! Known kinds of cancellation bugs, minimal and in plain tokio, each with a repaired twin. All of them pass
//! if nothing is cancelled.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures::StreamExt as _;
use futures::stream;
use straggler::{cancellable, settle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::{Barrier, Mutex, Notify, OnceCell, Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, yield_now};

use super::bugs::{Bug, bug};

/// Known bugs that show once their operation is cancelled.
pub(crate) const CANCELLATION_BUGS: &[Bug] = &[
    bug("part of a frame lost by `read_exact`", |repaired| {
        Box::pin(part_of_frame(repaired))
    }),
    bug("part of a frame sent twice by `write_all`", |repaired| {
        Box::pin(frame_sent_twice(repaired))
    }),
    bug("message lost between receive and handle", |repaired| {
        Box::pin(lost_message(repaired))
    }),
    bug("message lost in `send`", |repaired| {
        Box::pin(lost_in_send(repaired))
    }),
    bug("connection not returned to its pool", |repaired| {
        Box::pin(lost_connection(repaired))
    }),
    bug("single flight without its leader", |repaired| {
        Box::pin(lost_leader(repaired))
    }),
    bug("state taken from a mutex", |repaired| {
        Box::pin(taken_state(repaired))
    }),
    bug("notification consumed", |repaired| {
        Box::pin(lost_notification(repaired))
    }),
    bug("half of a two-step write", |repaired| {
        Box::pin(half_written(repaired))
    }),
    bug("counter not decremented", |repaired| {
        Box::pin(counter_too_high(repaired))
    }),
    bug("permits lost in `buffer_unordered`", |repaired| {
        Box::pin(lost_permits(repaired))
    }),
    bug("sender of a reply left in a map", |repaired| {
        Box::pin(pending_reply(repaired))
    }),
    bug("initialized, but not quite", |repaired| {
        Box::pin(half_initialized(repaired))
    }),
    bug("temporary file left", |repaired| {
        Box::pin(temporary_file(repaired))
    }),
    bug("lock file left", |repaired| Box::pin(lock_file(repaired))),
    bug("barrier left short", |repaired| {
        Box::pin(short_barrier(repaired))
    }),
    bug("tasks of a `JoinSet` go on", |repaired| {
        Box::pin(tasks_go_on(repaired))
    }),
];

/// Calls the function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Begins an operation again until it was not cancelled, as a loop around `select!` does.
async fn retry(mut operation: impl AsyncFnMut()) {
    while cancellable(operation()).await.is_none() {}
}

/// `read_exact` drops what it has read of a frame.
async fn part_of_frame(repaired: bool) {
    let (mut client, mut server) = duplex(2);
    let send = async move { client.write_all(b"FRAME.").await.unwrap() };
    let receive = async {
        let mut frame = Vec::new();
        retry(async || {
            if repaired {
                while frame.len() < 4 {
                    let mut rest = (&mut server).take(4 - frame.len() as u64);
                    assert_ne!(rest.read_buf(&mut frame).await.unwrap(), 0);
                }
                return;
            }
            frame = vec![0; 4];
            server.read_exact(&mut frame).await.unwrap();
        })
        .await;
        assert_eq!(frame, b"FRAM");
    };
    settle!(send, receive);
}

/// `write_all` does not say how much of a frame it has written.
async fn frame_sent_twice(repaired: bool) {
    let (mut client, mut server) = duplex(2);
    let send = async move {
        let mut rest = &b"FRAME"[..];
        retry(async || {
            if repaired {
                while !rest.is_empty() {
                    client.write_buf(&mut rest).await.unwrap();
                }
            } else {
                client.write_all(rest).await.unwrap();
            }
        })
        .await;
    };
    let receive = async {
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"FRAME");
    };
    settle!(send, receive);
}

/// A message is received before the place is free where it goes to.
async fn lost_message(repaired: bool) {
    let (send, mut receive) = mpsc::channel(2);
    for message in [1, 2] {
        send.send(message).await.unwrap();
    }
    drop(send);
    let stored = Mutex::new(Vec::new());
    retry(async || {
        loop {
            let mut place = None;
            if repaired {
                place = Some(stored.lock().await);
            }
            let Some(message) = receive.recv().await else {
                return;
            };
            match place {
                Some(mut place) => place.push(message),
                None => stored.lock().await.push(message),
            }
        }
    })
    .await;
    assert_eq!(stored.into_inner(), [1, 2]);
}

/// A message is taken from its queue before the channel has a place for it.
async fn lost_in_send(repaired: bool) {
    let (send, mut receive) = mpsc::channel(1);
    let queue = RefCell::new(vec![2, 1]);
    let forward = async {
        retry(async || {
            while !queue.borrow().is_empty() {
                let place = if repaired {
                    Some(send.reserve().await.unwrap())
                } else {
                    None
                };
                let message = queue.borrow_mut().pop().unwrap();
                match place {
                    Some(place) => place.send(message),
                    None => send.send(message).await.unwrap(),
                }
            }
        })
        .await;
        drop(send);
    };
    let receive = async {
        let mut received = Vec::new();
        while let Some(message) = receive.recv().await {
            received.push(message);
        }
        assert_eq!(received, [1, 2]);
    };
    settle!(forward, receive);
}

async fn lost_connection(repaired: bool) {
    let pool = RefCell::new(vec!["connection"]);
    let query = async {
        let connection = pool.borrow_mut().pop().unwrap();
        let give_back = || pool.borrow_mut().push(connection);
        let guard = repaired.then(|| OnDrop(give_back));
        yield_now().await; // the query
        if guard.is_none() {
            give_back();
        }
    };
    cancellable(query).await;
    assert_eq!(*pool.borrow(), ["connection"]);
}

/// Whoever asks first loads the value, and the others wait until it is there.
async fn lost_leader(repaired: bool) {
    let (cached, is_loading, is_loaded) = (Cell::new(None), Cell::new(false), Notify::new());
    let end_load = || {
        is_loading.set(false);
        is_loaded.notify_waiters();
    };
    let get = async || loop {
        if let Some(value) = cached.get() {
            return value;
        }
        if is_loading.replace(true) {
            is_loaded.notified().await;
            continue;
        }
        let guard = repaired.then(|| OnDrop(end_load));
        yield_now().await; // the load
        cached.set(Some(7));
        if guard.is_none() {
            end_load();
        }
    };
    let (_, value) = settle!(cancellable(get()), get());
    assert_eq!(value, 7);
}

async fn taken_state(repaired: bool) {
    let (state, log) = (Mutex::new(Some(vec![1])), Mutex::new(Vec::new()));
    let append = async {
        let mut state = state.lock().await;
        if repaired {
            log.lock().await.push("append");
        }
        let mut items = state.take().unwrap();
        if !repaired {
            log.lock().await.push("append");
        }
        items.push(2);
        *state = Some(items);
    };
    cancellable(append).await;
    assert!(state.into_inner().is_some(), "the state is gone");
}

/// The worker that got the notification of a job goes away before it has the job.
async fn lost_notification(repaired: bool) {
    let (is_there, jobs) = (Notify::new(), Mutex::new(vec!["job"]));
    is_there.notify_one();
    let done = Cell::new(None);
    let work = async || {
        if repaired {
            loop {
                done.set(jobs.lock().await.pop());
                if done.get().is_some() {
                    return;
                }
                is_there.notified().await;
            }
        }
        is_there.notified().await;
        done.set(jobs.lock().await.pop());
    };
    cancellable(work()).await;
    if done.get().is_none() {
        work().await;
    }
    assert_eq!(done.get(), Some("job"));
}

async fn half_written(repaired: bool) {
    let (ada, bob) = (Mutex::new(100), Mutex::new(0));
    let transfer = async {
        if repaired {
            let (mut ada, mut bob) = (ada.lock().await, bob.lock().await);
            *ada -= 40;
            *bob += 40;
        } else {
            *ada.lock().await -= 40;
            *bob.lock().await += 40;
        }
    };
    cancellable(transfer).await;
    assert_eq!(ada.into_inner() + bob.into_inner(), 100, "money was lost");
}

async fn counter_too_high(repaired: bool) {
    let (active, log) = (Cell::new(0), Mutex::new(Vec::new()));
    let request = async {
        active.set(active.get() + 1);
        let end = || active.set(active.get() - 1);
        let guard = repaired.then(|| OnDrop(end));
        log.lock().await.push("request");
        if guard.is_none() {
            end();
        }
    };
    cancellable(request).await;
    assert_eq!(active.get(), 0);
}

async fn lost_permits(repaired: bool) {
    let (connections, stored) = (Semaphore::new(2), Mutex::new(Vec::new()));
    let download = async |number: u32| {
        let permit = connections.acquire().await.unwrap();
        if repaired {
            stored.lock().await.push(number);
        } else {
            permit.forget();
            stored.lock().await.push(number);
            connections.add_permits(1);
        }
    };
    let downloads = stream::iter(0..4).map(download).buffer_unordered(2);
    cancellable(downloads.collect::<()>()).await;
    assert_eq!(connections.available_permits(), 2);
}

/// A call enters where its reply goes to, and nobody removes it if the caller goes away.
async fn pending_reply(repaired: bool) {
    let pending: RefCell<HashMap<u32, oneshot::Sender<&str>>> = RefCell::default();
    let (requests, mut requested) = mpsc::channel(1);
    let serve = async {
        while let Some(id) = requested.recv().await {
            if let Some(reply) = pending.borrow_mut().remove(&id) {
                _ = reply.send("pong");
            }
        }
    };
    let call = async {
        let (reply, replied) = oneshot::channel();
        pending.borrow_mut().insert(1, reply);
        let _guard = repaired.then(|| {
            OnDrop(|| {
                pending.borrow_mut().remove(&1);
            })
        });
        requests.send(1).await.unwrap();
        drop(requests);
        assert_eq!(replied.await, Ok("pong"));
    };
    let client = async {
        cancellable(call).await;
        assert!(pending.borrow().is_empty(), "a call has no caller");
    };
    settle!(serve, client);
}

async fn half_initialized(repaired: bool) {
    let (has_begun, table, cell) = (Cell::new(false), Mutex::new(None), OnceCell::new());
    let create = async || *table.lock().await = Some("table");
    let initialize = async || {
        if repaired {
            cell.get_or_init(&create).await;
        } else if !has_begun.replace(true) {
            create().await;
        }
    };
    cancellable(initialize()).await;
    initialize().await;
    assert_eq!(*table.lock().await, Some("table"));
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!("straggler-cancel-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A file is written under another name first.
async fn temporary_file(repaired: bool) {
    let folder = Folder::new();
    let (path, temporary) = (folder.0.join("settings"), folder.0.join("settings.new"));
    let save = async {
        let _guard = repaired.then(|| OnDrop(|| _ = fs::remove_file(&temporary)));
        fs::write(&temporary, "half, ").unwrap();
        yield_now().await;
        fs::write(&temporary, "half, whole").unwrap();
        fs::rename(&temporary, &path).unwrap();
    };
    cancellable(save).await;
    assert_eq!(folder.files(), usize::from(path.exists()));
}

async fn lock_file(repaired: bool) {
    let folder = Folder::new();
    let path = folder.0.join("lock");
    let unlock = || fs::remove_file(&path).unwrap();
    let update = async || {
        File::create_new(&path).expect("nobody else updates");
        let guard = repaired.then(|| OnDrop(unlock));
        yield_now().await; // the update
        if guard.is_none() {
            unlock();
        }
    };
    cancellable(update()).await;
    update().await;
}

/// Two workers begin when both are ready, and one of them never is.
async fn short_barrier(repaired: bool) {
    let (barrier, data) = (Barrier::new(2), Mutex::new(0));
    // In the twin each worker holds a sender, and whoever goes away drops it.
    let (ready, mut are_ready) = mpsc::channel::<()>(1);
    let prepare = async {
        let _ready = ready;
        *data.lock().await += 1;
        if !repaired {
            barrier.wait().await;
        }
    };
    let wait = async {
        if repaired {
            are_ready.recv().await;
        } else {
            barrier.wait().await;
        }
    };
    settle!(cancellable(prepare), wait);
}

/// The tasks of an operation are in a set that lives longer.
async fn tasks_go_on(repaired: bool) {
    let (sent, mut of_service) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    let send_all = async {
        let mut own = JoinSet::new();
        let tasks = if repaired { &mut own } else { &mut of_service };
        for _ in 0..2 {
            let sent = Arc::clone(&sent);
            tasks.spawn(async move {
                yield_now().await;
                sent.fetch_add(1, Relaxed);
            });
        }
        while tasks.join_next().await.is_some() {}
    };
    cancellable(send_all).await;
    let until_then = sent.load(Relaxed);
    yield_now().await;
    yield_now().await;
    assert_eq!(
        sent.load(Relaxed),
        until_then,
        "sent after its caller had gone"
    );
}
