//! Who is calling, and about which queue: the checks that come before every
//! handler, in the order that Zaqar makes them. The first to fail answers.
//!
//! A signed URL must hold; a form is refused; the client must take JSON; then
//! come `Client-ID`, the project and the name of the queue. That the route
//! exists was known before; whether it has the method is looked at after, and
//! last whether the policy allows it.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::error::{ApiError, During, Form};
use super::identity::{SIGNATURE, identity, project};
use crate::config::Limits;
use crate::model::{
    ClientId, Identity, MalformedClientId, Namespace, ProjectId, QueueKey, QueueKind, QueueName,
};
use crate::service::access::{Action, Permit, Scope};
use crate::service::{self, Service, SignedUrl};
use crate::transport::auth::signed_url;

const CLIENT_ID: HeaderName = HeaderName::from_static("client-id");

/// A caller that takes JSON: all that is asked for at `/`.
pub struct Reader;

/// A caller that said who it is, and what the route is about. Whether it may do
/// what it asks for was not looked at.
pub struct Known<S> {
    /// Who posts, and whose messages a listing leaves out.
    pub client: ClientId,
    /// What the route is about.
    pub scope: S,
}

/// A caller that may do `A`.
pub struct Granted<A: Action> {
    /// Who posts, and whose messages a listing leaves out.
    pub client: ClientId,
    /// The right to do it, and to what.
    pub permit: Permit<A>,
}

/// Marks a resource that answers `GET` with a stream of events too.
pub struct EventStream;

/// What a route can be about.
pub trait FromRoute: Scope + Sized {
    /// Reads it from the path, for a caller of that project.
    fn from_route(request: &HttpRequest, project: ProjectId) -> Result<Self, ApiError>;
}

impl FromRoute for () {
    fn from_route(_: &HttpRequest, _: ProjectId) -> Result<Self, ApiError> {
        Ok(())
    }
}

impl FromRoute for ProjectId {
    fn from_route(_: &HttpRequest, project: ProjectId) -> Result<Self, ApiError> {
        Ok(project)
    }
}

impl FromRoute for Namespace {
    fn from_route(request: &HttpRequest, project: ProjectId) -> Result<Self, ApiError> {
        Ok(Self { project, kind: kind(request)? })
    }
}

impl FromRoute for QueueKey {
    fn from_route(request: &HttpRequest, project: ProjectId) -> Result<Self, ApiError> {
        let kind = kind(request)?;
        let name = QueueName::parse_as(kind, segment(request, "queue"));
        match (name.filter(|_| !project.is_too_long()), kind) {
            (Some(name), _) => Ok(Self { project, name }),
            (None, QueueKind::Queue) => {
                Err(ApiError::bad_request("Invalid queue identification", service::MALFORMED_QUEUE))
            }
            (None, QueueKind::Topic) => Err(ApiError::bad_request(
                "Invalid topic identification",
                "The format of the submitted topic name or project id is not valid.",
            )),
        }
    }
}

/// What the route is about, as it was mounted. There is no default: what is about
/// neither has no queue.
fn kind(request: &HttpRequest) -> Result<QueueKind, ApiError> {
    let kind = request.app_data::<QueueKind>().copied();
    kind.ok_or_else(|| ApiError::bare(StatusCode::NOT_FOUND))
}

impl Reader {
    fn check(request: &HttpRequest) -> Result<Self, ApiError> {
        check_signature(request)?;
        refuse_form(request.headers())?;
        if !is_event_stream(request) {
            check_accept(request.headers())?;
        }
        Ok(Self)
    }
}

impl<S: FromRoute> Known<S> {
    fn check(request: &HttpRequest) -> Result<Self, ApiError> {
        Reader::check(request)?;
        let limits = request.app_data::<Data<Service>>().map(|service| service.limits());
        let client = client_id(request.headers(), limits)?;
        Ok(Self { client, scope: S::from_route(request, project(request)?)? })
    }
}

impl<A: Action<Scope: FromRoute>> Granted<A> {
    fn check(request: &HttpRequest) -> Result<Self, ApiError> {
        let Known { client, scope } = Known::check(request)?;
        let service = request.app_data::<Data<Service>>();
        let granted = service.map(|service| service.authorize(scope, || identity(request)));
        let permit = granted.unwrap_or(Err(service::Error::Forbidden));
        Ok(Self { client, permit: permit.during("The policy could not be asked.")? })
    }
}

impl FromRequest for Reader {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::check(request))
    }
}

impl<S: FromRoute> FromRequest for Known<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::check(request))
    }
}

impl<A: Action<Scope: FromRoute>> FromRequest for Granted<A> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::check(request))
    }
}

/// A part of the path, decoded; empty if the route has none of this name.
pub fn segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

/// A request that shows a signature is served within the permission, for the
/// project that gave it, or not at all. An empty signature is one that does not hold; Zaqar once took it for a
/// permission to do anything.
fn check_signature(request: &HttpRequest) -> Result<(), ApiError> {
    const NAMES: [&str; 4] = ["url-signature", "url-expires", "url-methods", "url-paths"];
    let headers = request.headers();
    if !headers.contains_key(SIGNATURE) {
        return Ok(());
    }
    let shown = || {
        let [signature, expires, methods, paths] =
            NAMES.map(|name| headers.get(name).and_then(|value| value.to_str().ok()));
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        let url = SignedUrl {
            paths: list(paths?),
            methods: list(methods?),
            expires: expires?.to_owned(),
            signature: signature?.to_owned(),
        };
        let service = request.app_data::<Data<Service>>()?;
        let (method, path) = (request.method().as_str(), request.match_info().as_str());
        let project = project(request).ok()?;
        let allowed = signed_url::allows(service, &project, &url, method, path);
        if allowed {
            let lender = Arc::new(Identity::of_project(project));
            request.extensions_mut().insert(lender);
        }
        Some(allowed)
    };
    if shown() == Some(true) { Ok(()) } else { Err(ApiError::bare(StatusCode::NOT_FOUND)) }
}

/// Curl's default, and surely not JSON. With parameters it slips through, as
/// in Zaqar.
fn refuse_form(headers: &HeaderMap) -> Result<(), ApiError> {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(FORM));
    if is_form && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(ApiError::bad_request(
            "Invalid Content-Type",
            "Endpoint does not accept `application/x-www-form-urlencoded` content; currently \
             supported media type is `application/json`; specify proper client-side media type \
             with the \"Content-Type\" header.",
        ));
    }
    Ok(())
}

fn check_accept(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(first) = headers.get(header::ACCEPT) else { return Ok(()) };
    if matches!(first.as_bytes(), b"*/*" | b"application/json") {
        return Ok(());
    }
    let accept: Vec<_> = headers
        .get_all(header::ACCEPT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    let accept = accept.join(",").to_ascii_lowercase();
    if accept.trim().is_empty() || accepts(&accept, "application", "json") {
        return Ok(());
    }
    // As Zaqar's framework chooses for an error when JSON itself is not taken.
    let form = if accepts(&accept, "text", "xml") || accepts(&accept, "application", "xml") {
        Form::Xml
    } else if accept.contains("+json") {
        Form::Json
    } else if accept.contains("+xml") {
        Form::Xml
    } else {
        Form::Empty
    };
    Err(ApiError::not_acceptable(form))
}

/// Whether a stream of events is asked for where there is one.
fn is_event_stream(request: &HttpRequest) -> bool {
    request.method() == Method::GET
        && request.app_data::<EventStream>().is_some()
        && wants_events(request.headers())
}

/// Whether `text/event-stream` is named, and not as something worse than JSON:
/// a client that takes anything gets JSON.
pub fn wants_events(headers: &HeaderMap) -> bool {
    let accept: Vec<_> = headers
        .get_all(header::ACCEPT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    let accept = accept.join(",").to_ascii_lowercase();
    let quality = |kind, subtype| best_range(&accept, kind, subtype).filter(|best| best.0 == NAMED);
    quality("text", "event-stream").is_some_and(|(_, events)| {
        events > 0.0 && quality("application", "json").is_none_or(|(_, json)| events >= json)
    })
}

/// Whether a list of media ranges allows `kind/subtype`: a quality of zero means
/// no. A list with a range that is none allows nothing.
fn accepts(accept: &str, kind: &str, subtype: &str) -> bool {
    best_range(accept, kind, subtype).is_some_and(|(_, quality)| quality > 0.0)
}

/// The precision of a range that names the very type.
const NAMED: u8 = 2;

/// The precision and the quality of the most precise range that covers
/// `kind/subtype`; `None` if there is none, or one of them is no range.
fn best_range(accept: &str, kind: &str, subtype: &str) -> Option<(u8, f32)> {
    let mut best: Option<(u8, f32)> = None;
    for range in accept.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let mut parts = range.split(';').map(str::trim);
        let (range_kind, range_subtype) = parts.next().and_then(|kind| kind.split_once('/'))?;
        let precision = match (range_kind, range_subtype) {
            ("*", "*") => 0,
            (k, "*") if k == kind => 1,
            (k, s) if k == kind && s == subtype => NAMED,
            _ => continue,
        };
        let quality = parts.find_map(|parameter| parameter.strip_prefix("q="));
        let quality = quality.map_or(Ok(1.0), |text| text.trim().parse::<f32>()).ok()?;
        if best.is_none_or(|(known, _)| known <= precision) {
            best = Some((precision, quality));
        }
    }
    best
}

fn client_id(headers: &HeaderMap, limits: Option<&Limits>) -> Result<ClientId, ApiError> {
    let Some(value) = headers.get(CLIENT_ID) else {
        return Err(ApiError::bad_request(
            "Missing header value",
            "The \"Client-Id\" header is required.",
        ));
    };
    let client = match (value.to_str(), limits) {
        (Ok(text), Some(limits)) => service::client_id(text, limits),
        (Ok(text), None) => ClientId::parse_uuid(text),
        (Err(_), _) => Err(MalformedClientId),
    };
    // One sentence for everything: Zaqar loses the one about the length.
    client.map_err(|error| ApiError::bad_request("Wrong UUID value", error.to_string()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::{HeaderMap, accepts, header, wants_events};

    fn json(accept: &str) -> bool {
        accepts(accept, "application", "json")
    }

    #[test]
    fn a_stream_is_for_who_names_it() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_events(&headers)
        };
        for yes in ["text/event-stream", "text/event-stream, */*;q=0.1", "TEXT/Event-Stream"] {
            assert!(wants(yes), "{yes}");
        }
        for no in [
            "*/*",
            "text/*",
            "text/event-stream;q=0",
            "application/json, text/event-stream;q=0.5",
            "garbage, text/event-stream",
        ] {
            assert!(!wants(no), "{no}");
        }
    }

    #[test]
    fn the_most_precise_range_decides() {
        for good in [
            "*/*",
            "application/*",
            "application/json; charset=utf-8",
            "text/html, application/json;q=0.1",
            "text/html,*/*;q=0.5",
            "*/*;q=0,application/json",
        ] {
            assert!(json(good), "{good}");
        }
        for bad in [
            "text/html",
            "text/*",
            "application/json-home",
            "application/vnd.openstack.messaging-v2+json",
            "application/json;q=0",
            "application/json;q=0,*/*",
            "application/json;q=much",
            "garbage",
            "garbage, */*",
        ] {
            assert!(!json(bad), "{bad}");
        }
    }
}
