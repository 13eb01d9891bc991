//! `/v2/queues` and `/v2/topics`: list, create, look at, change, delete.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::json_patch;
use crate::model::{Metadata, MetadataFilter, Namespace, QueueKey, QueueKind};
use crate::service::access::actions::{
    CreateQueue, DeleteQueue, GetQueue, ListQueues, UpdateQueue,
};
use crate::service::{QueueListing, QueuePage, Service};
use crate::transport::http::error::{ApiError, During, failure};
use crate::transport::http::extract::{Granted, Known};
use crate::transport::http::query::{self, Link, Query};
use crate::transport::http::{body, resource_of, wire};

/// The parameters of a listing; any other is a condition on metadata. Topics are
/// never counted, so the last is a condition there.
const LISTING: [&str; 5] = ["marker", "limit", "detailed", "name", WITH_COUNT];
const WITH_COUNT: &str = "with_count";

/// Mounts the list of queues or topics and each single one. An empty name is a
/// bad name, not an unknown route.
pub fn routes(config: &mut ServiceConfig, kind: QueueKind) {
    let one = resource_of::<Known<QueueKey>>(kind, "/{queue:[^/]*}", "DELETE, GET, PATCH, PUT")
        .route(web::get().to(get))
        .route(web::put().to(create))
        .route(web::patch().to(update))
        .route(web::delete().to(delete));
    let all = resource_of::<Known<Namespace>>(kind, "", "GET").route(web::get().to(list));
    config.service(one).service(all);
}

/// Makes a queue: 201, or 204 if it exists, whose metadata then stays.
async fn create(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<CreateQueue>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let max = service.limits().max_queue_metadata;
    let body = body::read(&request, payload, max).await.map_err(|unread| {
        unread.or_too_large(|| ApiError::invalid_request(service.metadata_too_large()))
    })?;
    let metadata = match body.filter(|body| !body.is_empty()) {
        Some(body) => Metadata::new(body::object(&body)?),
        None => Metadata::default(),
    };
    let created = service.create_queue(&queue, metadata).await;
    let mut answer = if created.during(failure!(queue.name.kind(), " could not be created."))? {
        wire::json(StatusCode::CREATED, Vec::new())
    } else {
        HttpResponse::NoContent().finish()
    };
    let location = wire::address(&queue.name, "");
    if let Ok(location) = header::HeaderValue::try_from(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// The metadata of a queue, defaults included, whether or not it exists.
async fn get(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<GetQueue>,
) -> Result<HttpResponse, ApiError> {
    let metadata = service.queue_metadata(&queue).await;
    let metadata =
        metadata.during(failure!(queue.name.kind(), " metadata could not be retrieved."))?;
    Ok(wire::json(StatusCode::OK, Value::Object(metadata).to_string().into_bytes()))
}

/// Changes metadata, all of the patch or nothing.
async fn update(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<UpdateQueue>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let max = service.limits().max_queue_metadata;
    let body = body::read(&request, payload, max).await.map_err(|unread| {
        unread.or_too_large(|| ApiError::invalid_body(service.metadata_too_large()))
    })?;
    let changes = json_patch::parse(&request, body.as_ref())?;
    let metadata = service.update_queue(&queue, changes).await;
    let metadata = metadata.during(failure!(queue.name.kind(), " could not be updated."))?;
    Ok(wire::json(StatusCode::OK, Value::Object(metadata).to_string().into_bytes()))
}

/// Removes a queue and its messages.
async fn delete(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<DeleteQueue>,
) -> Result<HttpResponse, ApiError> {
    let deleted = service.delete_queue(&queue).await;
    deleted.during(failure!(queue.name.kind(), " could not be deleted."))?;
    Ok(HttpResponse::NoContent().finish())
}

/// A page of the project's queues, or of its topics.
async fn list(
    service: Data<Service>,
    Granted { permit: namespace, .. }: Granted<ListQueues>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let (limit, detailed) = (query.integer("limit")?, query.boolean("detailed")?);
    let (with_count, named) = match namespace.kind {
        QueueKind::Queue => (query.boolean(WITH_COUNT)?, &LISTING[..]),
        QueueKind::Topic => (None, &LISTING[..4]),
    };
    let conditions = query.others(named)?;
    let listing = QueueListing {
        marker: query.text("marker").map(str::to_owned),
        limit,
        detailed: detailed.unwrap_or(false),
        as_stored: false,
        name: query.text("name").map(str::to_owned),
        with_count: with_count.unwrap_or(false),
        metadata: conditions.iter().map(|(key, text)| condition(key, text)).collect(),
    };
    let page = service.list_queues(&namespace, listing).await;
    let page = page.during(failure!(namespace.kind, "s could not be listed."))?;
    let next = page.queues.last().map(|(last, _)| {
        let supplied = query.text("marker").is_some();
        let link = Link::to(format!("/v2/{}", namespace.kind.plural()))
            .with_some("marker", supplied.then_some(last))
            .with_some("limit", limit)
            .with_some("detailed", detailed)
            .with_some("name", query.text("name"))
            .with_some(WITH_COUNT, with_count);
        // Zaqar forgets the conditions here, and the next page is another list.
        let link = conditions.iter().fold(link, |link, (key, text)| link.with(key, text));
        link.with_some("marker", (!supplied).then_some(last)).href()
    });
    Ok(wire::json(StatusCode::OK, page_of_queues(namespace.kind, &page, next.as_deref())))
}

/// A condition on metadata: what reads as an integer is one.
fn condition(key: &str, text: &str) -> MetadataFilter {
    let value = query::integer(text).map_or_else(|| Value::from(text), Value::from);
    MetadataFilter { key: key.to_owned(), value }
}

fn page_of_queues(kind: QueueKind, page: &QueuePage, next: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + page.queues.len() * 256);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(kind.plural().as_bytes());
    out.extend_from_slice(b"\":");
    wire::array(&mut out, &page.queues, |out, (name, metadata)| {
        out.extend_from_slice(b"{\"name\":\"");
        out.extend_from_slice(name.shown().as_bytes());
        out.extend_from_slice(b"\",\"href\":\"");
        wire::queue_path(out, name);
        out.push(b'"');
        if let Some(metadata) = metadata {
            out.extend_from_slice(b",\"metadata\":");
            wire::value(out, metadata);
        }
        out.push(b'}');
    });
    out.push(b',');
    wire::links(&mut out, next);
    // As in Zaqar, there is no count of none.
    if let Some(count) = page.count.filter(|&count| count > 0) {
        out.extend_from_slice(b",\"count\":");
        wire::value(&mut out, &count);
    }
    out.push(b'}');
    out
}
