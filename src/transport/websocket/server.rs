//! The port of its own, as Zaqar has it: a WebSocket on any path, and a page that
//! says so to a browser.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::Method;
use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};

use super::handshake::{is_asked_for, upgrade};
use super::hub::Hub;
use crate::config::Settings;
use crate::transport::http::error::ApiError;
use crate::transport::http::{Certificate, stalled};

/// What a browser is shown.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>nusku</title></head><body>\
    <h1>nusku</h1><p>This is a WebSocket server.</p></body></html>\n";

/// Starts to serve connections on `listener`. With a `certificate`, they are
/// encrypted. The returned server runs while it is polled and stops through its
/// handle; connections end with [`Hub::stop`]. Signals are left to the caller.
///
/// # Errors
///
/// If the listener or the certificate cannot be used.
pub fn serve(
    hub: &Arc<Hub>,
    settings: &Settings,
    listener: TcpListener,
    certificate: Option<&Arc<Certificate>>,
) -> std::io::Result<Server> {
    let hub: Data<Hub> = Arc::clone(hub).into();
    let handshake = Duration::from_secs(settings.websocket.handshake_timeout.into());
    let server =
        HttpServer::new(move || App::new().app_data(hub.clone()).default_service(web::to(connect)))
            .on_connect(move |io, data| stalled::watch(io, data, handshake * 2))
            .max_connections(settings.http.max_connections)
            // A push should not wait for the next one.
            .tcp_nodelay(true)
            .client_request_timeout(handshake)
            .tls_handshake_timeout(handshake)
            .keep_alive(handshake)
            .h1_allow_half_closed(false)
            .shutdown_timeout(u64::from(settings.http.shutdown_timeout))
            .disable_signals();
    let server = match settings.http.workers {
        0 => server,
        workers => server.workers(workers),
    };
    let server = match certificate {
        Some(certificate) => {
            let config = certificate.server_config().map_err(std::io::Error::other)?;
            server.listen_rustls_0_23(listener, config)?
        }
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

async fn connect(
    hub: Data<Hub>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    if request.method() != Method::GET {
        return Ok(HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET")).finish());
    }
    if !is_asked_for(&request) {
        return Ok(HttpResponse::Ok().content_type(ContentType::html()).body(PAGE));
    }
    upgrade(&hub, &request, payload)
}
