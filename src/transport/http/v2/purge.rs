//! `/v2/queues/{queue}/purge`, and the same of topics: empty a queue without removing it.

use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use crate::model::{QueueKey, QueueKind};
use crate::service::access::actions::PurgeQueue;
use crate::service::{PurgeTargets, Service};
use crate::transport::http::error::{ApiError, During, failure};
use crate::transport::http::extract::{Granted, Known};
use crate::transport::http::{body, resource_of};

/// Mounts the purge of queues or topics.
pub fn routes(config: &mut ServiceConfig, kind: QueueKind) {
    let purge = resource_of::<Known<QueueKey>>(kind, "/{queue}/purge", "POST");
    config.service(purge.route(web::post().to(post)));
}

/// Empties a queue of what the body names; without one, of everything.
async fn post(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<PurgeQueue>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::read_small(&request, payload).await?.filter(|body| !body.is_empty());
    let everything = PurgeTargets { messages: true, subscriptions: true };
    let targets = body.as_ref().map_or(Ok(everything), targets)?;
    let purged = service.purge_queue(&queue, targets).await;
    purged.during(failure!(queue.name.kind(), " could not be purged."))?;
    Ok(HttpResponse::NoContent().finish())
}

/// The members of `resource_types`.
fn targets(body: &Bytes) -> Result<PurgeTargets, ApiError> {
    let document = body::document(body)?;
    let Some(types) = document.get("resource_types") else {
        return Err(ApiError::invalid_request("Post body must contain key \"resource_types\"."));
    };
    let mut targets = PurgeTargets { messages: false, subscriptions: false };
    let known = types.as_array().is_some_and(|types| {
        types.iter().all(|name| match name.as_str() {
            Some("messages") => {
                targets.messages = true;
                true
            }
            Some("subscriptions") => {
                targets.subscriptions = true;
                true
            }
            _ => false,
        })
    });
    if known {
        return Ok(targets);
    }
    // Zaqar fails with a 500 for anything but a list of texts.
    Err(ApiError::invalid_request(
        "Resource types must be a sub set of {'messages', 'subscriptions'}.",
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::targets;

    #[test]
    fn resource_types_are_a_list_of_two_words() {
        let read = |text: &'static str| targets(&Bytes::from_static(text.as_bytes()));
        let all = read(r#"{"resource_types": ["subscriptions", "messages"], "x": 1}"#).unwrap();
        assert!(all.messages && all.subscriptions);
        let none = read(r#"{"resource_types": []}"#).unwrap();
        assert!(!none.messages && !none.subscriptions);
        for missing in ["{}", "[]", r#"["resource_types"]"#] {
            assert_eq!(
                read(missing).unwrap_err().to_string(),
                "400 Invalid API request: Post body must contain key \"resource_types\".",
                "{missing}"
            );
        }
        for odd in [
            r#"{"resource_types": ["messages", "claims"]}"#,
            r#"{"resource_types": "messages"}"#,
            r#"{"resource_types": 5}"#,
            r#"{"resource_types": null}"#,
            r#"{"resource_types": {"messages": 1}}"#,
            r#"{"resource_types": [["messages"]]}"#,
        ] {
            assert_eq!(
                read(odd).unwrap_err().to_string(),
                "400 Invalid API request: Resource types must be a sub set of {'messages', \
                 'subscriptions'}.",
                "{odd}"
            );
        }
    }
}
