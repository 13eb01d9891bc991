//! `/v2/`: the home document, a machine-readable list of what is served.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Administration;
use crate::transport::http::extract::Known;
use crate::transport::http::resource;

/// One relation: its name, its address, the methods it has, and the variables
/// in the address that are described by another name than their own.
struct Relation {
    name: &'static str,
    href: &'static str,
    allow: &'static [&'static str],
    aliases: &'static [(&'static str, &'static str)],
}

const fn relation(
    name: &'static str,
    href: &'static str,
    allow: &'static [&'static str],
    aliases: &'static [(&'static str, &'static str)],
) -> Relation {
    Relation { name, href, allow, aliases }
}

/// What everybody can use. `rel/message_delete` names the parameter `claim`,
/// as Zaqar's document does; what the server reads is `claim_id`.
const RELATIONS: [Relation; 15] = [
    relation("queues", "/v2/queues{?marker,limit,detailed}", &["GET"], &[("limit", "queue_limit")]),
    relation("queue", "/v2/queues/{queue_name}", &["GET", "PUT", "DELETE", "PATCH"], &[]),
    relation("queue_stats", "/v2/queues/{queue_name}/stats", &["GET"], &[]),
    relation("queue_share", "/v2/queues/{queue_name}/share", &["POST"], &[]),
    relation("queue_purge", "/v2/queues/{queue_name}/purge", &["POST"], &[]),
    relation(
        "messages",
        "/v2/queues/{queue_name}/messages{?marker,limit,echo,include_claimed}",
        &["GET"],
        &[("limit", "messages_limit")],
    ),
    relation("post_messages", "/v2/queues/{queue_name}/messages", &["POST"], &[]),
    relation("messages_delete", "/v2/queues/{queue_name}/messages{?ids,pop}", &["DELETE"], &[]),
    relation(
        "message_delete",
        "/v2/queues/{queue_name}/messages/{message_id}{?claim}",
        &["DELETE"],
        &[("claim", "claim_id")],
    ),
    relation("message_get", "/v2/queues/{queue_name}/messages/{message_id}", &["GET"], &[]),
    relation("claim", "/v2/queues/{queue_name}/claims/{claim_id}", &["GET"], &[]),
    relation(
        "post_claim",
        "/v2/queues/{queue_name}/claims{?limit}",
        &["POST"],
        &[("limit", "claim_limit")],
    ),
    relation("patch_claim", "/v2/queues/{queue_name}/claims/{claim_id}", &["PATCH"], &[]),
    relation("delete_claim", "/v2/queues/{queue_name}/claims/{claim_id}", &["DELETE"], &[]),
    relation("ping", "/v2/ping", &["GET"], &[]),
];

/// What administrators can use besides, where there are pools.
const POOL_RELATIONS: [Relation; 4] = [
    relation("pools", "/v2/pools{?detailed,limit,marker}", &["GET"], &[("limit", "pool_limit")]),
    relation("pool", "/v2/pools/{pool_name}", &["GET", "PUT", "PATCH", "DELETE"], &[]),
    relation(
        "flavors",
        "/v2/flavors{?detailed,limit,marker}",
        &["GET"],
        &[("limit", "flavor_limit")],
    ),
    relation("flavor", "/v2/flavors/{flavor_name}", &["GET", "PUT", "PATCH", "DELETE"], &[]),
];

/// What they can use in any case.
const HEALTH_RELATION: Relation = relation("health", "/v2/health", &["GET"], &[]);

impl Relation {
    fn document(&self) -> Value {
        let mut document = Map::new();
        // The one address that is no template in Zaqar's document either.
        let kind = if self.name == "health" { "href" } else { "href-template" };
        document.insert(kind.into(), self.href.into());
        let variables = self.variables();
        if !variables.is_empty() {
            document.insert("href-vars".into(), Value::Object(variables));
        }
        let mut hints = json!({ "allow": self.allow, "formats": { "application/json": {} } });
        if matches!(self.allow, ["POST"]) || self.name == "patch_claim" {
            hints["accept-post"] = json!(["application/json"]);
        }
        document.insert("hints".into(), hints);
        Value::Object(document)
    }

    /// The names between braces, each with the name it is described by.
    fn variables(&self) -> Map<String, Value> {
        self.href
            .split('{')
            .skip(1)
            .filter_map(|part| part.split('}').next())
            .flat_map(|names| names.trim_start_matches('?').split(','))
            .map(|name| {
                let alias = self.aliases.iter().find(|(own, _)| *own == name);
                let described = alias.map_or(name, |(_, other)| other);
                (name.to_owned(), format!("param/{described}").into())
            })
            .collect()
    }
}

/// The whole document.
fn document(administration: Administration) -> Value {
    let pools: &[Relation] = if administration.pools { &POOL_RELATIONS } else { &[] };
    let health = administration.health.then_some(&HEALTH_RELATION);
    let relations = RELATIONS.iter().chain(pools).chain(health);
    let resources: Map<_, _> =
        relations.map(|relation| (format!("rel/{}", relation.name), relation.document())).collect();
    json!({ "resources": resources })
}

/// Mounts `/v2/`; the document is written once.
pub fn routes(config: &mut ServiceConfig, administration: Administration) {
    let document = Bytes::from(format!("{:#}", document(administration)));
    let get = move |_: Known<()>| {
        let document = document.clone();
        async move {
            HttpResponse::Ok()
                .insert_header((
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json-home"),
                ))
                .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400")))
                .body(document)
        }
    };
    config.service(resource::<Known<()>>("/v2/", "GET").route(web::get().to(get)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Administration, document};

    const NOBODY: Administration = Administration { health: false, pools: false };

    #[test]
    fn relations_describe_their_variables() {
        let document = document(NOBODY);
        assert_eq!(
            document["resources"]["rel/messages"],
            json!({
                "href-template":
                    "/v2/queues/{queue_name}/messages{?marker,limit,echo,include_claimed}",
                "href-vars": {
                    "queue_name": "param/queue_name",
                    "marker": "param/marker",
                    "limit": "param/messages_limit",
                    "echo": "param/echo",
                    "include_claimed": "param/include_claimed",
                },
                "hints": { "allow": ["GET"], "formats": { "application/json": {} } },
            })
        );
        assert_eq!(
            document["resources"]["rel/patch_claim"]["hints"],
            json!({
                "allow": ["PATCH"],
                "formats": { "application/json": {} },
                "accept-post": ["application/json"],
            })
        );
        assert_eq!(document["resources"]["rel/ping"].get("href-vars"), None);
    }

    #[test]
    fn administrators_see_more() {
        let count = |health, pools| {
            let document = document(Administration { health, pools });
            document["resources"].as_object().unwrap().len()
        };
        assert_eq!((count(false, false), count(true, false), count(true, true)), (15, 16, 20));
        let document = document(Administration { health: true, pools: true });
        assert_eq!(document["resources"]["rel/health"]["href"], "/v2/health");
        assert_eq!(
            document["resources"]["rel/pools"],
            json!({
                "href-template": "/v2/pools{?detailed,limit,marker}",
                "href-vars": {
                    "detailed": "param/detailed",
                    "limit": "param/pool_limit",
                    "marker": "param/marker",
                },
                "hints": { "allow": ["GET"], "formats": { "application/json": {} } },
            })
        );
    }
}
