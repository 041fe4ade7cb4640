//! An HTTP server without callbacks: the program awaits each request in a loop and answers it.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::resume_unwind;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a client has to send the head of a request. A partial request delays a stopping server
/// no longer than this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the server waits after it failed to accept a connection, such as with too many open
/// files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How many requests can wait for the loop. Further ones wait in their connections.
const QUEUE_LEN: usize = 16;

/// A server that the program asks for one request after another.
///
/// The server owns the tasks of its connections. When [`next`](Self::next) has returned `None`, all of
/// them are finished. Dropping the server aborts them.
#[derive(Debug)]
pub struct Server {
    /// `None` once the server is stopped.
    listener: Option<TcpListener>,
    address: SocketAddr,
    connections: JoinSet<()>,
    calls: mpsc::Receiver<Call>,
    /// Cloned for each connection.
    caller: mpsc::Sender<Call>,
    stop: CancellationToken,
}

/// A request and its reply.
pub type Call = (Request<Incoming>, Reply);

/// An HTTP response.
type Answer = Response<Full<Bytes>>;

/// Answers one request. If it is dropped, the client gets `500 Internal Server Error`.
#[must_use = "the client waits for an answer"]
pub struct Reply(oneshot::Sender<Answer>);

/// Error for a client that hung up before it got an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client hung up before it got an answer")]
pub struct HungUp;

impl Reply {
    /// Answers with this text.
    ///
    /// # Errors
    ///
    /// Returns [`HungUp`] if the client has hung up.
    pub fn send(self, text: impl Into<Bytes>) -> Result<(), HungUp> {
        let answer = Response::new(Full::new(text.into()));
        self.0.send(answer).map_err(|_| HungUp)
    }

    /// Waits until the client hangs up, so that the program can cancel a slow answer.
    pub async fn hung_up(&mut self) {
        self.0.closed().await;
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("has_hung_up", &self.0.is_closed())
            .finish()
    }
}

impl Server {
    /// Listens on this local port. With port 0 the system picks a free one.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is in use.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let (caller, calls) = mpsc::channel(QUEUE_LEN);
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            connections: JoinSet::new(),
            calls,
            caller,
            stop: CancellationToken::new(),
        })
    }

    /// Returns the URL of the server, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the token that stops the server.
    ///
    /// A stopped server accepts no more connections. [`next`](Self::next) returns the requests that
    /// are on their way, and then `None`.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for the next request. Returns `None` when the server is stopped and all of its
    /// connections are closed.
    ///
    /// The server accepts connections only while the program awaits this method.
    ///
    /// # Panics
    ///
    /// Resumes the panic of a connection's task.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses no request and no connection.
    pub async fn next(&mut self) -> Option<Call> {
        loop {
            tokio::select! {
                // Reap finished connections first, so that they do not pile up.
                biased;
                Some(ended) = self.connections.join_next() => ended.unwrap_or_else(resume_panic),
                Some(call) = self.calls.recv() => return Some(call),
                () = self.stop.cancelled(), if self.listener.is_some() => self.listener = None,
                stream = accept(self.listener.as_ref()), if self.listener.is_some() => {
                    let serving = serve(stream, self.caller.clone(), self.stop.clone());
                    self.connections.spawn(serving);
                }
                // `recv` never returns `None`: the server holds a sender itself.
                () = std::future::ready(()), if self.is_finished() => return None,
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.listener.is_none() && self.connections.is_empty()
    }
}

/// Resumes the panic of a connection. Only dropping the server aborts one, so the error is a panic.
fn resume_panic(failed: JoinError) {
    resume_unwind(failed.into_panic())
}

/// Waits for the next connection.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns whether the client caused the error, so that the server can accept the next one at once.
fn is_client_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Serves a connection until it closes. A stopped server closes it after the current request.
async fn serve(stream: TcpStream, caller: mpsc::Sender<Call>, stop: CancellationToken) {
    let ask = service_fn(async |request| Ok::<_, Infallible>(ask(request, &caller).await));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), ask)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Only clients cause errors here: they hang up early, or do not speak HTTP.
    drop(ended);
}

/// Sends a request to the loop and waits for the answer.
async fn ask(request: Request<Incoming>, caller: &mpsc::Sender<Call>) -> Answer {
    let (reply, answer) = oneshot::channel();
    // If the server is gone, this drops the reply, and the client gets the error below.
    _ = caller.send((request, Reply(reply))).await;
    answer.await.unwrap_or_else(|_| {
        let mut failed = Response::new(Full::new(Bytes::from("the server did not answer\n")));
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}
