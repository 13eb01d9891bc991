//! Who is calling, and what a caller may do; shared by the front ends.

mod keystone;
pub mod signed_url;
mod tokens;

use std::sync::Arc;

pub use keystone::Keystone;
pub use tokens::Tokens;

/// What a caller shows to prove who it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// Its token.
    pub token: Option<&'a str>,
    /// A token in the manner of OAuth.
    pub bearer: Option<&'a str>,
    /// The token of a service that speaks for it.
    pub service_token: Option<&'a str>,
}

/// Why nobody knows who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// What was shown proves nothing.
    Unauthorized,
    /// Whoever could tell does not answer; why is for the log.
    Unavailable(Arc<str>),
}
