//! The HTTP server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
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

use super::{RegisterError, Registrations, User};

/// How long a stopping server waits for the rest of a partial request.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The body of `POST /user`.
#[derive(Debug, Deserialize)]
struct NewUser {
    email: String,
}

/// The body of every error response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    registrations: Registrations,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Starts a server on this local port. With port 0 the system picks a free one.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is in use.
    pub async fn start(port: u16, registrations: Registrations) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/user", post(register))
            .with_state(registrations.clone());
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
            stop,
            serving,
        })
    }

    /// Returns the URL of the server, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the service behind the server.
    #[must_use]
    pub fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    /// Stops accepting requests, finishes those that are running, and closes the database.
    ///
    /// A client that has sent part of a request gets two seconds to send the rest. Then the server
    /// stops without it.
    ///
    /// # Errors
    ///
    /// Returns the error with which the server failed.
    ///
    /// # Panics
    ///
    /// Resumes the panic of the server's task.
    pub async fn stop(self) -> io::Result<()> {
        let Self {
            registrations,
            stop,
            mut serving,
            ..
        } = self;
        stop.cancel();
        registrations.completed().await;
        let in_time = timeout(SHUTDOWN_TIMEOUT, &mut serving).await;
        let served = if let Ok(served) = in_time {
            served
        } else {
            serving.abort();
            serving.await
        };
        // Requests that arrived in full during the timeout may have started more registrations.
        registrations.completed().await;
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
/// If the client hangs up, axum drops this future. The registration completes nevertheless: it runs in its own
/// task.
async fn register(
    State(registrations): State<Registrations>,
    body: Result<Json<NewUser>, JsonRejection>,
) -> Response {
    let email = match body {
        Ok(Json(user)) => user.email,
        Err(rejection) => return refuse(rejection.status(), rejection.body_text()),
    };
    match registrations.register(&email).await {
        Ok(user) => (StatusCode::CREATED, Json::<User>(user)).into_response(),
        Err(error) => refuse(status(&error), format!("{:#}", anyhow::Error::new(error))),
    }
}

fn status(error: &RegisterError) -> StatusCode {
    match error {
        RegisterError::InvalidEmail(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RegisterError::Duplicate(_) => StatusCode::CONFLICT,
        RegisterError::Database(_) | RegisterError::Task(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}
