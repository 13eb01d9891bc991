//! `/v2/ping` and, for administrators, `/v2/health`.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::service::Service;
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Caller, has_role};
use crate::transport::http::{resource, wire};

/// Mounts both; the health report only in admin mode.
pub fn routes(config: &mut ServiceConfig, admin_mode: bool) {
    let ping = resource::<Caller>("/v2/ping", "GET, HEAD")
        .route(web::get().to(ping))
        .route(web::head().to(alive));
    config.service(ping);
    if admin_mode {
        let health = resource::<Caller>("/v2/health", "GET").route(web::get().to(health));
        config.service(health);
    }
}

/// Whether the store answers: 204 or 503, both without a body.
async fn ping(service: Data<Service>, _: Caller) -> Result<HttpResponse, ApiError> {
    let pong = service.ping().await.during("The store does not answer.");
    pong.map_err(ApiError::without_document)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether this process answers; says nothing of the store, as in Zaqar.
async fn alive(_: Caller) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// Tries every operation and reports how each went.
async fn health(
    service: Data<Service>,
    _: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if !has_role(&request, "admin") {
        return Err(ApiError::forbidden());
    }
    let report = service.health().await.during("Health status could not be read.")?;
    Ok(wire::json(StatusCode::OK, wire::health(&report)))
}
