//! `/v2/queues/{queue}/messages`, and the same of topics: post, list, get, delete, pop.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::{events, posted};
use crate::model::{MessageId, QueueKey, QueueKind, QueueName};
use crate::service::access::Permit;
use crate::service::access::actions::{
    DeleteMessage, DeleteMessages, GetMessage, ListMessages, PostMessages,
};
use crate::service::{Deletion, MessageListing, Service};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{EventStream, Granted, Known, segment};
use crate::transport::http::query::{Link, Query};
use crate::transport::http::stalled::unless_hung_up;
use crate::transport::http::{body, resource_of, wire};

/// Mounts the messages of queues or topics and each single one.
pub fn routes(config: &mut ServiceConfig, kind: QueueKind) {
    let all = resource_of::<Known<QueueKey>>(kind, "/{queue}/messages", "DELETE, GET, POST")
        .app_data(EventStream)
        .route(web::post().to(post))
        .route(web::get().to(list))
        .route(web::delete().to(delete_many));
    let one = resource_of::<Known<QueueKey>>(kind, "/{queue}/messages/{message}", "DELETE, GET")
        .route(web::delete().to(delete))
        .route(web::get().to(get));
    config.service(all).service(one);
}

/// Posts messages; 201 with their addresses, in order.
async fn post(
    service: Data<Service>,
    Granted { client, permit: queue }: Granted<PostMessages>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    const FAILURE: &str = "Messages could not be enqueued.";
    let size = service.post_size(&queue).await.during(FAILURE)?;
    let body = body::read(&request, payload, size.max()).await.map_err(|unread| {
        unread.or_too_large(|| ApiError::from_service(size.too_large(), FAILURE))
    })?;
    let drafts = posted::parse(&body::required(body)?)?;
    let ids = service.post_messages(&queue, &client, drafts).await.during(FAILURE)?;
    let mut answer = wire::json(StatusCode::CREATED, posted_resources(&queue.name, &ids));
    if let Ok(location) = header::HeaderValue::from_maybe_shared(location(&queue.name, &ids)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

fn posted_resources(queue: &QueueName, ids: &[MessageId]) -> Vec<u8> {
    let base = wire::messages_base(queue);
    let each = base.len() + MessageId::HEX_DIGITS + "\"\",".len();
    let mut out = Vec::with_capacity(ids.len() * each + 16);
    out.extend_from_slice(b"{\"resources\":");
    wire::array(&mut out, ids, |out, id| {
        out.push(b'"');
        out.extend_from_slice(&base);
        out.extend_from_slice(&id.hex());
        out.push(b'"');
    });
    out.push(b'}');
    out
}

fn location(queue: &QueueName, ids: &[MessageId]) -> bytes::Bytes {
    let mut out = Vec::with_capacity(ids.len() * (MessageId::HEX_DIGITS + 1) + 96);
    wire::queue_path(&mut out, queue);
    out.extend_from_slice(b"/messages?ids=");
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&id.hex());
    }
    out.into()
}

/// A page of messages, or those named by `ids`, or all that come as a stream.
async fn list(
    service: Data<Service>,
    Granted { client, permit: queue }: Granted<ListMessages>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    if events::are_asked_for(&request) {
        return events::stream(&service, queue, client, &request, &query).await;
    }
    if let Some(ids) = query.list("ids") {
        return get_many(&service, &queue, &ids).await;
    }
    let (limit, echo) = (query.integer("limit")?, query.boolean("echo")?);
    let include_claimed = query.boolean("include_claimed")?;
    let include_delayed = query.boolean("include_delayed")?;
    let listing = MessageListing {
        marker: query.text("marker").map(str::to_owned),
        limit,
        echo: echo.unwrap_or(false),
        include_claimed: include_claimed.unwrap_or(false),
        include_delayed: include_delayed.unwrap_or(false),
    };
    let wait = query.integer("wait")?;
    let page = service.list_or_wait(&queue, &client, listing, wait);
    let Some(page) = unless_hung_up(&request, wait, page).await else {
        return Ok(HttpResponse::NoContent().finish());
    };
    let page = page.during("Messages could not be listed.")?;
    let next = page.last.map(|last| {
        let marker = last.to_string();
        let supplied = query.text("marker").is_some();
        let delayed =
            (include_delayed.is_some() || page.include_delayed).then_some(page.include_delayed);
        Link::to(wire::address(&queue.name, "/messages"))
            .with_some("marker", supplied.then_some(&marker))
            .with_some("limit", limit)
            .with_some("echo", echo)
            .with_some("include_claimed", include_claimed)
            .with_some("include_delayed", delayed)
            .with_some("marker", (!supplied).then_some(&marker))
            .href()
    });
    let mut out = wire::buffer_for(&page.messages, 256);
    out.push(b'{');
    wire::messages(&mut out, &queue.name, &page.messages, service.now());
    out.push(b',');
    wire::links(&mut out, next.as_deref());
    out.push(b'}');
    Ok(wire::json(StatusCode::OK, out))
}

async fn get_many(
    service: &Service,
    queue: &Permit<ListMessages>,
    ids: &[String],
) -> Result<HttpResponse, ApiError> {
    let messages = service.get_messages(queue, ids).await;
    let messages = messages.during("Message could not be retrieved.")?;
    let mut out = wire::buffer_for(&messages, 16);
    out.push(b'{');
    wire::messages(&mut out, &queue.name, &messages, service.now());
    out.push(b'}');
    Ok(wire::json(StatusCode::OK, out))
}

/// One message.
async fn get(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<GetMessage>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let message = service.get_message(&queue, segment(&request, "message")).await;
    let message = message.during("Message could not be retrieved.")?;
    let mut out = wire::buffer_for(std::slice::from_ref(&message), 0);
    let base = wire::messages_base(&queue.name);
    wire::message(&mut out, &base, &message, service.now());
    Ok(wire::json(StatusCode::OK, out))
}

/// Deletes one message; a claimed one only for who names its claim.
async fn delete(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<DeleteMessage>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let message = segment(&request, "message");
    let deleted = service.delete_message(&queue, message, query.text("claim_id")).await;
    deleted.during("Message could not be deleted.")?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes the messages named by `ids`, or pops as many as `pop` says.
async fn delete_many(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<DeleteMessages>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let (ids, claims) = (query.list("ids"), query.list("claim_ids"));
    let deletion = Deletion::new(ids, query.integer("pop")?);
    match deletion.during("Messages could not be deleted.")? {
        Deletion::Messages(ids) => {
            let deleted = service.delete_messages(&queue, &ids, claims.as_deref()).await;
            deleted.during("Messages could not be deleted.")?;
            Ok(HttpResponse::NoContent().finish())
        }
        Deletion::Pop(count) => {
            let popped = service.pop_messages(&queue, count, claims.as_deref()).await;
            let popped = popped.during("Messages could not be popped.")?;
            let mut out = wire::buffer_for(&popped, 16);
            out.extend_from_slice(b"{\"messages\":");
            let now = service.now();
            wire::array(&mut out, &popped, |out, message| wire::popped(out, message, now));
            out.push(b'}');
            Ok(wire::json(StatusCode::OK, out))
        }
    }
}
