//! Who is calling, and what a caller may do; shared by the front ends.

mod keystone;
pub mod signed_url;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use self::keystone::Keystone;
use self::tokens::Tokens;
use crate::clock::Clock;
use crate::config::{AuthSettings, AuthStrategy};
use crate::http_client::ClientError;
use crate::model::{Identity, Timestamp};
use crate::token_file::TokenFileError;

/// Who tells from what a caller shows who it is.
#[derive(Debug)]
pub struct Authenticator {
    strategy: Strategy,
    challenge: String,
}

#[derive(Debug)]
enum Strategy {
    Keystone(Keystone),
    Tokens(Tokens),
}

/// What a caller shows to prove who it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// Its token.
    pub token: Option<&'a str>,
    /// The same in the manner of OAuth, which Keystone's callers do not use.
    pub bearer: Option<&'a str>,
    /// The token of a service that hands on its request.
    pub service_token: Option<&'a str>,
}

/// Who somebody is, and for how long that holds.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// When the token ends, if it does.
    pub expires: Option<Timestamp>,
}

/// Why nobody knows who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// What was shown proves nothing.
    Unauthorized,
    /// Whoever could tell does not answer; why is for the log.
    Unavailable(Arc<str>),
}

/// Why callers cannot be authenticated; one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// About the connection to Keystone.
    #[error("cannot ask Keystone: {0}")]
    Keystone(#[from] ClientError),
    /// About the file of tokens.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
}

impl Authenticator {
    /// What `settings` ask for; `None` if headers are believed. What runs aside
    /// from requests runs on `runtime`.
    ///
    /// # Errors
    ///
    /// [`SetupError`]. A Keystone that is away is none.
    pub fn new(
        settings: &AuthSettings,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Option<Self>, SetupError> {
        let (strategy, challenge) = match settings.strategy {
            AuthStrategy::Noauth => return Ok(None),
            AuthStrategy::Keystone => {
                let keystone = &settings.keystone;
                let uri = keystone.www_authenticate_uri.as_ref().or(keystone.auth_url.as_ref());
                let challenge = format!("Keystone uri=\"{}\"", uri.map_or("", String::as_str));
                (Strategy::Keystone(Keystone::new(keystone, clock, runtime)?), challenge)
            }
            AuthStrategy::Tokens => {
                let path = settings.tokens.file.as_deref().unwrap_or_default();
                let tokens = Tokens::open(Path::new(path), clock)?;
                (Strategy::Tokens(tokens), "Bearer realm=\"nusku\"".to_owned())
            }
        };
        Ok(Some(Self { strategy, challenge }))
    }

    /// Who shows this.
    ///
    /// # Errors
    ///
    /// [`AuthError`].
    pub async fn authenticate(&self, shown: &Presented<'_>) -> Result<Arc<Identity>, AuthError> {
        Ok(self.vouch(shown).await?.identity)
    }

    /// Who shows this, and until when.
    ///
    /// # Errors
    ///
    /// [`AuthError`].
    pub async fn vouch(&self, shown: &Presented<'_>) -> Result<Vouched, AuthError> {
        match &self.strategy {
            Strategy::Keystone(keystone) => keystone.vouch(shown).await,
            Strategy::Tokens(tokens) => tokens.vouch(shown),
        }
    }

    /// Whether others take the callers' tokens too: with one of them, the server can
    /// ask them for something in the caller's name.
    pub fn vouches_elsewhere(&self) -> bool {
        matches!(self.strategy, Strategy::Keystone(_))
    }

    /// What tells a caller how to authenticate: a `WWW-Authenticate` of HTTP.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Takes notice of changed files.
    pub fn reload(&self) {
        match &self.strategy {
            Strategy::Keystone(_) => {}
            Strategy::Tokens(tokens) => tokens.reload(),
        }
    }
}
