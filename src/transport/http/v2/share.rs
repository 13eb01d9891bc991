//! `/v2/queues/{queue}/share`: a pre-signed URL.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde_json::Value;

use crate::model::{QueueKey, QueueKind};
use crate::service::access::actions::ShareQueue;
use crate::service::python::{self, is_falsy};
use crate::service::{Service, ShareRequest};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known};
use crate::transport::http::{body, resource_of, wire};

/// Mounts the sharing of a queue.
pub fn routes(config: &mut ServiceConfig) {
    let share = resource_of::<Known<QueueKey>>(QueueKind::Queue, "/{queue}/share", "POST");
    config.service(share.route(web::post().to(post)));
}

/// Signs a permission; the queue need not exist.
async fn post(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<ShareQueue>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::required(body::read_small(&request, payload).await?)?;
    let url = service.share_queue(&queue, permission(&body)?);
    let url = url.during("Queue could not be shared.")?;
    Ok(wire::json(StatusCode::OK, wire::signed_url(queue.project.as_str(), &url)))
}

/// The permission asked for. Zaqar fails with a 500 for most values of an odd
/// type; each has its sentence here.
pub fn permission(body: &Bytes) -> Result<ShareRequest, ApiError> {
    let fields = body::object(body)?;
    let mut asked = ShareRequest::default();
    let mut unknown = Vec::new();
    for (key, value) in &fields {
        match (&**key, value) {
            ("paths" | "methods", value) if is_falsy(value) => {}
            ("paths", value) => asked.paths = paths(value)?,
            ("methods", value) => {
                asked.methods = texts(value)
                    .ok_or_else(|| ApiError::invalid_request("`methods` should be a list"))?;
            }
            ("expires", Value::Null) => {}
            ("expires", Value::String(text)) => asked.expires = Some(text.clone()),
            // The service has a sentence for numbers, given as text or not.
            ("expires", Value::Number(number)) if !number.is_f64() => {
                asked.expires = Some(number.to_string());
            }
            ("expires", _) => {
                return Err(ApiError::invalid_request(format!(
                    "Unable to parse date string '{value}'"
                )));
            }
            _ => unknown.push(&**key),
        }
    }
    if unknown.is_empty() {
        return Ok(asked);
    }
    Err(ApiError::invalid_request(format!("Unknown keys: {}", python::set(unknown))))
}

/// Sub-resources; a single text is the list of its characters, as in Python.
fn paths(value: &Value) -> Result<Vec<String>, ApiError> {
    match value {
        Value::String(text) => {
            let mut seen = Vec::new();
            for letter in text.chars().map(String::from) {
                if !seen.contains(&letter) {
                    seen.push(letter);
                }
            }
            Ok(seen)
        }
        _ => texts(value)
            .ok_or_else(|| ApiError::invalid_request(format!("Invalid paths: {{{value}}}"))),
    }
}

/// The members of a list of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::permission;
    use crate::service::ShareRequest;

    fn read(text: &str) -> Result<ShareRequest, String> {
        permission(&Bytes::copy_from_slice(text.as_bytes())).map_err(|error| error.to_string())
    }

    #[test]
    fn what_counts_as_nothing_is_left_to_the_defaults() {
        let text = r#"{"paths": [], "methods": null, "expires": null}"#;
        assert_eq!(read(text), Ok(ShareRequest::default()));
        assert_eq!(read(r#"{"paths": false, "methods": ""}"#), Ok(ShareRequest::default()));
        assert_eq!(read(r#"{"expires": 17}"#).unwrap().expires.unwrap(), "17");
        assert_eq!(read(r#"{"paths": "aab"}"#).unwrap().paths, ["a", "b"]);
    }

    #[test]
    fn odd_types_have_sentences() {
        for (text, sentence) in [
            (r"[]", "Invalid request body: Document type not supported."),
            (r#"{"foo": 1, "paths": []}"#, "Invalid API request: Unknown keys: {'foo'}"),
            (r#"{"methods": "GET"}"#, "Invalid API request: `methods` should be a list"),
            (r#"{"methods": ["GET", 1]}"#, "Invalid API request: `methods` should be a list"),
            (r#"{"paths": [1]}"#, "Invalid API request: Invalid paths: {[1]}"),
            (r#"{"expires": [1]}"#, "Invalid API request: Unable to parse date string '[1]'"),
        ] {
            assert_eq!(read(text), Err(format!("400 {sentence}")), "{text}");
        }
    }
}
