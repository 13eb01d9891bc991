//! A token of our own, got with a password and kept while it is good.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use super::token::Token;
use crate::clock::Clock;
use crate::http_client::HttpClient;
use crate::model::{Identity, Timestamp};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// How long before its end a token is renewed, in seconds; a tenth of its life
/// if that is less.
const MARGIN: i64 = 60;

/// How long Keystone is left alone when it has refused our credentials, in
/// seconds: it may lock a user out who is refused too often.
const PAUSE: u32 = 10;

/// Gets our token and keeps it while it is good.
pub struct Session {
    http: HttpClient,
    uri: String,
    credentials: Bytes,
    clock: Clock,
    // Held while a token is fetched, so that it is fetched once.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<OwnToken>,
    refused: Option<(Timestamp, String)>,
}

/// Our token.
#[derive(Clone, Debug)]
pub struct OwnToken {
    /// What is shown to others.
    pub value: HeaderValue,
    /// Who we are with it.
    pub identity: Arc<Identity>,
    renewal: Timestamp,
    expires: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Session {
    /// A session of whoever has these credentials, at the Keystone of `base`.
    #[must_use]
    pub fn new(http: HttpClient, base: &str, credentials: &Value, clock: Clock) -> Self {
        let credentials = Bytes::from(credentials.to_string());
        let uri = format!("{base}/auth/tokens?nocatalog");
        Self { http, uri, credentials, clock, state: Mutex::default() }
    }

    /// Our token; fetched if there is none, and in time before it ends.
    ///
    /// # Errors
    ///
    /// Why there is none, for the log.
    pub async fn token(&self) -> Result<OwnToken, String> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.renewal) {
            return Ok(token.clone());
        }
        if let Some((until, reason)) = &state.refused
            && now < *until
        {
            return Err(reason.clone());
        }
        match self.fetch(&mut state, now).await {
            Ok(token) => {
                *state = State { token: Some(token.clone()), refused: None };
                Ok(token)
            }
            // It was too early to worry.
            Err(reason) => match &state.token {
                Some(token) if now < token.expires => Ok(token.clone()),
                _ => Err(reason),
            },
        }
    }

    /// Keystone takes this token no longer.
    pub async fn forget(&self, value: &HeaderValue) {
        let mut state = self.state.lock().await;
        // Somebody else may have renewed it already.
        if state.token.as_ref().is_some_and(|token| token.value == *value) {
            state.token = None;
        }
    }

    async fn fetch(&self, state: &mut State, now: Timestamp) -> Result<OwnToken, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(self.credentials.clone()))
            .map_err(|error| error.to_string())?;
        let answer = self.http.send(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::CREATED {
            let reason = format!("our credentials were answered with {}", answer.status());
            if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                state.refused = Some((now.plus(PAUSE), reason.clone()));
            }
            return Err(reason);
        }
        let value = answer.headers().get(SUBJECT_TOKEN).cloned();
        let (Some(mut value), Some(token)) = (value, Token::parse(answer.body())) else {
            return Err("our credentials were answered without a token".to_owned());
        };
        value.set_sensitive(true);
        let life = token.expires.seconds() - now.seconds();
        let renewal = token.expires.seconds() - MARGIN.min(life / 10);
        let identity = Arc::new(token.identity);
        let renewal = Timestamp::from_seconds(renewal);
        Ok(OwnToken { value, identity, renewal, expires: token.expires })
    }
}
