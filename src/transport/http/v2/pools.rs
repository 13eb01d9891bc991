//! `/v2/pools`: list, make, look at, change, remove.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use crate::model::{FlavorName, Pool};
use crate::service::Service;
use crate::service::access::actions::{DeletePool, GetPool, ListPools, PutPool, UpdatePool};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known, segment};
use crate::transport::http::query::{Link, Query};
use crate::transport::http::{body, resource, wire};

/// What cannot be done when the store does not answer.
const UNREADABLE: &str = "Pools could not be read.";
const UNCHANGEABLE: &str = "Pool could not be changed.";

/// Mounts the list of pools and each single one.
pub fn routes(config: &mut ServiceConfig) {
    let one = resource::<Known<()>>("/v2/pools/{name:[^/]*}", "DELETE, GET, PATCH, PUT")
        .route(web::get().to(get))
        .route(web::put().to(put))
        .route(web::patch().to(update))
        .route(web::delete().to(delete));
    let all = resource::<Known<()>>("/v2/pools", "GET").route(web::get().to(list));
    config.service(one).service(all);
}

/// Makes or replaces a pool: 201 in both cases, as in Zaqar.
async fn put(
    service: Data<Service>,
    Granted { permit, .. }: Granted<PutPool>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = Value::Object(body::small_object(&request, payload).await?);
    let name = segment(&request, "name");
    service.put_pool(&permit, name, document).await.during(UNCHANGEABLE)?;
    Ok(wire::created(&format!("/v2/pools/{name}")))
}

/// A pool; with its options if they are asked for.
async fn get(
    service: Data<Service>,
    Granted { permit, .. }: Granted<GetPool>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let detailed = Query::parse(request.query_string()).boolean("detailed")?;
    let pool = service.get_pool(&permit, segment(&request, "name")).await.during(UNREADABLE)?;
    Ok(answer(&view(&pool, detailed == Some(true))))
}

/// Changes what the document names.
async fn update(
    service: Data<Service>,
    Granted { permit, .. }: Granted<UpdatePool>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = Value::Object(body::small_object(&request, payload).await?);
    let name = segment(&request, "name");
    let pool = service.update_pool(&permit, name, document).await.during(UNCHANGEABLE)?;
    Ok(answer(&view(&pool, false)))
}

/// Removes a pool that nothing depends on.
async fn delete(
    service: Data<Service>,
    Granted { permit, .. }: Granted<DeletePool>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let deleted = service.delete_pool(&permit, segment(&request, "name")).await;
    deleted.during(UNCHANGEABLE)?;
    Ok(HttpResponse::NoContent().finish())
}

/// A page of pools.
async fn list(
    service: Data<Service>,
    Granted { permit, .. }: Granted<ListPools>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let (limit, detailed) = (query.integer("limit")?, query.boolean("detailed")?);
    let marker = query.text("marker");
    let pools = service.list_pools(&permit, marker, limit).await.during(UNREADABLE)?;
    let next = pools.last().map(|last| {
        Link::to("/v2/pools".to_owned())
            .with_some("marker", marker.is_some().then_some(&last.name))
            .with_some("limit", limit)
            .with_some("detailed", detailed)
            .with_some("marker", marker.is_none().then_some(&last.name))
            .href()
    });
    let views: Vec<_> = pools.iter().map(|pool| view(pool, detailed == Some(true))).collect();
    let mut answer = answer(&json!({"links": wire::next_page(next), "pools": views}));
    if let Ok(location) = HeaderValue::try_from(request.uri().to_string()) {
        answer.headers_mut().insert(header::CONTENT_LOCATION, location);
    }
    Ok(answer)
}

fn view(pool: &Pool, detailed: bool) -> Value {
    let mut view = Map::new();
    view.insert("name".into(), pool.name.as_str().into());
    view.insert("flavor".into(), pool.flavor.as_ref().map(FlavorName::as_str).into());
    view.insert("uri".into(), pool.uri.as_str().into());
    view.insert("weight".into(), pool.weight.into());
    if detailed {
        view.insert("options".into(), pool.options.clone().into());
    }
    view.insert("href".into(), format!("/v2/pools/{}", pool.name).into());
    view.into()
}

fn answer(document: &Value) -> HttpResponse {
    wire::json(StatusCode::OK, document.to_string().into_bytes())
}
