//! REST: Zaqar API v2.
//!
//! A request passes `middleware` (its id, its log line), `authenticate` (who is
//! calling), then the router, then the checks of `extract`; a handler unpacks, calls the service once
//! and packs the answer with `wire`. What goes wrong is answered by the one
//! table in `error`. No rule about queues, messages or claims lives here.
//!
//! Answered by the HTTP implementation below us, without a document, before any
//! of this runs: with 400 a request head that is not HTTP/1.x, a
//! `Content-Length` that is not a number, is negative or comes twice, and one
//! that comes together with `Transfer-Encoding`; with 408 a head that does not
//! arrive in time; with 431 one that breaks a limit of its own (see `limits`).

mod authenticate;
mod body;
mod client_address;
mod cors;
pub(super) mod error;
mod extract;
#[doc(hidden)]
pub mod fuzzing;
mod home;
pub(super) mod identity;
mod limits;
mod middleware;
mod query;
pub(super) mod stalled;
mod tls;
pub(super) mod v2;
pub(super) mod wire;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, HttpServer, Resource};

pub use self::tls::{Certificate, TlsError};

pub(super) use self::body::SMALL_BYTES_MAX;

use self::authenticate::Authentication;
use self::body::Patience;
use self::cors::Cors;
use self::error::ApiError;
use self::middleware::Around;
use self::v2::Administration;
use crate::config::Settings;
use crate::model::QueueKind;
use crate::service::Service;
use crate::transport::auth::Authenticator;
use crate::transport::websocket::Hub;

/// How long the rest of a refused body is read and thrown away, so that the
/// client gets to see the refusal instead of a reset connection.
const LINGER: Duration = Duration::from_secs(5);

/// Starts to serve `service` on `listener`, to callers that `authenticator` knows;
/// without one, headers are believed. With a `certificate`, connections are
/// encrypted. With `websockets`, connections can become such. The returned server runs
/// while it is polled and stops through its handle. Signals are left to the caller.
///
/// # Errors
///
/// If the listener or the certificate cannot be used.
pub fn serve(
    service: Arc<Service>,
    authenticator: Option<Arc<Authenticator>>,
    settings: &Settings,
    listener: TcpListener,
    certificate: Option<&Arc<Certificate>>,
    websockets: Option<&Arc<Hub>>,
) -> std::io::Result<Server> {
    let websockets: Option<Data<Hub>> = websockets.map(|hub| Arc::clone(hub).into());
    let service: Data<Service> = service.into();
    let administration = Administration {
        health: settings.admin_mode,
        pools: settings.admin_mode && settings.pooling.enabled,
    };
    let http = &settings.http;
    let patience = Patience(seconds(http.body_timeout));
    // What a good client may take from the end of one request to the end of the
    // head of the next one.
    let stalled_after = seconds(http.keep_alive) + seconds(http.head_timeout);
    let (around, cors) = (Around::new(settings), Cors::new(&settings.cors));
    let authentication = Authentication(authenticator);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(service.clone())
            .app_data(patience)
            .configure(|config| {
                if let Some(hub) = &websockets {
                    config.app_data(hub.clone());
                    v2::websocket::routes(config);
                }
                routes(config, administration);
            })
            .wrap(authentication.clone())
            .wrap_fn({
                let cors = Rc::new(cors.clone());
                move |request, next| cors.around(request, next)
            })
            .wrap_fn({
                let around = Rc::new(around.clone());
                move |request, next| around.call(request, next)
            })
    })
    .on_connect(move |io, data| stalled::watch(io, data, stalled_after))
    .max_connections(http.max_connections)
    // What is streamed comes in small pieces, and none of them should wait for the next.
    .tcp_nodelay(true)
    .client_request_timeout(seconds(http.head_timeout))
    .tls_handshake_timeout(seconds(http.head_timeout))
    .keep_alive(seconds(http.keep_alive))
    .client_disconnect_timeout(LINGER)
    .shutdown_timeout(u64::from(http.shutdown_timeout))
    .disable_signals();
    let server = match http.workers {
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

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
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
        checks?;
        if request.method() == Method::OPTIONS {
            return Ok(HttpResponse::Ok().insert_header((header::ALLOW, allow)).finish());
        }
        Err(ApiError::method_not_allowed(allow))
    };
    web::resource(path.to_owned()).default_service(web::to(other))
}

/// A resource of queues or of topics, `rest` being the path behind `/v2/queues` or
/// `/v2/topics`, with `{queue}` for the name of either.
fn resource_of<Checks>(kind: QueueKind, rest: &str, allow: &'static str) -> Resource
where
    Checks: FromRequest<Error = ApiError> + 'static,
{
    resource::<Checks>(&format!("/v2/{}{rest}", kind.plural()), allow).app_data(kind)
}

/// There is nothing at this path; said before any header is looked at.
async fn unknown() -> Result<HttpResponse, ApiError> {
    Err(ApiError::bare(StatusCode::NOT_FOUND))
}
