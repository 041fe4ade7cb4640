//! The server written as a loop: it answers every client and leaks no task.

use std::net::TcpListener;

use reqwest::StatusCode;
use straggler::{barrier, settle, settle_all};
use straggler_examples::imperative::{HungUp, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const HELLO: &str = "Hello World, Imperative";

/// Answers every request. Returns how many there were and how many clients had hung up.
async fn run(mut server: Server) -> (usize, usize) {
    let (mut requests, mut hung_up) = (0, 0);
    while let Some((_request, reply)) = server.next().await {
        requests += 1;
        hung_up += usize::from(reply.send(HELLO).is_err());
    }
    (requests, hung_up)
}

/// Connects to a server without an HTTP client.
async fn connect(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

#[straggler::test]
async fn concurrent_clients_answered_despite_hangup() {
    const CLIENTS: usize = 10;
    let server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let http = reqwest::Client::new();
    let ask = async |client: usize| {
        if client == 3 {
            let mut stream = connect(&url).await;
            stream.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
            return None;
        }
        let answer = http.get(&url).send().await.unwrap();
        Some((answer.status(), answer.text().await.unwrap()))
    };
    let (served, answers) = settle!(run(server), async {
        let answers = settle_all((0..CLIENTS).map(ask)).await;
        stop.cancel();
        answers
    });
    assert_eq!(served, (CLIENTS - 1, 0));
    for (client, answer) in answers.into_iter().enumerate() {
        let expected = (client != 3).then(|| (StatusCode::OK, HELLO.to_owned()));
        assert_eq!(answer, expected);
    }
}

#[straggler::test]
async fn early_hangup_does_not_stop_server() {
    let mut server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let asked = Notify::new();
    let serve = async {
        let (_request, mut reply) = server.next().await.unwrap();
        asked.notify_one();
        reply.hung_up().await;
        assert_eq!(reply.send(HELLO), Err(HungUp));
        run(server).await
    };
    let (served, ()) = settle!(serve, async {
        let mut stream = connect(&url).await;
        let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        stream.write_all(request).await.unwrap();
        asked.notified().await;
        drop(stream);
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), HELLO);
        stop.cancel();
    });
    assert_eq!(served, (1, 0));
}

#[straggler::test]
async fn stop_answers_pending_request() {
    let mut server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let (served, answer) = settle!(
        async {
            let (_request, reply) = server.next().await.unwrap();
            stop.cancel();
            reply.send(HELLO).unwrap();
            run(server).await
        },
        async { reqwest::get(&url).await.unwrap().text().await.unwrap() },
    );
    assert_eq!((served, answer.as_str()), ((0, 0), HELLO));
}

#[straggler::test]
async fn stop_closes_idle_connections() {
    let server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let (served, mut kept) = settle!(run(server), async {
        let silent = connect(&url).await;
        let mut idle = connect(&url).await;
        let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        idle.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(HELLO.as_bytes()) {
            assert_ne!(idle.read_buf(&mut answer).await.unwrap(), 0);
        }
        stop.cancel();
        [silent, idle]
    });
    assert_eq!(served, (1, 0));
    for stream in &mut kept {
        assert_eq!(
            stream.read(&mut [0]).await.unwrap(),
            0,
            "the server closed the connection"
        );
    }
}

#[straggler::test]
async fn stop_gives_up_on_partial_request() {
    let server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let (served, stream) = settle!(run(server), async {
        let mut stream = connect(&url).await;
        stream.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
        // Connections are accepted in order, so this answer means that `stream` was accepted.
        reqwest::get(&url).await.unwrap();
        stop.cancel();
        stream
    });
    assert_eq!(served, (1, 0));
    drop(stream);
}

#[straggler::test]
async fn non_http_client_disconnected() {
    let server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let (served, ()) = settle!(run(server), async {
        let mut stream = connect(&url).await;
        stream.write_all(b"EHLO\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        stop.cancel();
    });
    assert_eq!(served, (0, 0));
}

#[straggler::test]
async fn dropped_reply_answers_500() {
    let mut server = Server::bind(0).await.unwrap();
    let (url, stop) = (server.url(), server.stop());
    let (served, ()) = settle!(
        async {
            drop(server.next().await);
            run(server).await
        },
        async {
            let answers = barrier([reqwest::get(&url)]).await.unwrap();
            assert_eq!(answers[0].status(), StatusCode::INTERNAL_SERVER_ERROR);
            stop.cancel();
        },
    );
    assert_eq!(served, (0, 0));
}

#[straggler::test]
async fn dropped_server_closes_connections() {
    let mut server = Server::bind(0).await.unwrap();
    let url = server.url();
    let ((), refused) = settle!(
        async {
            let call = server.next().await;
            drop(server);
            drop(call);
        },
        reqwest::get(&url),
    );
    refused.unwrap_err();
}

#[straggler::test]
async fn taken_port_is_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    Server::bind(port).await.unwrap_err();
}
