//! What a request is answered with: a body, a status, and the request again.

use serde_json::{Value, json};

use super::request::{Echo, Unread};
use crate::service;
use crate::transport::http::error::ApiError;

/// Seconds after which a client may try again what could not be done now.
const RETRY_AFTER: u32 = 5;

/// An answer, without its request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// JSON.
    pub(super) body: Vec<u8>,
    /// Why it could not be done: for the log alone.
    pub(super) reason: Option<String>,
}

impl Reply {
    /// An answer with that JSON text.
    pub(super) fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, body, reason: None }
    }

    /// An answer with that value.
    #[allow(clippy::needless_pass_by_value, reason = "a body is written where it is used")]
    pub(super) fn of(status: u16, body: Value) -> Self {
        Self::new(status, body.to_string().into_bytes())
    }

    /// The refusal of a request as such.
    pub(super) fn error(status: u16, error: &str) -> Self {
        Self::of(status, json!({"error": error}))
    }

    /// The whole message: the request, the body and the status, as Zaqar has them.
    pub(super) fn envelope(&self, echo: &Echo) -> Vec<u8> {
        let mut out = Vec::with_capacity(echo.body.len() + self.body.len() + 256);
        let status = self.status;
        for part in [
            &b"{\"request\":{\"action\":"[..],
            &echo.action,
            b",\"body\":",
            &echo.body,
            b",\"headers\":",
            &echo.headers,
            b",\"api\":\"v2\"},\"body\":",
            &self.body,
            format!(",\"headers\":{{\"status\":{status}").as_bytes(),
        ] {
            out.extend_from_slice(part);
        }
        if status == 503 {
            out.extend_from_slice(format!(",\"Retry-After\":{RETRY_AFTER}").as_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }
}

impl From<&Unread> for Reply {
    fn from(unread: &Unread) -> Self {
        Self::error(400, &unread.error)
    }
}

/// The statuses mirror those of REST, and so do the sentences. A broken rule is
/// told as the exception alone, anything else as the error too.
impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let status = error.status().as_u16();
        let sentence = error.description().unwrap_or_default();
        let is_rule = error.is_about_the_request();
        let body = json!({"exception": sentence, "error": (!is_rule).then_some(sentence)});
        Self { reason: error.reason().map(str::to_owned), ..Self::of(status, body) }
    }
}

/// A mistake that no status of REST is about.
pub(super) fn invalid(sentence: impl Into<String>) -> Reply {
    let error = service::Error::InvalidRequest(sentence.into());
    ApiError::from_service(error, "").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage;

    #[test]
    fn an_envelope_has_its_members_in_zaqars_order() {
        let echo = Echo { action: r#""queue_get""#.into(), ..Echo::default() };
        let reply = Reply::new(200, b"{\"a\":1}".to_vec());
        assert_eq!(
            String::from_utf8(reply.envelope(&echo)).unwrap(),
            r#"{"request":{"action":"queue_get","body":{},"headers":{},"api":"v2"},"body":{"a":1},"headers":{"status":200}}"#
        );
    }

    #[test]
    fn rules_are_exceptions_and_failures_errors_too() {
        let text = |reply: Reply| String::from_utf8(reply.body).unwrap();
        assert_eq!(text(invalid("No.")), r#"{"exception":"No.","error":null}"#);
        let failure = service::Error::Storage(storage::Error::Unavailable("disk full".into()));
        let reply = Reply::from(ApiError::from_service(failure, "Queues could not be listed."));
        assert_eq!((reply.status, reply.reason.as_deref()), (503, Some("disk full")));
        let envelope = String::from_utf8(reply.envelope(&Echo::default())).unwrap();
        assert!(envelope.ends_with(r#""headers":{"status":503,"Retry-After":5}}"#), "{envelope}");
        let sentence = "Queues could not be listed. Please try again in a few seconds.";
        assert_eq!(text(reply), json!({"exception": sentence, "error": sentence}).to_string());
    }
}
