//! An HTTP server that is no callback but a loop: it awaits the next request, and answers it.

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

/// How long a client has to send the head of a request. So nobody who stops half-way keeps the
/// server from stopping.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the server waits if the system has no connection to give, say because too many files
/// are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How many requests wait for the loop before their connections do.
const QUEUE: usize = 16;

/// A server of which the program asks one request after the other.
///
/// Its connections are tasks of its own: when [`next`](Self::next) has returned `None` all of them
/// have ended, and if it is dropped before they are aborted.
#[derive(Debug)]
pub struct Server {
    /// `None` once it takes no more connections.
    listener: Option<TcpListener>,
    address: SocketAddr,
    connections: JoinSet<()>,
    calls: mpsc::Receiver<Call>,
    /// For the connections to come.
    caller: mpsc::Sender<Call>,
    stop: CancellationToken,
}

/// A request, and how to answer it.
pub type Call = (Request<Incoming>, Reply);

/// What comes out of the server.
type Answer = Response<Full<Bytes>>;

/// Answers a request. The client of one that is dropped gets `500 Internal Server Error`.
#[must_use = "the client waits for an answer"]
pub struct Reply(oneshot::Sender<Answer>);

/// The client hung up before it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client hung up before it was answered")]
pub struct HungUp;

impl Reply {
    /// Answers with this text.
    ///
    /// # Errors
    ///
    /// If the client has hung up.
    pub fn send(self, text: impl Into<Bytes>) -> Result<(), HungUp> {
        let answer = Response::new(Full::new(text.into()));
        self.0.send(answer).map_err(|_| HungUp)
    }

    /// Waits until the client hangs up, for whoever has a long answer to make.
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
    /// Listens on this port of the local machine; port 0 stands for any free one.
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let (caller, calls) = mpsc::channel(QUEUE);
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            connections: JoinSet::new(),
            calls,
            caller,
            stop: CancellationToken::new(),
        })
    }

    /// Returns where the server listens, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what stops the server when it is cancelled: it takes no more connections, hands out
    /// the requests that are on their way, and then ends.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for the next request, or returns `None` when the server was stopped and all of its
    /// connections have ended.
    ///
    /// Only while somebody waits here are connections accepted.
    ///
    /// # Panics
    ///
    /// If a connection did.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no request is lost, and no connection.
    pub async fn next(&mut self) -> Option<Call> {
        loop {
            tokio::select! {
                // Connections that have ended go first, so that they do not pile up.
                biased;
                Some(ended) = self.connections.join_next() => ended.unwrap_or_else(go_on),
                Some(call) = self.calls.recv() => return Some(call),
                () = self.stop.cancelled(), if self.listener.is_some() => self.listener = None,
                stream = accept(self.listener.as_ref()), if self.listener.is_some() => {
                    let serving = serve(stream, self.caller.clone(), self.stop.clone());
                    self.connections.spawn(serving);
                }
                // The queue is never closed, since the server has a sender itself.
                () = std::future::ready(()), if self.is_over() => return None,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.listener.is_none() && self.connections.is_empty()
    }
}

/// Lets the panic of a connection go on. Nobody aborts them while the server is there.
fn go_on(failed: JoinError) {
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
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                eprintln!("no connection can be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether it is the client's fault, and the next one may have more luck.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Serves a connection to its end. Once the server is stopped that is the end of the request that is
/// at work.
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
    // An error is the client's: it hung up half-way, or does not speak HTTP.
    drop(ended);
}

/// Hands a request to the loop, and waits for its answer.
async fn ask(request: Request<Incoming>, caller: &mpsc::Sender<Call>) -> Answer {
    let (reply, answer) = oneshot::channel();
    // It fails if the server is gone, and then so is the reply.
    _ = caller.send((request, Reply(reply))).await;
    answer.await.unwrap_or_else(|_| {
        let mut failed = Response::new(Full::new(Bytes::from("nobody has answered\n")));
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}
