//! A user-registration service over HTTP, with a race in it and the cure beside it.
//!
//! `POST /user` with an email address makes an account, unless the address has one. Each
//! registration looks the address up and then inserts it: two at once can both find it free.
//! [`Locking`] switches the lock that keeps a second registration out in between.

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
