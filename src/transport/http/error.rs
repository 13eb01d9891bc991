//! The one table from what went wrong to what HTTP says about it.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use super::wire;
use crate::{service, storage};

/// Seconds after which a client may try again when the store cannot answer.
/// Zaqar sends no such header; clients that know it back off without guessing.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Title of a broken rule or limit of the API.
const INVALID_REQUEST: &str = "Invalid API request";
/// Title of a body that cannot be parsed or has a field of the wrong type.
const INVALID_BODY: &str = "Invalid request body";
/// Title of a missing queue, message, claim or subscription.
const NOT_FOUND: &str = "Not found";
/// Title of a refused deletion of a message.
const UNABLE_TO_DELETE: &str = "Unable to delete";

/// Title of what may work a little later.
const UNAVAILABLE: &str = "Service temporarily unavailable";

/// An answer that says what went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    title: &'static str,
    description: Option<Cow<'static, str>>,
    form: Form,
    /// The methods there are, if it was another.
    allow: Option<&'static str>,
    /// How to authenticate, if that is what was missing.
    challenge: Option<Box<str>>,
    /// Why the store could not answer: for the log, never for the client.
    reason: Option<Box<str>>,
}

/// In which form an error is told: JSON unless the client takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An `application/json` document.
    Json,
    /// An `application/xml` document.
    Xml,
    /// Nothing but the status.
    Empty,
    /// The document of Keystone's middleware.
    Keystone,
}

impl ApiError {
    fn new(
        status: StatusCode,
        title: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let description = Some(description.into());
        Self {
            status,
            title,
            description,
            form: Form::Json,
            allow: None,
            challenge: None,
            reason: None,
        }
    }

    /// A status with its own name as the title and nothing to add.
    pub fn bare(status: StatusCode) -> Self {
        let title = match status {
            StatusCode::NOT_FOUND => "404 Not Found",
            StatusCode::METHOD_NOT_ALLOWED => "405 Method Not Allowed",
            _ => status.canonical_reason().unwrap_or_default(),
        };
        Self {
            status,
            title,
            description: None,
            form: Form::Json,
            allow: None,
            challenge: None,
            reason: None,
        }
    }

    /// The resource has other methods: `allow`, and `OPTIONS` as every one.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::bare(StatusCode::METHOD_NOT_ALLOWED) }
    }

    /// The client takes no JSON; told in the `form` it takes, if any.
    pub fn not_acceptable(form: Form) -> Self {
        let description = "Endpoint only serves `application/json`; specify client-side media \
            type support with the \"Accept\" header.";
        Self { form, ..Self::new(StatusCode::NOT_ACCEPTABLE, "406 Not Acceptable", description) }
    }

    /// The body is not of the media type that the operation takes.
    pub fn unsupported_media_type(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "415 Unsupported Media Type", description)
    }

    /// The path and query are longer than is allowed.
    pub fn uri_too_long(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "414 URI Too Long", description)
    }

    /// The headers are larger, or more, than is allowed.
    pub fn headers_too_large(description: impl Into<Cow<'static, str>>) -> Self {
        const STATUS: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(STATUS, "431 Request Header Fields Too Large", description)
    }

    /// The body did not arrive in time.
    pub fn timed_out(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "408 Request Timeout", description)
    }

    /// A broken rule or limit.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, description)
    }

    /// A body that cannot be parsed, or a field of the wrong type.
    pub fn invalid_body(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, INVALID_BODY, description)
    }

    /// Any other mistake in the request.
    pub fn bad_request(title: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, title, description)
    }

    /// The policy does not allow it to the caller.
    fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Not authorized",
            "You are not authorized to complete this action.",
        )
    }

    /// Nobody knows who is calling; `challenge` tells how to change that. The
    /// words are those of Keystone's middleware, which answers in Zaqar's place.
    pub fn unauthorized(challenge: &str) -> Self {
        Self {
            form: Form::Keystone,
            challenge: Some(challenge.into()),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                "The request you have made requires authentication.",
            )
        }
    }

    /// The same with nothing but its status and headers.
    pub fn without_document(self) -> Self {
        Self { form: Form::Empty, ..self }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What went wrong, as a sentence, if there is anything to add to the status.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether the request breaks a rule or has not the form it should have.
    pub fn is_about_the_request(&self) -> bool {
        matches!(self.title, INVALID_REQUEST | INVALID_BODY)
    }

    /// What the log should say of it, if it is the server's fault.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What the service said, while it did what `failure` says was not done.
    pub fn from_service(error: service::Error, failure: &'static str) -> Self {
        use service::Error::{
            CapabilitiesDiffer, ClaimDoesNotExist, Conflict, FlavorDoesNotExist, FlavorNotChanged,
            FlavorNotMade, Forbidden, InvalidBody, InvalidRequest, MalformedClaimId,
            MessageDoesNotExist, MessageIsUnreadable, MessagesDoNotExist, NotConfirmed,
            NothingToUpdate, PoolIsNeeded, Storage, SubscriptionDoesNotExist, TooManyWaiters,
            Unavailable,
        };
        match error {
            MessageDoesNotExist { .. }
            | ClaimDoesNotExist { .. }
            | FlavorDoesNotExist(_)
            | SubscriptionDoesNotExist(_) => {
                Self::new(StatusCode::NOT_FOUND, NOT_FOUND, error.to_string())
            }
            Forbidden => Self::forbidden(),
            MalformedClaimId => Self::bad_request(UNABLE_TO_DELETE, error.to_string()),
            NothingToUpdate(_) => {
                Self::bad_request("Unable to update subscription", error.to_string())
            }
            NotConfirmed(_) => {
                Self::bad_request("Unable to confirm subscription", error.to_string())
            }
            InvalidRequest(text) => Self::invalid_request(text),
            InvalidBody(text) => Self::invalid_body(text),
            Conflict(text) => Self::new(StatusCode::CONFLICT, "Resource conflict", text),
            CapabilitiesDiffer => Self::bad_request("Unable to create pool", error.to_string()),
            PoolIsNeeded(text) => Self::new(StatusCode::FORBIDDEN, UNABLE_TO_DELETE, text),
            FlavorNotMade(text) => Self::bad_request("Unable to create", text),
            FlavorNotChanged(text) => Self::bad_request("updatefail", text),
            MessagesDoNotExist(text) => Self::new(StatusCode::NOT_FOUND, NOT_FOUND, text),
            TooManyWaiters(text) => Self::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, text),
            Unavailable(reason) => Self::unavailable(failure, &reason),
            MessageIsUnreadable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal server error",
                error.to_string(),
            ),
            Storage(error) => Self::from_storage(&error, failure),
        }
    }

    fn from_storage(error: &storage::Error, failure: &'static str) -> Self {
        use storage::Error::{
            ClaimDoesNotExist, MessageIsClaimed, MessageIsNotClaimed, MetadataChanged,
            PoolDoesNotExist, PoolIsInUse, PoolUriInUse, QueueDoesNotExist, SubscriberIsTaken,
            SubscriptionDoesNotExist, Unavailable,
        };
        match error {
            QueueDoesNotExist(..)
            | ClaimDoesNotExist(..)
            | PoolDoesNotExist(..)
            | SubscriptionDoesNotExist(_) => {
                Self::new(StatusCode::NOT_FOUND, NOT_FOUND, error.to_string())
            }
            MessageIsClaimed(_) => Self::new(
                StatusCode::FORBIDDEN,
                UNABLE_TO_DELETE,
                "This message is claimed; it cannot be deleted without a valid claim ID.",
            ),
            MessageIsNotClaimed(_) => Self::bad_request(
                UNABLE_TO_DELETE,
                "A claim was specified, but the message is not currently claimed.",
            ),
            PoolUriInUse(_) | SubscriberIsTaken => {
                Self::new(StatusCode::CONFLICT, "Resource conflict", error.to_string())
            }
            PoolIsInUse(_) => Self::new(StatusCode::FORBIDDEN, UNABLE_TO_DELETE, error.to_string()),
            // So many changes at once that none got through: worth another try.
            MetadataChanged(_) => Self::unavailable(failure, &error.to_string()),
            Unavailable(reason) => Self::unavailable(failure, reason),
        }
    }

    /// What has to answer does not: `failure` is what was not done because of it,
    /// `reason` is for the log.
    pub fn unavailable(failure: &'static str, reason: &str) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                UNAVAILABLE,
                format!("{failure} Please try again in a few seconds."),
            )
        }
    }
}

/// What failed on a queue or on a topic: the word for it, and the rest of the
/// sentence.
macro_rules! failure {
    ($kind:expr, $rest:literal) => {
        match $kind {
            crate::model::QueueKind::Queue => concat!("Queue", $rest),
            crate::model::QueueKind::Topic => concat!("Topic", $rest),
        }
    };
}
pub(super) use failure;

/// Names the operation that failed, for Zaqar's answer depends on it.
pub trait During<T> {
    /// `failure` is the sentence for when the store is to blame, as `Queue
    /// could not be created.`
    ///
    /// # Errors
    ///
    /// What the table makes of the service's error.
    fn during(self, failure: &'static str) -> Result<T, ApiError>;
}

impl<T> During<T> for service::Result<T> {
    fn during(self, failure: &'static str) -> Result<T, ApiError> {
        self.map_err(|error| ApiError::from_service(error, failure))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.title)?;
        self.description.iter().try_for_each(|text| write!(f, ": {text}"))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if self.form != Form::Keystone {
            answer.insert_header((header::VARY, HeaderValue::from_static("Accept")));
        }
        if let Some(allow) = self.allow {
            answer.insert_header((header::ALLOW, format!("{allow}, OPTIONS")));
        }
        if let Some(challenge) = self.challenge.as_deref() {
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        let description = self.description.as_deref();
        let help = self.status == StatusCode::NOT_ACCEPTABLE;
        match self.form {
            Form::Json => answer
                .insert_header((header::CONTENT_TYPE, wire::JSON))
                .body(wire::error(self.title, description, help)),
            Form::Xml => answer
                .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/xml")))
                .body(wire::error_xml(self.title, description.unwrap_or_default())),
            Form::Empty => answer.finish(),
            Form::Keystone => answer.insert_header((header::CONTENT_TYPE, wire::JSON)).body(
                wire::keystone_error(self.status, self.title, description.unwrap_or_default()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;

    use super::{During, StatusCode};
    use crate::service::Error;
    use crate::storage;

    #[test]
    fn the_reason_of_a_failure_stays_in_the_log() {
        let failed: Result<(), _> =
            Err(Error::Storage(storage::Error::Unavailable("disk /dev/sda1 is on fire".into())));
        let error = failed.during("Queue could not be created.").unwrap_err();
        assert_eq!(
            error.to_string(),
            "503 Service temporarily unavailable: Queue could not be created. Please try again in \
             a few seconds."
        );
        assert_eq!(error.reason(), Some("disk /dev/sda1 is on fire"));
        let answer = actix_web::ResponseError::error_response(&error);
        assert_eq!(answer.headers().get(header::RETRY_AFTER).unwrap(), "5");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
