//! The edges of the HTTP front end: origins, encryption, size and patience.

mod cors;
mod limits;
mod tls;
