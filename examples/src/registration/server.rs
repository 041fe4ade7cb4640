//! The service over HTTP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{RegisterError, Registrations, User};

/// How long clients have to send the rest of a request when the server stops.
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of `POST /user`.
#[derive(Debug, Deserialize)]
struct NewUser {
    email: String,
}

/// The body of every answer that is no success.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    registrations: Arc<Registrations>,
    shared: Shared,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

/// What each handler needs.
#[derive(Clone, Debug)]
struct Shared {
    registrations: Arc<Registrations>,
    at_work: TaskTracker,
}

impl Server {
    /// Starts to serve on this port of the local machine; port 0 stands for any free one.
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub async fn start(port: u16, registrations: Registrations) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let registrations = Arc::new(registrations);
        let shared = Shared {
            registrations: Arc::clone(&registrations),
            at_work: TaskTracker::new(),
        };
        let router = Router::new()
            .route("/user", post(register))
            .with_state(shared.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async {
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
        });
        Ok(Self {
            address,
            registrations,
            shared,
            stop,
            serving,
        })
    }

    /// Returns where the server listens, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the service behind the server.
    #[must_use]
    pub fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    /// Takes no more requests, lets those at work come to their ends, and closes the database.
    ///
    /// Who has sent a part of a request has two seconds for the rest of it. After that the connection is
    /// left to itself.
    ///
    /// # Errors
    ///
    /// If the server failed.
    ///
    /// # Panics
    ///
    /// If the server did.
    pub async fn stop(self) -> io::Result<()> {
        let Self {
            registrations,
            shared,
            stop,
            mut serving,
            ..
        } = self;
        stop.cancel();
        shared.at_work.close();
        shared.at_work.wait().await;
        let in_time = timeout(PATIENCE, &mut serving).await;
        let served = if let Ok(served) = in_time {
            served
        } else {
            serving.abort();
            serving.await
        };
        // Of those whose requests were complete in the meantime.
        shared.at_work.wait().await;
        registrations.users().close().await;
        match served {
            Ok(served) => served,
            Err(failed) if failed.is_cancelled() => Ok(()),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

/// Handles `POST /user`.
///
/// A registration that has begun is finished even if its client hangs up: it runs in a task of
/// its own, which is not dropped with the connection.
async fn register(
    State(shared): State<Shared>,
    body: Result<Json<NewUser>, JsonRejection>,
) -> Response {
    let email = match body {
        Ok(Json(user)) => user.email,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    let registrations = shared.registrations;
    let registering = async move { registrations.register(&email).await };
    match shared.at_work.spawn(registering).await {
        Ok(Ok(user)) => (StatusCode::CREATED, Json::<User>(user)).into_response(),
        Ok(Err(error)) => refuse(status(&error), format!("{:#}", anyhow::Error::new(error))),
        Err(failed) => refuse(StatusCode::INTERNAL_SERVER_ERROR, failed.to_string()),
    }
}

fn status(error: &RegisterError) -> StatusCode {
    match error {
        RegisterError::InvalidEmail(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RegisterError::Duplicate(_) => StatusCode::CONFLICT,
        RegisterError::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}
