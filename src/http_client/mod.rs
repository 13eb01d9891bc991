//! HTTP requests that the server itself makes.
//!
//! No redirect is ever followed: what a request carries, a password or a token,
//! goes to the one address that was configured. Answers are bounded in size and
//! time.

mod guarded;
mod tls;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::guarded::{Forbidden, GuardedConnector, Resolver};

pub use self::guarded::Guard;
pub use self::tls::tls;

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// How much of an answer that nobody wants is read, in bytes, and for how long: a
/// connection whose answer was read can serve again.
const LARGEST_REST: usize = 64 << 10;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);

/// Most idle connections that are kept to one host.
const MOST_IDLE: usize = 16;

/// Whose certificates are taken.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Those that browsers take.
    WebRoots,
    /// Those signed by somebody in this PEM file.
    File(&'a Path),
    /// Either.
    WebRootsAnd(&'a Path),
    /// The first one in this PEM file, whatever name it is for.
    Certificate(&'a Path),
    /// Everybody's: encrypted, but to nobody knows whom.
    Anybody,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The certificates cannot be read.
    #[error("cannot read the certificates in {}: {reason}", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS does not work at all.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why there is no answer, for the log; never with what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// How far the request came.
    pub kind: FailureKind,
    text: String,
    cause: String,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nobody was asked: the guard allows no address that the host has.
    Forbidden,
    /// Nobody was reached.
    NoConnection,
    /// Somebody was, and did not answer in time.
    TimedOut,
    /// Somebody was, and gave no answer that can be read.
    NoAnswer,
}

/// A client that keeps its connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Client<HttpsConnector<GuardedConnector>, Full<Bytes>>);

impl HttpClient {
    /// A client that waits `connect_timeout` for each address of a host.
    ///
    /// # Errors
    ///
    /// [`ClientError`], most likely about the file of certificates.
    pub fn new(trust: Trust<'_>, connect_timeout: Duration) -> Result<Self, ClientError> {
        Self::build(trust, connect_timeout, None)
    }

    /// One that connects to the addresses only that `guard` allows, whatever
    /// stands for them: for requests to where somebody else says.
    ///
    /// # Errors
    ///
    /// As [`HttpClient::new`].
    pub fn guarded(
        trust: Trust<'_>,
        connect_timeout: Duration,
        guard: Guard,
    ) -> Result<Self, ClientError> {
        Self::build(trust, connect_timeout, Some(guard))
    }

    fn build(
        trust: Trust<'_>,
        connect_timeout: Duration,
        guard: Option<Guard>,
    ) -> Result<Self, ClientError> {
        let mut connector = HttpConnector::new_with_resolver(Resolver::new(guard.clone()));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(trust)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(GuardedConnector::new(connector, guard));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self(client))
    }

    /// Sends a request and reads the whole answer. Whoever has no time without
    /// end puts a timeout around it.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the request may have been served all the same.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
        let answer = self.0.request(request).await.map_err(|error| Failure::of(&error))?;
        let (head, body) = answer.into_parts();
        match Limited::new(body, LARGEST_ANSWER).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
            Err(error) => Err(Failure::because(FailureKind::NoAnswer, error.as_ref())),
        }
    }

    /// Sends a request and waits `timeout` for the head of the answer. Of its body
    /// a little is read, and nothing kept.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the request may have been served all the same.
    pub async fn send_for_head(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<()>, Failure> {
        let answered = tokio::time::timeout(timeout, self.0.request(request)).await;
        let answer = answered
            .map_err(|_| Failure {
                kind: FailureKind::TimedOut,
                text: format!("no answer in {} s", timeout.as_secs()),
                cause: format!("{} s have passed", timeout.as_secs()),
            })?
            .map_err(|error| Failure::of(&error))?;
        let (head, body) = answer.into_parts();
        let rest = Limited::new(body, LARGEST_REST).collect();
        // Whatever comes of it, the head is what was waited for.
        let _ = tokio::time::timeout(LONGEST_REST, rest).await;
        Ok(Response::from_parts(head, ()))
    }
}

impl Failure {
    fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let kind = match error {
            _ if is_forbidden(error) => FailureKind::Forbidden,
            _ if error.is_connect() => FailureKind::NoConnection,
            _ => FailureKind::NoAnswer,
        };
        Self::because(kind, error)
    }

    /// The whole chain of causes: the first says little more than "error".
    fn because(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut last = error;
        for cause in causes(error).skip(1) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause}");
            last = cause;
        }
        Self { kind, text, cause: last.to_string() }
    }

    /// What began it, without the parts of the client that it came through: for
    /// somebody who knows nothing of them.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(<dyn std::error::Error>::is::<Forbidden>)
}

/// An error and what caused it, the last cause last.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
