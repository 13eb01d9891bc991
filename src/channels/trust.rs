//! Webhooks that are called with a token: whoever subscribes trusts us to act for it,
//! and Keystone keeps that trust.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use moka::sync::Cache;
use serde_json::{Map, Value, json};

use super::webhook::{self, Webhook};
use crate::clock::Clock;
use crate::config::{KeystoneSettings, NotificationSettings, TrusteeSettings};
use crate::http_client::{ClientError, HttpClient};
use crate::keystone::{self, OwnToken, Session};
use crate::service::notification::channel::{Applicant, Channel, Notification, Outcome};
use crate::service::{Error, Result};

/// The option of a subscription that names its trust.
const TRUST_ID: &str = "trust_id";
const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Most trusts whose tokens are remembered, and for how long after their last use.
const MOST_SESSIONS: u64 = 10_000;
const SESSION_IDLE: Duration = Duration::from_hours(1);

/// Calls webhooks in the name of whoever subscribed.
#[derive(Debug)]
pub struct Trusting {
    webhook: Webhook,
    /// Whom trusts are made out to; without one there are none.
    trustee: Option<Trustee>,
}

/// The user that trusts are made out to.
#[derive(Debug)]
struct Trustee {
    http: HttpClient,
    base: String,
    settings: TrusteeSettings,
    timeout: Duration,
    clock: Clock,
    own: Session,
    sessions: Cache<String, Arc<Session>>,
}

impl Trusting {
    /// A channel that calls by `webhook`; nobody is asked yet.
    ///
    /// # Errors
    ///
    /// If the certificates in Keystone's `cafile` cannot be read.
    pub fn new(
        webhook: Webhook,
        notification: &NotificationSettings,
        keystone: &KeystoneSettings,
        clock: Clock,
    ) -> std::result::Result<Self, ClientError> {
        let settings = &notification.trustee;
        let url = settings.auth_url.as_ref().or(keystone.auth_url.as_ref());
        let trustee = match url.filter(|_| settings.username.is_some()) {
            Some(url) => Some(Trustee::new(url, settings, keystone, clock)?),
            None => None,
        };
        Ok(Self { webhook, trustee })
    }
}

#[async_trait]
impl Channel for Trusting {
    fn target(&self, subscriber: &str) -> String {
        self.webhook.target(bare(subscriber))
    }

    fn registers(&self) -> bool {
        true
    }

    /// Makes a trust in the name of whoever subscribes, unless it brings one.
    async fn register(
        &self,
        applicant: &Applicant<'_>,
        mut options: Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        match options.get(TRUST_ID) {
            None | Some(Value::Null) => {}
            Some(Value::String(_)) => return Ok(options),
            Some(_) => return Err(Error::InvalidRequest("trust_id must be a string.".to_owned())),
        }
        let trustee = self.trustee.as_ref().ok_or_else(|| {
            Error::Unavailable("notification.trustee is not set: no trust can be made".to_owned())
        })?;
        let trust = trustee.in_time(trustee.trust(applicant)).await.map_err(Error::Unavailable)?;
        options.insert(TRUST_ID.to_owned(), trust.into());
        Ok(options)
    }

    async fn deliver(&self, notification: &Notification) -> Outcome {
        let refused = |reason: &str| Outcome::Refused { reason: reason.to_owned() };
        let Some(trustee) = &self.trustee else {
            return refused("this server is not set up for trusts");
        };
        let Some(trust) = notification.options.get(TRUST_ID).and_then(Value::as_str) else {
            return refused("the subscription has no option trust_id");
        };
        let session = trustee.session(trust);
        let mut renewed = false;
        loop {
            let token = match trustee.in_time(session.token()).await {
                Ok(token) => token,
                Err(error) => {
                    tracing::info!(%error, "there is no token for a trust");
                    let reason = "Keystone gave no token for the trust".to_owned();
                    return Outcome::TryAgain { reason, after: None };
                }
            };
            // Whoever knows the id of a trust could otherwise have it used for itself.
            if token.identity.project_id.as_ref() != Some(&notification.project) {
                return refused("the trust is not one for the project of the queue");
            }
            let answered = match self.call(notification, &token).await {
                Ok(answered) => answered,
                Err(reason) => return Outcome::Refused { reason },
            };
            let is_unauthorized =
                answered.as_ref().is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED);
            if renewed || !is_unauthorized {
                return webhook::outcome(answered, notification.now);
            }
            // Tokens are revoked, and Keystones get new keys.
            session.forget(&token.value).await;
            renewed = true;
        }
    }
}

impl Trusting {
    async fn call(
        &self,
        notification: &Notification,
        token: &OwnToken,
    ) -> std::result::Result<webhook::Answered, String> {
        let subscriber = bare(&notification.subscriber);
        self.webhook.call(subscriber, notification, Some(token.value.clone())).await
    }
}

impl Trustee {
    fn new(
        url: &str,
        settings: &TrusteeSettings,
        keystone: &KeystoneSettings,
        clock: Clock,
    ) -> std::result::Result<Self, ClientError> {
        let (http, base) = (keystone::client(keystone)?, keystone::base(url));
        let credentials = keystone::trustee(settings, None);
        Ok(Self {
            own: Session::new(http.clone(), &base, &credentials, clock.clone()),
            http,
            base,
            settings: settings.clone(),
            timeout: Duration::from_secs(keystone.http_request_timeout.into()),
            clock,
            sessions: Cache::builder()
                .max_capacity(MOST_SESSIONS)
                .time_to_idle(SESSION_IDLE)
                .build(),
        })
    }

    /// The session in which we act by this trust.
    fn session(&self, trust: &str) -> Arc<Session> {
        self.sessions.get_with(trust.to_owned(), || {
            let credentials = keystone::trustee(&self.settings, Some(trust));
            let clock = self.clock.clone();
            Arc::new(Session::new(self.http.clone(), &self.base, &credentials, clock))
        })
    }

    /// Has Keystone keep a trust of whoever subscribes in us, for as long as the
    /// subscription lives; returns its id.
    async fn trust(&self, applicant: &Applicant<'_>) -> std::result::Result<String, String> {
        let Some(token) = applicant.token else {
            return Err("who subscribes has no token of Keystone".to_owned());
        };
        let own = self.own.token().await?;
        let trustor = applicant.identity.user_id.as_deref().ok_or("a token without a user")?;
        let roles: Vec<_> =
            applicant.identity.roles.iter().map(|role| json!({ "name": role })).collect();
        let end = DateTime::from_timestamp(applicant.now.later(applicant.ttl).seconds(), 0);
        let document = json!({"trust": {
            "impersonation": true,
            "project_id": applicant.project.as_str(),
            "trustor_user_id": trustor,
            "trustee_user_id": own.identity.user_id,
            "roles": roles,
            "expires_at": end.map(|end| end.format("%Y-%m-%dT%H:%M:%S.000000Z").to_string()),
        }});
        let mut token = HeaderValue::from_str(token.reveal()).map_err(|error| error.to_string())?;
        token.set_sensitive(true);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/OS-TRUST/trusts", self.base))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(AUTH_TOKEN, token)
            .body(Full::new(Bytes::from(document.to_string())))
            .map_err(|error| error.to_string())?;
        let answer = self.http.send(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::CREATED {
            return Err(format!("the creation of a trust was answered with {}", answer.status()));
        }
        let made = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
        let id = made["trust"]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| "the creation of a trust was answered without one".to_owned())
    }

    /// Bounds what Keystone is waited for.
    async fn in_time<T>(
        &self,
        asked: impl Future<Output = std::result::Result<T, String>> + Send,
    ) -> std::result::Result<T, String> {
        let in_time = tokio::time::timeout(self.timeout, asked).await;
        in_time.unwrap_or_else(|_| {
            Err(format!("no answer of Keystone in {} s", self.timeout.as_secs()))
        })
    }
}

/// The URI of the webhook behind that of the subscriber.
fn bare(subscriber: &str) -> &str {
    const PREFIX: &str = "trust+";
    match subscriber.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => subscriber,
    }
}
