//! Queues in several stores: two real databases and an embedded one, behind
//! servers whose own store is an embedded one or a third database.

#![allow(clippy::needless_pass_by_value, reason = "tests write a document where it is used")]

mod deliveries;
mod down;
mod places;
mod races;
mod subscriptions;
mod topics;

use nusku::config::Settings;
use serde_json::{Value, json};

use crate::support::mongod::{Databases, Mongod, shared};
use crate::support::{Request, TestApp};

/// The stores, and what is known about them.
struct Site {
    folder: tempfile::TempDir,
    /// Where what is known is kept; in `folder` if it is `None`.
    management: Option<Databases>,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), management: None }
    }

    async fn on_mongodb() -> Self {
        let management = Some(Databases::on(shared::single().await));
        Self { folder: tempfile::tempdir().unwrap(), management }
    }

    /// A server over it.
    fn server(&self) -> Server {
        self.server_with(|_| {})
    }

    fn server_with(&self, change: impl FnOnce(&mut Settings)) -> Server {
        Server(TestApp::whole(|settings| {
            settings.admin_mode = true;
            settings.pooling.enabled = true;
            settings.pooling.probe_timeout = 60;
            settings.storage.mongodb.max_wait = 2;
            settings.storage.uri = match &self.management {
                Some(databases) => databases.uri.clone(),
                None => format!("embedded:{}", self.folder.path().join("own").display()),
            };
            if let Some(databases) = &self.management {
                settings.storage.mongodb.database.clone_from(&databases.prefix);
            }
            change(settings);
        }))
    }

    /// The URI of an embedded pool.
    fn embedded(&self, name: &str) -> String {
        format!("embedded:{}", self.folder.path().join(name).display())
    }
}

/// The URI of a MongoDB.
fn alone(mongod: &Mongod) -> String {
    format!("mongodb://127.0.0.1:{}/", mongod.port())
}

/// A server with pools.
struct Server(TestApp);

impl Server {
    fn admin(&self, method: &str, path: &str) -> Request {
        self.0.request(method, path).header("X-Roles", "admin")
    }

    fn pool(&self, name: &str, uri: &str, weight: u32, options: Value) {
        let pool = json!({"uri": uri, "weight": weight, "options": options});
        self.admin("PUT", &format!("/v2/pools/{name}")).json(&pool).expect(201);
    }

    fn flavor(&self, name: &str, pools: &[&str]) {
        let flavor = json!({"pool_list": pools});
        self.admin("PUT", &format!("/v2/flavors/{name}")).json(&flavor).expect(201);
    }

    /// A queue with that flavor and one message, which says its name.
    fn queue(&self, name: &str, flavor: &str) {
        self.0.queue(name, json!({"_flavor": flavor}));
        self.0.post_bodies(name, &[json!(name)]);
    }

    fn health(&self) -> Value {
        self.admin("GET", "/v2/health").expect(200).json()
    }

    /// How many messages there are in a pool.
    fn volume(&self, pool: &str) -> u64 {
        self.health()[pool]["message_volume"]["total"].as_u64().unwrap()
    }

    /// How many messages the stats of a queue tell of.
    fn total(&self, queue: &str) -> u64 {
        let stats = self.0.get(&format!("/v2/queues/{queue}/stats")).expect(200).json();
        stats["messages"]["total"].as_u64().unwrap()
    }

    /// The names of all queues, page by page.
    fn queues(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut path = "/v2/queues?limit=20".to_owned();
        loop {
            let page = self.0.get(&path).expect(200).json();
            let queues = page["queues"].as_array().unwrap().clone();
            if queues.is_empty() {
                return names;
            }
            names.extend(queues.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
            page["links"][0]["href"].as_str().unwrap().clone_into(&mut path);
        }
    }
}
