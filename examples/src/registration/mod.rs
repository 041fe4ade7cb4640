//! A user-registration service over HTTP, with a race and the lock that fixes it.
//!
//! `POST /user` creates an account for an email address, unless the address has one. A registration
//! first looks the address up, then inserts it, so two concurrent ones can both find it free.
//! [`Locking`] turns on a lock around both steps.

mod client;
mod email;
mod registrations;
mod server;
mod trial;
mod users;

pub use self::client::{Client, ClientError};
pub use self::email::{Email, InvalidEmail};
pub use self::registrations::{Activity, Locking, RegisterError, Registrations};
pub use self::server::Server;
pub use self::trial::{Trial, TrialError};
pub use self::users::{Fault, HeldWrites, User, Users};
