//! Webhooks: a subscriber is told by an HTTP request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::Full;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use moka::sync::Cache;
use serde_json::Value;

use super::address::Address;
use super::{guard, headers, template};
use crate::config::WebhookSettings;
use crate::http_client::{ClientError, Failure, FailureKind, HttpClient, Trust};
use crate::model::Timestamp;
use crate::service::notification::channel::{Channel, Notification, Outcome};
use crate::service::notification::signature::SigningKey;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Addresses that are remembered: to read one costs more than the rest of a request.
const ADDRESSES_MAX: u64 = 4096;

/// What became of a request that could be made.
pub type Answered = Result<Response<()>, Failure>;

/// Calls webhooks.
#[derive(Clone, Debug)]
pub struct Webhook {
    http: HttpClient,
    timeout: Duration,
    /// By the URIs of subscribers.
    addresses: Cache<String, Arc<Address>>,
}

impl Webhook {
    /// A channel with these bounds; nobody is called yet.
    ///
    /// # Errors
    ///
    /// If the certificates in `ca_file` cannot be read.
    pub fn new(settings: &WebhookSettings) -> Result<Self, ClientError> {
        let ca_file = settings.ca_file.as_deref().map(Path::new);
        let trust = ca_file.map_or(Trust::WebRoots, Trust::WebRootsAnd);
        let connect_timeout = Duration::from_secs(settings.connect_timeout.into());
        let http = HttpClient::guarded(trust, connect_timeout, guard::guard(settings.allowed()))?;
        let timeout = Duration::from_secs(settings.timeout.into());
        Ok(Self { http, timeout, addresses: Cache::new(ADDRESSES_MAX) })
    }

    /// Calls the webhook at `subscriber`, with this token if there is one.
    ///
    /// # Errors
    ///
    /// Why it can never be called so.
    pub async fn call(
        &self,
        subscriber: &str,
        notification: &Notification,
        token: Option<HeaderValue>,
    ) -> Result<Answered, String> {
        let address = self.address(subscriber)?;
        let request = request(&address, notification, token)?;
        Ok(self.http.send_for_head(request, self.timeout).await)
    }

    fn address(&self, subscriber: &str) -> Result<Arc<Address>, &'static str> {
        if let Some(address) = self.addresses.get(subscriber) {
            return Ok(address);
        }
        let address = Arc::new(Address::parse(subscriber)?);
        self.addresses.insert(subscriber.to_owned(), Arc::clone(&address));
        Ok(address)
    }
}

#[async_trait]
impl Channel for Webhook {
    fn target(&self, subscriber: &str) -> String {
        let address = self.address(subscriber);
        address.map_or_else(|_| subscriber.to_owned(), |address| address.target.clone())
    }

    async fn deliver(&self, notification: &Notification) -> Outcome {
        match self.call(&notification.subscriber, notification, None).await {
            Ok(answered) => outcome(answered, notification.now),
            Err(reason) => Outcome::Refused { reason },
        }
    }
}

/// What an answer, or its want, means.
pub fn outcome(answered: Answered, now: Timestamp) -> Outcome {
    let answer = match answered {
        Ok(answer) => answer,
        Err(failure) => return of_failure(&failure),
    };
    let status = answer.status();
    let reason = format!("the subscriber answered with {status}");
    match status {
        _ if status.is_success() => Outcome::Delivered,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Outcome::TryAgain { reason, after: retry_after(answer.headers(), now) }
        }
        _ if status.is_server_error() => {
            Outcome::TryAgain { reason, after: retry_after(answer.headers(), now) }
        }
        _ if status.is_redirection() => {
            Outcome::Refused { reason: format!("{reason}, and redirects are not followed") }
        }
        _ => Outcome::Refused { reason },
    }
}

fn of_failure(failure: &Failure) -> Outcome {
    let reason = match failure.kind {
        FailureKind::Forbidden => {
            let reason = "the subscriber's address is not one that this server calls".to_owned();
            return Outcome::Refused { reason };
        }
        FailureKind::NoConnection => {
            format!("there is no connection to the subscriber: {}", failure.cause())
        }
        FailureKind::TimedOut | FailureKind::NoAnswer => {
            format!("the subscriber gave no answer: {}", failure.cause())
        }
    };
    Outcome::TryAgain { reason, after: None }
}

fn request(
    address: &Address,
    notification: &Notification,
    token: Option<HeaderValue>,
) -> Result<Request<Full<Bytes>>, String> {
    let body = template::body(&notification.options, &notification.document)?.into_owned();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
        .insert(USER_AGENT, HeaderValue::from_static(concat!("nusku/", env!("CARGO_PKG_VERSION"))));
    headers.extend(address.authorization.clone().map(|value| (AUTHORIZATION, value)));
    let given = notification.options.get("post_headers").unwrap_or(&Value::Null);
    headers::merge(&mut headers, given)?;
    let id = HeaderValue::try_from(&notification.id).map_err(|error| error.to_string())?;
    headers.insert(ID, id);
    headers.insert(TIMESTAMP, notification.now.seconds().into());
    headers.remove(SIGNATURE);
    if let Some(key) = SigningKey::of(&notification.options)? {
        let signature = key.sign(&notification.id, notification.now, body.as_bytes());
        let signature = HeaderValue::try_from(signature).map_err(|error| error.to_string())?;
        headers.insert(SIGNATURE, signature);
    }
    headers.extend(token.map(|token| (AUTH_TOKEN, token)));
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = address.uri.clone();
    *request.headers_mut() = headers;
    Ok(request)
}

/// How long the subscriber wants to be left alone: seconds, or a moment.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = DateTime::parse_from_rfc2822(text).ok()?;
    let seconds = Timestamp::from_seconds(moment.timestamp()).since(now);
    Some(Duration::from_secs(seconds.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_time_to_wait_is_seconds_or_a_moment() {
        let now = Timestamp::from_seconds(1_445_412_440);
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers, now).map(|it| it.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(40));
        assert_eq!(read("Wed, 21 Oct 2014 07:28:00 GMT"), None, "a Tuesday");
        assert_eq!(read("Tue, 21 Oct 2014 07:28:00 GMT"), Some(0), "it is over");
        for odd in ["", "-1", "1.5", "soon"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn webhooks_on_one_host_and_port_share_it() {
        let settings = Settings::defaults().unwrap().notification.webhook;
        let webhook = Webhook::new(&settings).unwrap();
        assert_eq!(webhook.target("http://A/x"), webhook.target("http://a:80/y"));
        assert_ne!(webhook.target("http://a/"), webhook.target("https://a/"));
        for _ in 0..2 {
            assert_eq!(webhook.target("http://A/x"), "a:80");
            assert_eq!(webhook.target("http://["), "http://[");
        }
    }
}
