//! Finds out who is calling, before anything else is looked at: an unknown path
//! is none of a stranger's business.
//!
//! What it finds goes into the request as an [`Identity`], and the token beside it
//! as a [`Secret`] if it is good elsewhere too; from then on nobody looks at headers
//! for it. Two kinds of requests are let through as nobody's:
//! those for `/`, and those with a signature, which must speak for itself.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{Error, HttpMessage};
use futures_util::future::{Either, LocalBoxFuture};

use super::error::ApiError;
use super::identity::SIGNATURE;
use super::v2::websocket;
use crate::model::{Identity, Secret};
use crate::transport::auth::{AuthError, Authenticator, Presented};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// Wraps everything; does nothing if headers are believed.
#[derive(Clone)]
pub struct Authentication(pub Option<Arc<Authenticator>>);

/// One per worker.
pub struct Authenticating<S> {
    authenticator: Option<Arc<Authenticator>>,
    nobody: Arc<Identity>,
    next: Rc<S>,
}

impl<S> Transform<S, ServiceRequest> for Authentication
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Authenticating<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, next: S) -> Self::Future {
        let (authenticator, nobody) = (self.0.clone(), Arc::default());
        ready(Ok(Authenticating { authenticator, nobody, next: Rc::new(next) }))
    }
}

impl<S> Service<ServiceRequest> for Authenticating<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<Self::Response, Error>>>;

    forward_ready!(next);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Some(authenticator) = self.authenticator.clone() else {
            return Either::Left(self.next.call(request));
        };
        // Whatever comes of it, headers are not to be asked who is calling.
        request.extensions_mut().insert(Arc::clone(&self.nobody));
        let is_for_all = matches!(request.path(), "/" | websocket::PATH);
        if is_for_all || request.headers().contains_key(SIGNATURE) {
            return Either::Left(self.next.call(request));
        }
        let next = Rc::clone(&self.next);
        Either::Right(Box::pin(async move {
            match authenticator.authenticate(&presented(request.headers())).await {
                Ok(identity) => {
                    if authenticator.vouches_elsewhere()
                        && let Some(token) = presented(request.headers()).token
                    {
                        request.extensions_mut().insert(Secret::new(token));
                    }
                    request.extensions_mut().insert(identity);
                    next.call(request).await
                }
                Err(error) => Ok(request.error_response(refusal(error, &authenticator))),
            }
        }))
    }
}

fn refusal(error: AuthError, authenticator: &Authenticator) -> ApiError {
    match error {
        AuthError::Unauthorized => ApiError::unauthorized(authenticator.challenge()),
        AuthError::Unavailable(reason) => {
            ApiError::unavailable("The token could not be validated.", &reason)
        }
    }
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    // A header that is there and cannot be read is shown as a token that is none.
    let text = |name: HeaderName| headers.get(name).map(|it| it.to_str().unwrap_or_default());
    Presented {
        token: text(TOKEN),
        bearer: text(header::AUTHORIZATION).and_then(bearer),
        service_token: text(SERVICE_TOKEN),
    }
}

/// The token in an `Authorization` of the scheme `Bearer`.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn a_bearer_token_is_behind_its_scheme() {
        for text in ["Bearer nsk_1", "bearer nsk_1", "BEARER  nsk_1 "] {
            assert_eq!(bearer(text), Some("nsk_1"), "{text}");
        }
        for text in ["", "nsk_1", "Bearer", "Basic nsk_1", " Bearer nsk_1", "Bearer\tnsk_1"] {
            assert_eq!(bearer(text), None, "{text}");
        }
    }
}
