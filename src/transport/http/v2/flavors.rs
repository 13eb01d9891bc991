//! `/v2/flavors`: list, make, look at, change, remove.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use crate::model::{PoolName, ProjectId};
use crate::service::access::actions::{
    DeleteFlavor, GetFlavor, ListFlavors, PutFlavor, UpdateFlavor,
};
use crate::service::{FlavorView, Service};
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known, segment};
use crate::transport::http::query::{Link, Query};
use crate::transport::http::{body, resource, wire};

/// What cannot be done when the store does not answer.
const UNREADABLE: &str = "Flavors could not be read.";
const UNCHANGEABLE: &str = "Flavor could not be changed.";

/// Mounts the list of flavors and each single one.
pub fn routes(config: &mut ServiceConfig) {
    let path = "/v2/flavors/{name:[^/]*}";
    let one = resource::<Known<ProjectId>>(path, "DELETE, GET, PATCH, PUT")
        .route(web::get().to(get))
        .route(web::put().to(put))
        .route(web::patch().to(update))
        .route(web::delete().to(delete));
    let all = resource::<Known<ProjectId>>("/v2/flavors", "GET").route(web::get().to(list));
    config.service(one).service(all);
}

/// Makes a flavor or adds pools to it: 201 in both cases, as in Zaqar.
async fn put(
    service: Data<Service>,
    Granted { permit, .. }: Granted<PutFlavor>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = Value::Object(body::small_object(&request, payload).await?);
    let name = segment(&request, "name");
    service.put_flavor(&permit, name, &document).await.during(UNCHANGEABLE)?;
    Ok(wire::created(&format!("/v2/flavors/{name}")))
}

/// A flavor with its pools and what they can do.
async fn get(
    service: Data<Service>,
    Granted { permit, .. }: Granted<GetFlavor>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let flavor = service.get_flavor(&permit, segment(&request, "name")).await;
    Ok(answer(&view(&flavor.during(UNREADABLE)?)))
}

/// Gives a flavor other pools.
async fn update(
    service: Data<Service>,
    Granted { permit, .. }: Granted<UpdateFlavor>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let document = Value::Object(body::small_object(&request, payload).await?);
    let name = segment(&request, "name");
    let flavor = service.update_flavor(&permit, name, &document).await;
    Ok(answer(&view(&flavor.during(UNCHANGEABLE)?)))
}

/// Removes a flavor.
async fn delete(
    service: Data<Service>,
    Granted { permit, .. }: Granted<DeleteFlavor>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let deleted = service.delete_flavor(&permit, segment(&request, "name")).await;
    deleted.during(UNCHANGEABLE)?;
    Ok(HttpResponse::NoContent().finish())
}

/// A page of the project's flavors.
async fn list(
    service: Data<Service>,
    Granted { permit, .. }: Granted<ListFlavors>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let (limit, detailed) = (query.integer("limit")?, query.boolean("detailed")?);
    let marker = query.text("marker");
    let flavors = service.list_flavors(&permit, marker, limit).await.during(UNREADABLE)?;
    let next = flavors.last().map(|last| {
        Link::to("/v2/flavors".to_owned())
            .with_some("marker", marker.is_some().then_some(&last.name))
            .with_some("limit", limit)
            .with_some("marker", marker.is_none().then_some(&last.name))
            .with_some("detailed", detailed)
            .href()
    });
    let entry = |flavor| entry(flavor, detailed == Some(true));
    let entries: Vec<_> = flavors.iter().map(entry).collect();
    Ok(answer(&json!({"links": wire::next_page(next), "flavors": entries})))
}

fn view(flavor: &FlavorView) -> Value {
    json!({
        "name": flavor.name.as_str(),
        "capabilities": capabilities(flavor),
        "pool_list": pools(flavor),
        "href": href(flavor),
    })
}

/// A flavor in a page, where Zaqar leaves out what is empty or not asked for.
fn entry(flavor: &FlavorView, detailed: bool) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), flavor.name.as_str().into());
    entry.insert("href".into(), href(flavor).into());
    if !flavor.pools.is_empty() {
        entry.insert("pool_list".into(), pools(flavor));
    }
    if detailed {
        entry.insert("capabilities".into(), capabilities(flavor));
    }
    entry.into()
}

fn href(flavor: &FlavorView) -> String {
    format!("/v2/flavors/{}", flavor.name)
}

fn pools(flavor: &FlavorView) -> Value {
    flavor.pools.iter().map(PoolName::as_str).collect()
}

fn capabilities(flavor: &FlavorView) -> Value {
    flavor.capabilities.iter().map(|capability| capability.as_str()).collect()
}

fn answer(document: &Value) -> HttpResponse {
    wire::json(StatusCode::OK, document.to_string().into_bytes())
}
