//! The messages of a queue as a stream of server-sent events.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream::{self, Stream};

use crate::model::{ClientId, Message, QueueName, Timestamp};
use crate::service::access::Permit;
use crate::service::access::actions::ListMessages;
use crate::service::{Followed, Follower, MessageListing, Service};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::query::Query;
use crate::transport::http::stalled::{self, Watched};
use crate::transport::http::{extract, wire};

/// What a client saw last before its connection broke.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A comment: whoever reads it does nothing.
const HEARTBEAT: &[u8] = b":\n\n";

/// Whether the client wants a stream rather than a page.
pub fn are_asked_for(request: &HttpRequest) -> bool {
    extract::wants_events(request.headers())
}

/// Answers with messages as they come, until the client or the server leaves.
pub async fn stream(
    service: &Data<Service>,
    queue: Permit<ListMessages>,
    client: ClientId,
    request: &HttpRequest,
    query: &Query<'_>,
) -> Result<HttpResponse, ApiError> {
    for name in ["ids", "wait"] {
        if query.list(name).is_some() {
            return Err(ApiError::invalid_request(format!(
                "The {name} parameter cannot be used with a stream of events."
            )));
        }
    }
    let seen = match request.headers().get(LAST_EVENT_ID) {
        // What is no text is no marker either, and is told so.
        Some(value) => Some(value.to_str().unwrap_or("?").to_owned()).filter(|it| !it.is_empty()),
        None => None,
    };
    let listing = MessageListing {
        marker: seen.or_else(|| query.text("marker").map(str::to_owned)),
        limit: query.integer("limit")?,
        echo: query.boolean("echo")?.unwrap_or(false),
        include_claimed: query.boolean("include_claimed")?.unwrap_or(false),
        include_delayed: query.boolean("include_delayed")?.unwrap_or(false),
    };
    let service = service.clone().into_inner();
    let follower = service.follow(queue, client, listing).await;
    let follower = follower.during("Messages could not be listed.")?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::VARY, HeaderValue::from_static("Accept")))
        // Some proxies would otherwise collect the events before they pass them on.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events(service, follower, stalled::watched(request))))
}

/// A piece for every page. The next page is read when this one has gone into
/// the connection, so a slow reader costs one page of memory. To wait for
/// messages is work for the connection; to wait for the reader is not, and ends
/// as for any other answer.
fn events(
    service: Arc<Service>,
    follower: Follower,
    connection: Option<Watched>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let connection = Rc::new(connection);
    stream::unfold(Some(follower), move |follower| {
        let (service, connection) = (Arc::clone(&service), Rc::clone(&connection));
        async move {
            let _working = connection.as_ref().as_ref().map(Watched::working);
            let mut follower = follower?;
            match follower.next().await {
                Ok(Some(Followed::Messages(messages))) => {
                    let piece = piece(&follower.queue().name, &messages, service.now());
                    Some((Ok(piece), Some(follower)))
                }
                Ok(Some(Followed::Quiet)) => {
                    Some((Ok(Bytes::from_static(HEARTBEAT)), Some(follower)))
                }
                Ok(None) => None,
                // The head is gone already. The client takes the stream up again.
                Err(error) => {
                    tracing::warn!(%error, "a stream of messages ended early");
                    None
                }
            }
        }
    })
}

fn piece(queue: &QueueName, messages: &[Message], now: Timestamp) -> Bytes {
    let mut out = wire::buffer_for(messages, 64 * messages.len());
    let (base, mut text) = (wire::messages_base(queue), Vec::new());
    for message in messages {
        out.extend_from_slice(format!("id: {}\n", message.marker).as_bytes());
        text.clear();
        wire::message(&mut text, &base, message, now);
        put_data(&mut out, &text);
        out.push(b'\n');
    }
    out.into()
}

/// A value may have several lines, for bodies keep the blanks they were sent
/// with; each gets its own field, and the client joins them again.
fn put_data(out: &mut Vec<u8>, text: &[u8]) {
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::put_data;

    #[test]
    fn every_line_of_a_value_is_a_field() {
        let mut out = Vec::new();
        put_data(&mut out, b"{\n  \"a\":\r\n1}");
        assert_eq!(out, b"data: {\ndata:   \"a\":\ndata: \ndata: 1}\n");
    }
}
