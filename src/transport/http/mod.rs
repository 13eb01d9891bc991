//! REST: Zaqar API v2.
//!
//! A request passes `middleware` (its id, its log line), `authenticate` (who is
//! calling), then the router, then the checks of `extract`; a handler unpacks, calls the service once
//! and packs the answer with `wire`. What goes wrong is answered by the one
//! table in `error`. No rule about queues, messages or claims lives here.
//!
//! Answered by the HTTP implementation below us, with an empty 400, before any
//! of this runs: a request head that is not HTTP/1.x or larger than 128 KiB, a
//! `Content-Length` that is not a number, is negative or comes twice, and one
//! that comes together with `Transfer-Encoding`.

mod authenticate;
mod body;
mod error;
mod extract;
#[doc(hidden)]
pub mod fuzzing;
mod home;
mod identity;
mod middleware;
mod query;
mod v2;
mod wire;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, HttpServer, Resource};

use self::authenticate::Authentication;
use self::error::ApiError;
use self::v2::Administration;
use crate::config::Settings;
use crate::service::Service;
use crate::transport::auth::Authenticator;

/// How long an idle connection stays open. Longer than the 60 seconds after
/// which common proxies drop theirs, so that the proxy is the one to close.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long the rest of a refused body is read and thrown away, so that the
/// client gets to see the refusal instead of a reset connection.
const LINGER: Duration = Duration::from_secs(5);

/// Starts to serve `service` on `listener`, to callers that `authenticator` knows;
/// without one, headers are believed. The returned server runs while it
/// is polled and stops through its handle. Signals are left to the caller.
///
/// # Errors
///
/// If the listener cannot be used.
pub fn serve(
    service: Arc<Service>,
    authenticator: Option<Arc<Authenticator>>,
    settings: &Settings,
    listener: TcpListener,
) -> std::io::Result<Server> {
    let service: Data<Service> = service.into();
    let administration = Administration {
        health: settings.admin_mode,
        pools: settings.admin_mode && settings.pooling.enabled,
    };
    let log_requests = settings.log.requests;
    let authentication = Authentication(authenticator);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(service.clone())
            .configure(move |config| routes(config, administration))
            .wrap(authentication.clone())
            .wrap_fn(move |request, next| middleware::around(request, next, log_requests))
    })
    .keep_alive(KEEP_ALIVE)
    .client_disconnect_timeout(LINGER)
    // Who hangs up waits no more: its place in a line is free at once. A client
    // that only says that it will send no more cannot be told apart.
    .h1_allow_half_closed(false)
    .shutdown_timeout(u64::from(settings.http.shutdown_timeout))
    .disable_signals();
    let server = match settings.http.workers {
        0 => server,
        workers => server.workers(workers),
    };
    Ok(server.listen(listener)?.run())
}

/// Mounts everything; what is asked for most comes first, for the router tries
/// one after the other.
fn routes(config: &mut ServiceConfig, administration: Administration) {
    v2::routes(config, administration);
    home::routes(config);
    config.default_service(web::to(unknown));
}

/// A resource that answers what its checks and its methods leave: `OPTIONS`
/// and 405. `allow` names the methods it has, sorted, as the header wants them.
fn resource<Checks>(path: &str, allow: &'static str) -> Resource
where
    Checks: FromRequest<Error = ApiError> + 'static,
{
    let other = move |request: HttpRequest, checks: Result<Checks, ApiError>| async move {
        if request.method() == Method::OPTIONS {
            // As Zaqar's CORS layer does, never an error.
            return Ok(match checks {
                Ok(_) => HttpResponse::Ok().insert_header((header::ALLOW, allow)).finish(),
                Err(_) => HttpResponse::Ok().finish(),
            });
        }
        checks.and_then(|_| Err(ApiError::method_not_allowed(allow)))
    };
    web::resource(path.to_owned()).default_service(web::to(other))
}

/// There is nothing at this path; said before any header is looked at.
async fn unknown(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if request.method() == Method::OPTIONS {
        return Ok(HttpResponse::Ok().finish());
    }
    Err(ApiError::bare(StatusCode::NOT_FOUND))
}
