//! Cross-origin requests: what a browser is told about pages of other origins.
//!
//! As Zaqar's CORS layer, and before authentication: a preflight comes without
//! a token. What is not allowed is served like any request, only without the
//! headers that would let a page see the answer. The ready-made middleware for
//! actix-web refuses such requests with 400 and lists all it allows instead of
//! what was asked for, so it would be a different API.

use std::future::ready;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{Error, HttpResponse};
use futures_util::future::Either;

use crate::config::CorsSettings;

/// Headers that every page may send.
const SIMPLE_HEADERS: [&str; 8] = [
    "Accept",
    "Accept-Language",
    "Cache-Control",
    "Content-Language",
    "Content-Type",
    "Expires",
    "Last-Modified",
    "Pragma",
];

const ANY: HeaderValue = HeaderValue::from_static("*");

/// What pages of other origins may do.
#[derive(Clone, Debug)]
pub struct Cors {
    settings: CorsSettings,
    expose_headers: Option<HeaderValue>,
}

impl Cors {
    /// The rules that `settings` make.
    pub fn new(settings: &CorsSettings) -> Self {
        let expose_headers = settings.expose_headers.join(",");
        Self {
            settings: settings.clone(),
            expose_headers: HeaderValue::try_from(expose_headers).ok().filter(|it| !it.is_empty()),
        }
    }

    /// Answers a preflight that is allowed; passes everything else on to `next`
    /// and adds to the answer what lets an allowed page see it. `OPTIONS` is
    /// never an error: in the place of one comes an empty 200.
    pub fn around<S>(
        &self,
        request: ServiceRequest,
        next: &S,
    ) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
    where
        S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    {
        let is_options = request.method() == Method::OPTIONS;
        let grant = request.headers().get(header::ORIGIN).and_then(|origin| self.grant(origin));
        let preflight = grant.as_ref().filter(|_| is_options).and_then(|grant| {
            let mut answer = HttpResponse::Ok().finish();
            self.add_preflight(request.headers(), answer.headers_mut())?;
            grant.add_to(answer.headers_mut());
            Some(answer)
        });
        // A preflight gets all of the headers or none; nothing else is exposed.
        let grant = grant.filter(|_| !is_options);
        let exposed = grant.as_ref().and(self.expose_headers.clone());
        let answer = match preflight {
            Some(answer) => Either::Left(ready(Ok(request.into_response(answer)))),
            None => Either::Right(next.call(request)),
        };
        async move {
            let mut answer = answer.await?;
            if is_options && !answer.status().is_success() {
                return Ok(answer.into_response(HttpResponse::Ok().finish()));
            }
            if let Some(grant) = grant {
                grant.add_to(answer.headers_mut());
            }
            if let Some(exposed) = exposed {
                answer.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            }
            Ok(answer)
        }
    }

    /// What pages of this origin are granted, if anything.
    fn grant(&self, origin: &HeaderValue) -> Option<Grant> {
        let allowed = &self.settings.allowed_origin;
        if allowed.iter().any(|it| it.as_bytes() == origin.as_bytes() && it != "*") {
            let origin = origin.clone();
            return Some(Grant { origin, credentials: self.settings.allow_credentials });
        }
        // Everybody and with credentials: browsers refuse that combination, and
        // to get round it would hand every page the cookies of its visitor.
        let is_any = allowed.iter().any(|it| it == "*");
        is_any.then_some(Grant { origin: ANY, credentials: false })
    }

    /// Adds the answer to a preflight; `None` if the request is none, or is for
    /// a method or header that is not allowed.
    fn add_preflight(&self, request: &HeaderMap, answer: &mut HeaderMap) -> Option<()> {
        let CorsSettings { allow_methods, allow_headers, max_age, .. } = &self.settings;
        let method = request.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        allow_methods.iter().find(|it| it.as_bytes() == method.as_bytes())?;

        let asked: Vec<_> = request
            .get_all(header::ACCESS_CONTROL_REQUEST_HEADERS)
            .map(|value| value.to_str().ok())
            .collect::<Option<Vec<_>>>()?;
        let asked: Vec<_> = asked.iter().flat_map(|list| list.split(',')).map(str::trim).collect();
        let asked: Vec<_> = asked.into_iter().filter(|name| !name.is_empty()).collect();
        let is_allowed = |name: &&str| {
            let mut known = SIMPLE_HEADERS.into_iter().chain(allow_headers.iter().map(|it| &**it));
            known.any(|it| it.eq_ignore_ascii_case(name))
        };
        if !asked.iter().all(is_allowed) {
            return None;
        }
        if *max_age > 0 {
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, (*max_age).into());
        }
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if !asked.is_empty() {
            let asked = HeaderValue::try_from(asked.join(",")).ok()?;
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
        Some(())
    }
}

/// What pages of an origin are granted.
struct Grant {
    /// The origin, or a star for all.
    origin: HeaderValue,
    credentials: bool,
}

impl Grant {
    fn add_to(&self, answer: &mut HeaderMap) {
        // Appended: an answer may vary with `Accept` as well.
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if self.credentials {
            let truth = HeaderValue::from_static("true");
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, truth);
        }
    }
}
