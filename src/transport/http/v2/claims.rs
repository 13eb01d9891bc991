//! `/v2/queues/{queue}/claims`: create, look at, renew, release.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use crate::model::{QueueKey, QueueKind};
use crate::service::access::actions::{CreateClaim, GetClaim, ReleaseClaim, RenewClaim};
use crate::service::{ClaimTerms, Field, Service};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known, segment};
use crate::transport::http::query::Query;
use crate::transport::http::stalled::unless_hung_up;
use crate::transport::http::{body, resource_of, wire};

/// Mounts the claims on a queue.
pub fn routes(config: &mut ServiceConfig) {
    let all = resource_of::<Known<QueueKey>>(QueueKind::Queue, "/{queue}/claims", "POST")
        .route(web::post().to(create));
    let (path, methods) = ("/{queue}/claims/{claim}", "DELETE, GET, PATCH");
    let one = resource_of::<Known<QueueKey>>(QueueKind::Queue, path, methods)
        .route(web::delete().to(release))
        .route(web::patch().to(renew))
        .route(web::get().to(get));
    config.service(all).service(one);
}

/// Claims messages; 201 with them, or 204 if there is nothing to claim, after
/// `wait` seconds if the client says so.
async fn create(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<CreateClaim>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let (limit, wait) = (query.integer("limit")?, query.integer("wait")?);
    let body = body::read_small(&request, payload).await?.filter(|body| !body.is_empty());
    let (ttl, grace) = body.as_ref().map_or(Ok((Field::Missing, Field::Missing)), terms)?;
    let (queue, terms) = (Arc::new(queue), ClaimTerms { limit, ttl, grace });
    let claim = service.claim_or_wait(&queue, terms, wait);
    let claim = unless_hung_up(&request, wait, claim).await.unwrap_or(Ok(None));
    let Some(claim) = claim.during("Claim could not be created.")? else {
        return Ok(HttpResponse::NoContent().finish());
    };
    let mut out = wire::buffer_for(&claim.messages, 16);
    out.push(b'{');
    wire::messages(&mut out, &queue.name, &claim.messages, service.now());
    out.push(b'}');
    let mut answer = wire::json(StatusCode::CREATED, out);
    let mut location = Vec::with_capacity(128);
    wire::claim_path(&mut location, &queue.name, claim.id);
    if let Ok(location) = HeaderValue::from_maybe_shared(Bytes::from(location)) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// The `ttl` and `grace` of a body; other keys are ignored.
fn terms(body: &Bytes) -> Result<(Field, Field), ApiError> {
    let fields = body::object(body)?;
    Ok((body::field(&fields, "ttl"), body::field(&fields, "grace")))
}

/// A claim and what it still holds.
async fn get(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<GetClaim>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let claim = service.get_claim(&queue, segment(&request, "claim")).await;
    let claim = claim.during("Claim could not be queried.")?;
    Ok(wire::json(StatusCode::OK, wire::claim(&queue.name, &claim, service.now())))
}

/// Renews a claim. The body must be there; what it leaves out becomes the
/// server's default, not what the claim had.
async fn renew(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<RenewClaim>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::required(body::read_small(&request, payload).await?)?;
    let (ttl, grace) = terms(&body)?;
    let renewed = service.renew_claim(&queue, segment(&request, "claim"), ttl, grace).await;
    renewed.during("Claim could not be updated.")?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends a claim, whether or not it lives.
async fn release(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<ReleaseClaim>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let released = service.release_claim(&queue, segment(&request, "claim")).await;
    released.during("Claim could not be deleted.")?;
    Ok(HttpResponse::NoContent().finish())
}
