//! Every rule against every endpoint.

use std::collections::BTreeSet;
use std::fs;

use nusku::service::access::actions;
use serde_json::json;

use crate::support::{Request, TestApp};

/// The rule of each endpoint. A body, where there is one, is bad: the policy
/// comes before it.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    ("queues:get_all", "GET", "/v2/queues"),
    ("queues:create", "PUT", "/v2/queues/jobs"),
    ("queues:get", "GET", "/v2/queues/jobs"),
    ("queues:update", "PATCH", "/v2/queues/jobs"),
    ("queues:delete", "DELETE", "/v2/queues/gone"),
    ("queues:stats", "GET", "/v2/queues/jobs/stats"),
    ("queues:share", "POST", "/v2/queues/jobs/share"),
    ("queues:purge", "POST", "/v2/queues/jobs/purge"),
    ("messages:get_all", "GET", "/v2/queues/jobs/messages"),
    ("messages:get_all", "GET", "/v2/queues/jobs/messages?limit=much"),
    ("messages:get_all", "GET", "/v2/queues/jobs/messages?ids=none"),
    ("messages:create", "POST", "/v2/queues/jobs/messages"),
    ("messages:get", "GET", "/v2/queues/jobs/messages/none"),
    ("messages:delete", "DELETE", "/v2/queues/jobs/messages/none"),
    ("messages:delete_all", "DELETE", "/v2/queues/jobs/messages?ids=none"),
    ("messages:delete_all", "DELETE", "/v2/queues/jobs/messages?pop=1"),
    ("claims:create", "POST", "/v2/queues/jobs/claims"),
    ("claims:get", "GET", "/v2/queues/jobs/claims/none"),
    ("claims:update", "PATCH", "/v2/queues/jobs/claims/none"),
    ("claims:delete", "DELETE", "/v2/queues/jobs/claims/none"),
    ("subscription:get_all", "GET", "/v2/queues/jobs/subscriptions"),
    ("subscription:create", "POST", "/v2/queues/jobs/subscriptions"),
    ("subscription:get", "GET", "/v2/queues/jobs/subscriptions/none"),
    ("subscription:update", "PATCH", "/v2/queues/jobs/subscriptions/none"),
    ("subscription:delete", "DELETE", "/v2/queues/jobs/subscriptions/none"),
    ("subscription:confirm", "PUT", "/v2/queues/jobs/subscriptions/none/confirm"),
    ("topics:get_all", "GET", "/v2/topics"),
    ("topics:create", "PUT", "/v2/topics/jobs"),
    ("topics:get", "GET", "/v2/topics/jobs"),
    ("topics:update", "PATCH", "/v2/topics/jobs"),
    ("topics:delete", "DELETE", "/v2/topics/gone"),
    ("topics:stats", "GET", "/v2/topics/jobs/stats"),
    ("topics:purge", "POST", "/v2/topics/jobs/purge"),
    ("messages:get_all", "GET", "/v2/topics/jobs/messages"),
    ("messages:create", "POST", "/v2/topics/jobs/messages"),
    ("messages:get", "GET", "/v2/topics/jobs/messages/none"),
    ("messages:delete", "DELETE", "/v2/topics/jobs/messages/none"),
    ("messages:delete_all", "DELETE", "/v2/topics/jobs/messages?pop=1"),
    ("subscription:get_all", "GET", "/v2/topics/jobs/subscriptions"),
    ("subscription:create", "POST", "/v2/topics/jobs/subscriptions"),
    ("subscription:get", "GET", "/v2/topics/jobs/subscriptions/none"),
    ("subscription:update", "PATCH", "/v2/topics/jobs/subscriptions/none"),
    ("subscription:delete", "DELETE", "/v2/topics/jobs/subscriptions/none"),
    ("subscription:confirm", "PUT", "/v2/topics/jobs/subscriptions/none/confirm"),
    ("ping:get", "GET", "/v2/ping"),
    ("ping:get", "HEAD", "/v2/ping"),
    ("health:get", "GET", "/v2/health"),
];

/// The same of those that are served with pools only.
const OF_POOLS: &[(&str, &str, &str)] = &[
    ("pools:get_all", "GET", "/v2/pools"),
    ("pools:create", "PUT", "/v2/pools/p"),
    ("pools:get", "GET", "/v2/pools/p"),
    ("pools:update", "PATCH", "/v2/pools/p"),
    ("pools:delete", "DELETE", "/v2/pools/p"),
    ("flavors:get_all", "GET", "/v2/flavors"),
    ("flavors:create", "PUT", "/v2/flavors/f"),
    ("flavors:get", "GET", "/v2/flavors/f"),
    ("flavors:update", "PATCH", "/v2/flavors/f"),
    ("flavors:delete", "DELETE", "/v2/flavors/f"),
];

/// What no rule is about.
const FREE: &[(&str, &str)] = &[("GET", "/v2/"), ("GET", "/")];

fn app(directory: &tempfile::TempDir, rules: &str) -> TestApp {
    let path = directory.path().join("policy.yaml");
    fs::write(&path, rules).unwrap();
    TestApp::with(|settings| {
        settings.admin_mode = true;
        settings.policy.file = Some(path.display().to_string());
    })
}

fn request(app: &TestApp, method: &str, path: &str) -> Request {
    let request = app.request(method, path).header("X-Roles", "member,admin");
    if matches!(method, "POST" | "PUT" | "PATCH") { request.body("{ not JSON") } else { request }
}

/// Sends a request to each of `endpoints`, of which only those of one rule are
/// to be refused.
fn only_forbids(app: &TestApp, forbidden: &str, endpoints: &[(&str, &str, &str)]) {
    for (rule, method, path) in endpoints {
        let request = request(app, method, path);
        if *rule != forbidden {
            let answer = request.expect_any();
            assert_ne!(answer.status, 403, "{forbidden}: {method} {path}: {}", answer.text());
        } else if *method == "HEAD" {
            request.expect(403);
        } else {
            let description = "You are not authorized to complete this action.";
            request.refused(403, "Not authorized", description);
        }
    }
}

#[test]
fn a_rule_forbids_its_endpoints_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let app = app(&directory, "{}");
    app.queue("jobs", json!({}));
    let rules: BTreeSet<_> = ENDPOINTS.iter().map(|(rule, ..)| *rule).collect();
    for forbidden in rules {
        let text = format!("\"{forbidden}\": \"!\"");
        fs::write(directory.path().join("policy.yaml"), text).unwrap();
        app.reload_policy();
        only_forbids(&app, forbidden, ENDPOINTS);
        for (method, path) in FREE {
            assert_ne!(request(&app, method, path).expect_any().status, 403);
        }
    }
}

#[test]
fn a_rule_of_pools_forbids_its_endpoint_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    for (forbidden, ..) in OF_POOLS {
        fs::write(&path, format!("\"{forbidden}\": \"!\"")).unwrap();
        let app = TestApp::whole(|settings| {
            settings.admin_mode = true;
            settings.pooling.enabled = true;
            settings.policy.file = Some(path.display().to_string());
            settings.storage.uri = format!("embedded:{}", directory.path().display());
        });
        only_forbids(&app, forbidden, OF_POOLS);
    }
}

#[test]
fn every_action_has_its_endpoint() {
    let tried: BTreeSet<_> = ENDPOINTS.iter().chain(OF_POOLS).map(|(rule, ..)| *rule).collect();
    assert_eq!(tried, actions::ALL.iter().map(|action| action.name).collect());
}

#[test]
fn the_reference_names_every_rule() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/api-ref/policy.md");
    let page = fs::read_to_string(page).unwrap();
    for action in actions::ALL {
        let default = match action.default {
            "" => String::new(),
            check => format!(" `{check}`"),
        };
        let row = format!("| `{}` |{default} |", action.name);
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn what_is_wrong_before_the_policy_is_told_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let app = app(&directory, "\"queues:get\": \"!\"");
    app.get("/v2/queues/jobs").without("Client-ID").expect(400);
    app.get("/v2/queues/no%20name").expect(400);
    app.request("POST", "/v2/queues/jobs").expect(405);
    app.get("/v2/nowhere").expect(404);
    app.request("OPTIONS", "/v2/queues/jobs").expect(200);
}

#[test]
fn roles_and_projects_and_queues_decide() {
    let directory = tempfile::tempdir().unwrap();
    let rules = "
writer: role:writer or role:%(queue_name)s-writer
messages:create: rule:writer and project_id:%(project_id)s
messages:get_all: role:reader or rule:writer
";
    let app = app(&directory, rules);
    app.queue("jobs", json!({}));
    let post = |roles: &str| {
        let body = json!({ "messages": [{ "body": 1 }] });
        app.post("/v2/queues/jobs/messages", body).header("X-Roles", roles).expect_any().status
    };
    let list = |roles: &str| {
        app.get("/v2/queues/jobs/messages").header("X-Roles", roles).expect_any().status
    };
    for (roles, posts, lists) in [
        ("", 403, 403),
        ("reader", 403, 200),
        ("Writer", 201, 200),
        ("other, jobs-writer", 201, 200),
        ("mail-writer", 403, 403),
    ] {
        assert_eq!((post(roles), list(roles)), (posts, lists), "{roles:?}");
    }
}

#[test]
fn a_first_post_needs_no_right_to_make_queues() {
    let directory = tempfile::tempdir().unwrap();
    let app = app(&directory, "\"queues:create\": \"!\"");
    app.post_bodies("jobs", &[json!(1)]);
    app.put("/v2/queues/other", json!({})).expect(403);
}
