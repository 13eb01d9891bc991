//! How a request to connect becomes a connection.

use std::sync::Arc;

use actix_http::ws::hash_key;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, ResponseError, rt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connection::Connection;
use super::hub::Hub;
use crate::transport::http::error::ApiError;
use crate::transport::http::stalled;

/// Both mean the same frames; the older one was used by drafts of the standard.
const VERSIONS: [&[u8]; 2] = [b"13", b"8"];

/// Whether the client wants a WebSocket.
pub(super) fn is_asked_for(request: &HttpRequest) -> bool {
    names(request.headers(), &header::UPGRADE, "websocket")
}

/// Answers a request to connect, and serves the connection from then on.
///
/// # Errors
///
/// If it is none, or there is no room.
pub fn upgrade(
    hub: &Arc<Hub>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let key = match check(request) {
        Ok(key) => key,
        Err(refusal) => return Ok(*refusal),
    };
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && !hub.settings.allows(origin.to_str().unwrap_or_default())
    {
        return Err(ApiError::bare(StatusCode::FORBIDDEN));
    }
    let place = hub.admit().ok_or_else(|| {
        let reason = "websocket.max_connections is reached, or the server stops";
        ApiError::unavailable("There is no room for another connection.", reason)
    })?;
    let answer = HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .insert_header((header::SEC_WEBSOCKET_ACCEPT, &hash_key(&key)[..]))
        .streaming(place.outbox.writer());
    let connection = Connection::new(place, payload, stalled::watched(request));
    rt::spawn(connection.serve());
    Ok(answer)
}

/// The key of a good request.
fn check(request: &HttpRequest) -> Result<Vec<u8>, Box<HttpResponse>> {
    let headers = request.headers();
    if request.method() != Method::GET || !is_asked_for(request) {
        let refusal =
            HttpResponse::UpgradeRequired().insert_header((header::UPGRADE, "websocket")).finish();
        return Err(refusal.into());
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(header::HeaderValue::as_bytes);
    if !version.is_some_and(|version| VERSIONS.contains(&version)) {
        let known = (header::SEC_WEBSOCKET_VERSION, "13,8");
        return Err(HttpResponse::BadRequest().insert_header(known).finish().into());
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(header::HeaderValue::as_bytes);
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    match key.filter(|_| names(headers, &header::CONNECTION, "upgrade")) {
        Some(key) => Ok(key.to_vec()),
        None => Err(ApiError::bare(StatusCode::BAD_REQUEST).error_response().into()),
    }
}

/// Whether a header has that word in its list.
fn names(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}
