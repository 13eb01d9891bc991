//! WebSocket: Zaqar API v2 as messages on a connection, and messages of queues
//! pushed to it.
//!
//! A connection begins in `handshake`, on a port of its own (`server`) or on that of
//! REST. From then on a task (`connection`) reads requests one after the other
//! (`incoming`, `request`, `schema`), finds out who asks (`session`), has one of the
//! `actions` done, and puts the `reply` into the `outbox`, from which the connection
//! is written. What is pushed goes straight there (`channel`). `hub` knows all
//! connections. The service is the same as that of REST, and so are its rules and
//! sentences.

mod actions;
mod channel;
mod connection;
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod hub;
mod incoming;
mod msgpack;
mod outbox;
mod reply;
mod request;
mod schema;
mod server;
mod session;

pub use self::channel::ConnectionChannel;
pub use self::hub::{Hub, Parts};
pub use self::server::serve;

pub(super) use self::handshake::upgrade;
