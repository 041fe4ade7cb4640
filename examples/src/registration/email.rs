//! The email address of a user.

use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use serde::Serialize;

/// Users of this domain may register any number of times.
const COMPANY_DOMAIN: &str = "@mycompany.com";

/// A valid email address in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Email(String);

/// Error for text that is not an email address.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an email address: {reason}")]
pub struct InvalidEmail {
    text: String,
    reason: email_address::Error,
}

impl Email {
    /// Returns whether the address skips the check for duplicates.
    #[must_use]
    pub fn is_of_company(&self) -> bool {
        self.0.ends_with(COMPANY_DOMAIN)
    }

    /// Returns the address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let options = Options::default().without_display_text();
        match EmailAddress::parse_with_options(text, options) {
            Ok(address) => Ok(Self(address.as_str().to_lowercase())),
            Err(reason) => Err(InvalidEmail {
                text: text.to_owned(),
                reason,
            }),
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
