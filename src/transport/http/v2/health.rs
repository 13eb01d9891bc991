//! `/v2/ping` and, for administrators, `/v2/health`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};

use super::Administration;
use crate::service::Service;
use crate::service::access::actions::{GetHealth, Ping};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known};
use crate::transport::http::{resource, wire};

/// Mounts both; the health report only in admin mode.
pub fn routes(config: &mut ServiceConfig, administration: Administration) {
    let ping = resource::<Known<()>>("/v2/ping", "GET, HEAD")
        .route(web::get().to(ping))
        .route(web::head().to(alive));
    config.service(ping);
    if administration.health {
        let health = resource::<Known<()>>("/v2/health", "GET").route(web::get().to(health));
        config.service(health);
    }
}

/// Whether the store answers: 204 or 503, both without a body.
async fn ping(
    service: Data<Service>,
    Granted { permit, .. }: Granted<Ping>,
) -> Result<HttpResponse, ApiError> {
    let pong = service.ping(&permit).await.during("The store does not answer.");
    pong.map_err(ApiError::without_document)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether this process answers; says nothing of the store, as in Zaqar.
async fn alive(_: Granted<Ping>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// Tries every operation and reports how each went.
async fn health(
    service: Data<Service>,
    Granted { permit, .. }: Granted<GetHealth>,
) -> Result<HttpResponse, ApiError> {
    let report = service.health(&permit).await.during("Health status could not be read.")?;
    Ok(wire::json(StatusCode::OK, wire::health(&report)))
}
