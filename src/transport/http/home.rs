//! `GET /`: which versions of the API there are.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};

use super::extract::Reader;
use super::{resource, wire};

/// Version 2 is the only one. The date is Zaqar's.
const VERSIONS: &str = r#"{"versions":[{"id":"2","status":"CURRENT","updated":"2014-9-24T04:06:47Z","media-types":[{"base":"application/json","type":"application/vnd.openstack.messaging-v2+json"}],"links":[{"href":"/v2/","rel":"self"}]}]}"#;

/// Mounts `/`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource::<Reader>("/", "GET").route(web::get().to(versions)));
}

/// The versions, for anybody.
async fn versions(_: Reader) -> HttpResponse {
    wire::json(StatusCode::MULTIPLE_CHOICES, VERSIONS.into())
}
