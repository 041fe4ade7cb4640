//! The client of the service.

use reqwest::StatusCode;
use serde::Serialize;

use super::User;
use super::server::Refusal;

/// An HTTP client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused the request.
    #[error("{}: {message}", status.as_u16())]
    Refused {
        /// The HTTP status of the response.
        status: StatusCode,
        /// The server's reason.
        message: String,
    },
    /// The server sent no response, or an invalid one.
    #[error("the HTTP request failed")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// Makes a client for the server at `url`.
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
    /// Returns an error if the server refuses the request or cannot be reached.
    pub async fn register(&self, email: &str) -> Result<User, ClientError> {
        self.post(&NewUser { email }).await
    }

    /// Posts any body to `/user`.
    ///
    /// # Errors
    ///
    /// Returns an error if the server refuses the request or cannot be reached.
    pub async fn post(&self, body: &impl Serialize) -> Result<User, ClientError> {
        let response = self.http.post(&self.url).json(body).send().await?;
        match response.status() {
            StatusCode::CREATED => Ok(response.json().await?),
            status => Err(ClientError::Refused {
                status,
                message: response.json::<Refusal>().await?.error,
            }),
        }
    }
}

#[derive(Serialize)]
struct NewUser<'a> {
    email: &'a str,
}
