//! `/v2/queues/{queue}/subscriptions`, and the same of topics: subscribe, list, look at, change, confirm,
//! unsubscribe.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde_json::{Map, Value};

use crate::model::{QueueKey, QueueKind, QueueName};
use crate::service::access::actions::{
    ConfirmSubscription, CreateSubscription, DeleteSubscription, GetSubscription,
    ListSubscriptions, UpdateSubscription,
};
use crate::service::{self, Caller, Service};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known, segment};
use crate::transport::http::identity::{identity, token};
use crate::transport::http::query::{Link, Query};
use crate::transport::http::{body, resource_of, wire};

/// Mounts the subscriptions to queues or topics.
pub fn routes(config: &mut ServiceConfig, kind: QueueKind) {
    let all = resource_of::<Known<QueueKey>>(kind, "/{queue}/subscriptions", "GET, POST")
        .route(web::get().to(list))
        .route(web::post().to(create));
    let one = resource_of::<Known<QueueKey>>(
        kind,
        "/{queue}/subscriptions/{subscription}",
        "DELETE, GET, PATCH",
    )
    .route(web::get().to(get))
    .route(web::patch().to(update))
    .route(web::delete().to(delete));
    let confirmation = resource_of::<Known<QueueKey>>(
        kind,
        "/{queue}/subscriptions/{subscription}/confirm",
        "PUT",
    )
    .route(web::put().to(confirm));
    config.service(all).service(one).service(confirmation);
}

/// Subscribes; 201 with the id. It names the collection as the location, and so
/// does the refusal of a second subscription.
async fn create(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<CreateSubscription>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = document(&request, payload).await?;
    let caller = Caller { identity: identity(&request), token: token(&request) };
    let created = service.create_subscription(&queue, &document, &caller).await;
    let exists = matches!(created, Err(service::Error::Conflict(_)));
    let mut answer = match created.during("Subscription could not be created.") {
        Ok(id) => {
            let document = format!("{{\"subscription_id\":\"{id}\"}}");
            wire::json(StatusCode::CREATED, document.into_bytes())
        }
        Err(refusal) if exists => refusal.error_response(),
        Err(failure) => return Err(failure),
    };
    locate(&mut answer, collection(&queue.name));
    Ok(answer)
}

/// A page of subscriptions.
async fn list(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<ListSubscriptions>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let (marker, limit) = (query.text("marker"), query.integer("limit")?);
    let page = service.list_subscriptions(&queue, marker, limit).await;
    let page = page.during("Subscriptions could not be listed.")?;
    let next = page.last().map(|last| {
        Link::to(collection(&queue.name))
            .with_some("marker", marker.map(|_| last.id))
            .with_some("limit", limit)
            .with_some("marker", marker.is_none().then_some(last.id))
            .href()
    });
    let mut out = Vec::with_capacity(256 + page.len() * 256);
    out.extend_from_slice(b"{\"subscriptions\":");
    let now = service.now();
    wire::array(&mut out, &page, |out, each| wire::subscription(out, &queue.name, each, now));
    out.push(b',');
    wire::links(&mut out, next.as_deref());
    out.push(b'}');
    Ok(wire::json(StatusCode::OK, out))
}

/// One subscription.
async fn get(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<GetSubscription>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let found = service.get_subscription(&queue, segment(&request, "subscription")).await;
    let found = found.during("Subscription could not be retrieved.")?;
    let failure = service.last_failure(&queue, found.id).await;
    let failure = failure.during("Subscription could not be retrieved.")?;
    let mut out = Vec::with_capacity(256);
    wire::subscription(&mut out, &queue.name, &found, service.now());
    if let Some(failure) = failure {
        wire::last_failure(&mut out, &failure);
    }
    Ok(wire::json(StatusCode::OK, out))
}

/// Changes a subscription, all that the body says or nothing.
async fn update(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<UpdateSubscription>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = document(&request, payload).await?;
    let id = segment(&request, "subscription");
    let updated = service.update_subscription(&queue, id, &document).await;
    updated.during("Subscription could not be updated.")?;
    Ok(done(&queue.name, id, ""))
}

/// Confirms a subscription, or takes that back.
async fn confirm(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<ConfirmSubscription>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = document(&request, payload).await?;
    let id = segment(&request, "subscription");
    let confirmed = service.confirm_subscription(&queue, id, &document).await;
    confirmed.during("Subscription could not be confirmed.")?;
    Ok(done(&queue.name, id, "/confirm"))
}

/// Ends a subscription, whether or not there is one.
async fn delete(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<DeleteSubscription>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let deleted = service.delete_subscription(&queue, segment(&request, "subscription")).await;
    deleted.during("Subscription could not be deleted.")?;
    Ok(HttpResponse::NoContent().finish())
}

/// The body, of any shape: the service says what it should be. No body is an
/// empty object, as in Zaqar.
async fn document(request: &HttpRequest, payload: Payload) -> Result<Value, ApiError> {
    match body::read_small(request, payload).await?.filter(|body| !body.is_empty()) {
        Some(body) => body::document(&body),
        None => Ok(Value::Object(Map::new())),
    }
}

fn collection(queue: &QueueName) -> String {
    wire::address(queue, "/subscriptions")
}

/// 204 with the address of what was changed.
fn done(queue: &QueueName, id: &str, rest: &str) -> HttpResponse {
    let mut answer = HttpResponse::NoContent().finish();
    locate(&mut answer, format!("{}/{id}{rest}", collection(queue)));
    answer
}

fn locate(answer: &mut HttpResponse, address: String) {
    if let Ok(address) = HeaderValue::try_from(address) {
        answer.headers_mut().insert(header::LOCATION, address);
    }
}
