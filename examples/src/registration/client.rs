//! A client of the service.

use reqwest::StatusCode;
use serde::Serialize;

use super::User;
use super::server::Refusal;

/// Calls a server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused, and said why.
    #[error("{}: {message}", status.as_u16())]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// What the server said.
        message: String,
    },
    /// No answer, or none that makes sense.
    #[error("the call failed")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// Makes a client of the server at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: format!("{url}/user"),
        }
    }

    /// Registers a user.
    ///
    /// # Errors
    ///
    /// If the server refuses or cannot be reached.
    pub async fn register(&self, email: &str) -> Result<User, ClientError> {
        self.post(&NewUser { email }).await
    }

    /// Posts any body to `/user`.
    ///
    /// # Errors
    ///
    /// If the server refuses or cannot be reached.
    pub async fn post(&self, body: &impl Serialize) -> Result<User, ClientError> {
        let answer = self.http.post(&self.url).json(body).send().await?;
        match answer.status() {
            StatusCode::CREATED => Ok(answer.json().await?),
            status => Err(ClientError::Refused {
                status,
                message: answer.json::<Refusal>().await?.error,
            }),
        }
    }
}

#[derive(Serialize)]
struct NewUser<'a> {
    email: &'a str,
}
