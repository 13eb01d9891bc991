//! `/v2/websocket`: the same API as messages on a connection.

use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::transport::http::error::ApiError;
use crate::transport::http::extract::Reader;
use crate::transport::http::resource;
use crate::transport::websocket::{Hub, upgrade};

/// Where connections become WebSockets.
pub const PATH: &str = "/v2/websocket";

/// Mounts it.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource::<Reader>(PATH, "GET").route(web::get().to(connect)));
}

/// Connects; who is calling is asked on the connection.
async fn connect(
    hub: Data<Hub>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    upgrade(&hub, &request, payload)
}
