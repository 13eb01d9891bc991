//! Our own token: with it Keystone lets us ask about others.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::token::Token;
use crate::clock::Clock;
use crate::config::KeystoneSettings;
use crate::http_client::HttpClient;
use crate::model::Timestamp;

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// How long before its end a token is renewed, in seconds; a tenth of its life
/// if that is less.
const MARGIN: i64 = 60;

/// How long Keystone is left alone when it has refused our credentials, in
/// seconds: it may lock a user out who is refused too often.
const PAUSE: u32 = 10;

/// Gets our token and keeps it while it is good.
#[derive(Debug)]
pub(super) struct Session {
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

#[derive(Clone, Debug)]
struct OwnToken {
    value: HeaderValue,
    renewal: Timestamp,
    expires: Timestamp,
}

impl Session {
    /// A session of the service user in `settings`, at the tokens of `base`.
    pub(super) fn new(
        http: HttpClient,
        base: &str,
        settings: &KeystoneSettings,
        clock: Clock,
    ) -> Self {
        let credentials = Bytes::from(credentials(settings).to_string());
        let uri = format!("{base}/auth/tokens?nocatalog");
        Self { http, uri, credentials, clock, state: Mutex::default() }
    }

    /// Our token; fetched if there is none, and in time before it ends.
    ///
    /// # Errors
    ///
    /// Why there is none, for the log.
    pub(super) async fn token(&self) -> Result<HeaderValue, String> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.renewal) {
            return Ok(token.value.clone());
        }
        if let Some((until, reason)) = &state.refused
            && now < *until
        {
            return Err(reason.clone());
        }
        match self.fetch(&mut state, now).await {
            Ok(token) => {
                let value = token.value.clone();
                *state = State { token: Some(token), refused: None };
                Ok(value)
            }
            // It was too early to worry.
            Err(reason) => match &state.token {
                Some(token) if now < token.expires => Ok(token.value.clone()),
                _ => Err(reason),
            },
        }
    }

    /// Keystone takes this token no longer.
    pub(super) async fn forget(&self, value: &HeaderValue) {
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
        Ok(OwnToken { value, renewal: Timestamp::from_seconds(renewal), expires: token.expires })
    }
}

/// What proves to Keystone who we are.
fn credentials(settings: &KeystoneSettings) -> Value {
    if let Some(id) = &settings.application_credential_id {
        let secret = &settings.application_credential_secret;
        return json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret},
        }}});
    }
    let domain = |id: &Option<String>, name: &Option<String>| match (id, name) {
        (Some(id), _) => json!({"id": id}),
        (None, name) => json!({"name": name}),
    };
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": settings.username,
            "domain": domain(&settings.user_domain_id, &settings.user_domain_name),
            "password": settings.password,
        }}},
        "scope": {"project": {
            "name": settings.project_name,
            "domain": domain(&settings.project_domain_id, &settings.project_domain_name),
        }},
    }})
}
