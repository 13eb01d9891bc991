//! What is done around every request: decode its path, name it, log it.

use std::sync::LazyLock;
use std::time::Instant;

use actix_router::Quoter;
use actix_web::Error;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use super::extract;

/// Names the request in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// Decodes every percent escape, slashes too: Zaqar decodes the path before it
/// looks for a route, so `a%2Fb` is two segments.
static DECODER: LazyLock<Quoter> = LazyLock::new(|| Quoter::new(b"", b""));

/// Passes `request` on to `next`; the answer carries a fresh request id, and
/// with `log` there is one log line about it.
pub fn around<S>(
    mut request: ServiceRequest,
    next: &S,
    log: bool,
) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    if request.uri().path().contains('%') {
        let uri = request.uri().clone();
        request.match_info_mut().get_mut().update_with_quoter(&uri, &DECODER);
    }
    let begun = log.then(Instant::now);
    let answer = next.call(request);
    async move {
        let mut answer = answer.await?;
        let id = request_id();
        if let Some(begun) = begun {
            log_line(&answer, &id, begun);
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert(REQUEST_ID, value);
        }
        Ok(answer)
    }
}

/// `req-` and a random UUID.
fn request_id() -> String {
    let mut id = String::with_capacity(40);
    id.push_str("req-");
    id.push_str(Uuid::new_v4().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    id
}

fn log_line(answer: &ServiceResponse, id: &str, begun: Instant) {
    let request = answer.request();
    tracing::info!(
        request.id = id,
        project.id = extract::project_header(request).unwrap_or_default(),
        http.method = %request.method(),
        http.route = request.match_pattern().unwrap_or_default(),
        http.status = answer.status().as_u16(),
        duration.us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}
