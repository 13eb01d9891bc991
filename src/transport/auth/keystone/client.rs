//! Asks Keystone about a token.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::KeystoneSettings;
use crate::http_client::{ClientError, HttpClient};
use crate::keystone::token::Token;
use crate::keystone::{self, Session};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// The service user at Keystone.
#[derive(Debug)]
pub(super) struct KeystoneClient {
    http: HttpClient,
    tokens: String,
    session: Session,
    permits: Semaphore,
    timeout: Duration,
}

impl KeystoneClient {
    /// A client for the Keystone in `settings`; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// If the certificates in `cafile` cannot be read.
    pub(super) fn new(settings: &KeystoneSettings, clock: Clock) -> Result<Self, ClientError> {
        let http = keystone::client(settings)?;
        let base = keystone::base(settings.auth_url.as_deref().unwrap_or_default());
        let credentials = keystone::service_user(settings);
        Ok(Self {
            session: Session::new(http.clone(), &base, &credentials, clock),
            http,
            tokens: format!("{base}/auth/tokens?nocatalog"),
            permits: Semaphore::new(settings.max_requests),
            timeout: Duration::from_secs(settings.http_request_timeout.into()),
        })
    }

    /// What Keystone says about a token; `None` if it does not know it, or not
    /// any more. With `allow_expired`, one that ended lately is known.
    ///
    /// # Errors
    ///
    /// Why Keystone cannot say, for the log.
    pub(super) async fn validate(
        &self,
        token: &str,
        allow_expired: bool,
    ) -> Result<Option<Token>, String> {
        let validated = async {
            // Never closed, so this is never an error.
            let _permit = self.permits.acquire().await.map_err(|error| error.to_string())?;
            self.ask(token, allow_expired).await
        };
        let in_time = tokio::time::timeout(self.timeout, validated).await;
        in_time.unwrap_or_else(|_| Err(format!("no answer in {} s", self.timeout.as_secs())))
    }

    async fn ask(&self, token: &str, allow_expired: bool) -> Result<Option<Token>, String> {
        let mut subject = HeaderValue::from_str(token).map_err(|error| error.to_string())?;
        subject.set_sensitive(true);
        let uri = format!("{}{}", self.tokens, if allow_expired { "&allow_expired=1" } else { "" });
        let mut renewed = false;
        loop {
            let own = self.session.token().await?.value;
            let request = Request::builder()
                .uri(&uri)
                .header(AUTH_TOKEN, own.clone())
                .header(SUBJECT_TOKEN, subject.clone())
                .body(Full::<Bytes>::default())
                .map_err(|error| error.to_string())?;
            let answer = self.http.send(request).await.map_err(|error| error.to_string())?;
            return match answer.status() {
                StatusCode::OK => match Token::parse(answer.body()) {
                    Some(token) => Ok(Some(token)),
                    None => Err("the answer to a validation is not a token".to_owned()),
                },
                StatusCode::NOT_FOUND => Ok(None),
                // Ours was revoked, or Keystone has new keys.
                StatusCode::UNAUTHORIZED if !renewed => {
                    self.session.forget(&own).await;
                    renewed = true;
                    continue;
                }
                status => Err(format!("a validation was answered with {status}")),
            };
        }
    }
}
