//! What is done around every request: measure its head, decode its path, name
//! it, log it.

use std::future::ready;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Instant;

use actix_router::Quoter;
use actix_web::Error;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use futures_util::future::Either;
use uuid::Uuid;

use super::client_address::ProxyRules;
use super::error::ApiError;
use super::identity::project_for_log;
use super::limits::HeadLimits;
use super::stalled;
use crate::config::Settings;

/// Names the request in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// What a request id begins with; a random UUID follows.
const PREFIX: &[u8; 4] = b"req-";

/// Decodes every percent escape, slashes too: Zaqar decodes the path before it
/// looks for a route, so `a%2Fb` is two segments.
static DECODER: LazyLock<Quoter> = LazyLock::new(|| Quoter::new(b"", b""));

/// What is done around every request.
#[derive(Clone, Debug)]
pub struct Around {
    limits: HeadLimits,
    proxies: ProxyRules,
    log_requests: bool,
}

impl Around {
    /// As `settings` want it.
    pub fn new(settings: &Settings) -> Self {
        Self {
            limits: HeadLimits::new(&settings.http),
            proxies: ProxyRules::new(&settings.http),
            log_requests: settings.log.requests,
        }
    }

    /// Passes `request` on to `next`, unless its head is too large; the answer
    /// carries a fresh request id. There is one log line if the store could not
    /// answer and, if wanted, one in any case.
    pub fn call<S>(
        &self,
        mut request: ServiceRequest,
        next: &S,
    ) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
    where
        S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    {
        let working = stalled::working(&request);
        let line = self.log_requests.then(|| LogLine {
            begun: Instant::now(),
            client: self.proxies.client_address(request.head()),
        });
        let answer = match self.limits.check(request.head()) {
            Ok(()) => {
                if request.uri().path().contains('%') {
                    let uri = request.uri().clone();
                    request.match_info_mut().get_mut().update_with_quoter(&uri, &DECODER);
                }
                Either::Left(next.call(request))
            }
            Err(error) => Either::Right(ready(Ok(request.error_response(error)))),
        };
        async move {
            let mut answer = answer.await?;
            drop(working);
            let mut buffer = [0; PREFIX.len() + uuid::fmt::Hyphenated::LENGTH];
            let id = request_id(&mut buffer);
            log_failure(&answer, id);
            if let Some(line) = line {
                line.write(&answer, id);
            }
            if let Ok(value) = HeaderValue::from_str(id) {
                answer.headers_mut().insert(REQUEST_ID, value);
            }
            Ok(answer)
        }
    }
}

/// A fresh request id, written into `buffer`.
fn request_id(buffer: &mut [u8; PREFIX.len() + uuid::fmt::Hyphenated::LENGTH]) -> &str {
    let (prefix, uuid) = buffer.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    Uuid::new_v4().hyphenated().encode_lower(uuid);
    std::str::from_utf8(buffer).unwrap_or_default()
}

/// The one place that tells why the store could not answer.
fn log_failure(answer: &ServiceResponse, id: &str) {
    let error = answer.response().error().and_then(|error| error.as_error::<ApiError>());
    if let Some((error, reason)) = error.and_then(|error| Some((error, error.reason()?))) {
        let request = answer.request();
        tracing::error!(
            request.id = id,
            project.id = &*project_for_log(request).unwrap_or_default(),
            http.route = request.match_pattern().unwrap_or_default(),
            reason,
            "{error}"
        );
    }
}

/// What the log line of a request tells beside the answer.
struct LogLine {
    begun: Instant,
    client: Option<IpAddr>,
}

impl LogLine {
    fn write(&self, answer: &ServiceResponse, id: &str) {
        let request = answer.request();
        tracing::info!(
            request.id = id,
            project.id = &*project_for_log(request).unwrap_or_default(),
            client.address = self.client.map(tracing::field::display),
            http.method = %request.method(),
            http.route = request.match_pattern().unwrap_or_default(),
            http.status = answer.status().as_u16(),
            duration.us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use actix_web::{App, HttpResponse, test, web};

    use super::Around;
    use crate::config::Settings;
    use crate::service;
    use crate::storage::Error;
    use crate::transport::http::error::{ApiError, During};

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    async fn fail() -> Result<HttpResponse, ApiError> {
        let failed = Err(service::Error::Storage(Error::Unavailable("disk full".into())));
        failed.during("Queue could not be made.")
    }

    #[actix_web::test]
    async fn a_failure_is_logged_once_with_the_id_of_its_answer() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let mut settings = Settings::defaults().unwrap();
        settings.http.trusted_proxies = vec!["10.0.0.0/8".into()];
        let around = Around::new(&settings);
        let app = App::new()
            .route("/v2/queues/{queue}", web::get().to(fail))
            .wrap_fn(move |request, next| around.call(request, next));
        let app = test::init_service(app).await;
        let request =
            test::TestRequest::get().uri("/v2/queues/q").insert_header(("x-tenant", "acme"));
        let request = request
            .peer_addr("10.0.0.1:4711".parse().unwrap())
            .insert_header(("x-forwarded-for", "203.0.113.5"));
        let answer = test::call_service(&app, request.to_request()).await;
        drop(guard);

        let id = answer.headers().get("x-openstack-request-id").unwrap().to_str().unwrap();
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for (line, word) in lines.iter().zip(["reason=\"disk full\"", "http.status=503"]) {
            for word in [word, id, "acme", "http.route=\"/v2/queues/{queue}\""] {
                assert!(line.contains(word), "{word}: {line}");
            }
        }
        assert_eq!(text.matches("disk full").count(), 1);
        assert!(lines[1].contains("client.address=203.0.113.5"), "{text}");
    }
}
