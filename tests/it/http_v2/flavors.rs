//! Flavors: kinds of store that the queues of a project can ask for.

use serde_json::json;

use super::pools::Pooled;

const ALL: [&str; 5] = ["FIFO", "CLAIMS", "DURABILITY", "AOD", "HIGH_THROUGHPUT"];

fn with_pools() -> Pooled {
    let pooled = Pooled::start();
    for name in ["a", "b", "c"] {
        pooled.pool(name, 1);
    }
    pooled
}

#[test]
fn everybody_may_look_and_administrators_may_change() {
    let pooled = with_pools();
    let said = "You are not authorized to complete this action.";
    for method in ["PUT", "PATCH", "DELETE"] {
        pooled.app.request(method, "/v2/flavors/f").refused(403, "Not authorized", said);
    }
    pooled.put("/v2/flavors/f", json!({"pool_list": ["a"]})).expect(201);
    pooled.app.get("/v2/flavors/f").expect(200);
    pooled.app.get("/v2/flavors").expect(200);
    let other = pooled.app.get("/v2/flavors/f").header("X-Project-ID", "other");
    other.refused(404, "Not found", "Flavor f does not exist");
}

#[test]
fn a_flavor_lives() {
    let pooled = with_pools();
    let made = pooled.put("/v2/flavors/f", json!({"pool_list": ["b", "a"], "capabilities": {}}));
    assert_eq!(made.expect(201).header("location"), Some("/v2/flavors/f"));
    assert_eq!(
        pooled.app.get("/v2/flavors/f").expect(200).json(),
        json!({
            "name": "f", "capabilities": ALL, "pool_list": ["a", "b"], "href": "/v2/flavors/f",
        })
    );
    // Named again, it gets more pools and loses none.
    pooled.put("/v2/flavors/f", json!({"pool_list": ["c"]})).expect(201);
    let pools = |path: &str| pooled.app.get(path).expect(200).json()["pool_list"].clone();
    assert_eq!(pools("/v2/flavors/f"), json!(["a", "b", "c"]));
    // A pool has one flavor.
    pooled.put("/v2/flavors/g", json!({"pool_list": ["c"]})).expect(201);
    assert_eq!(pools("/v2/flavors/f"), json!(["a", "b"]));

    let change = pooled.admin("PATCH", "/v2/flavors/f").json(&json!({"pool_list": ["b"], "x": 1}));
    assert_eq!(
        change.expect(200).json(),
        json!({"name": "f", "capabilities": ALL, "pool_list": ["b"], "href": "/v2/flavors/f"})
    );
    assert_eq!(pooled.admin("GET", "/v2/pools/a").expect(200).json()["flavor"], json!(null));

    pooled.admin("DELETE", "/v2/flavors/f").expect(204);
    pooled.admin("DELETE", "/v2/flavors/f").expect(204);
    pooled.app.get("/v2/flavors/f").expect(404);
    assert_eq!(pooled.admin("GET", "/v2/pools/b").expect(200).json()["flavor"], json!(null));
}

#[test]
fn a_page_of_flavors() {
    let pooled = with_pools();
    let empty = pooled.app.get("/v2/flavors").expect(200).json();
    assert_eq!(empty, json!({"links": [], "flavors": []}));
    pooled.put("/v2/flavors/f", json!({"pool_list": ["a"]})).expect(201);
    pooled.put("/v2/flavors/g", json!({"pool_list": ["a"]})).expect(201);
    assert_eq!(
        pooled.app.get("/v2/flavors?detailed=true").expect(200).json(),
        json!({
            "links": [{"rel": "next", "href": "/v2/flavors?marker=g&detailed=true"}],
            "flavors": [
                {"name": "f", "href": "/v2/flavors/f", "capabilities": []},
                {"name": "g", "href": "/v2/flavors/g", "pool_list": ["a"], "capabilities": ALL},
            ],
        })
    );
    let page = pooled.app.get("/v2/flavors?limit=1&marker=f&detailed=false").expect(200).json();
    assert_eq!(
        page["flavors"],
        json!([{"name": "g", "href": "/v2/flavors/g", "pool_list": ["a"]}])
    );
    assert_eq!(page["links"][0]["href"], "/v2/flavors?marker=g&limit=1&detailed=false");
    let said = "Limit must be at least 1 and no greater than 20.";
    pooled.app.get("/v2/flavors?limit=21").refused(400, "Invalid API request", said);
}

#[test]
fn what_does_not_describe_a_flavor_is_refused() {
    let pooled = with_pools();
    let bad = "Invalid request body";
    for (body, title, said) in [
        (json!({}), bad, "\"pool_list\" is a required property"),
        (json!({"pool_list": "a"}), bad, "pool_list: value is not of type \"array\""),
        (
            json!({"pool_list": ["a"], "pool": 1}),
            bad,
            "Additional properties are not allowed ('pool' was unexpected)",
        ),
        (
            json!({"pool_list": []}),
            "Unable to create",
            "Flavor f could not be created, error:pool_list must name at least one pool.",
        ),
        (
            json!({"pool_list": ["a", "nope"]}),
            "Unable to create",
            "Flavor f could not be created, error:Pool nope does not exist",
        ),
    ] {
        pooled.put("/v2/flavors/f", body).refused(400, title, said);
    }
    pooled.put("/v2/flavors/f", json!({"pool_list": ["a"]})).expect(201);
    let patch = |body| pooled.admin("PATCH", "/v2/flavors/f").json(&body);
    patch(json!({"capabilities": {}})).refused(400, bad, "`pool_list` needs to be specified");
    let said = "pool_list must name at least one pool.";
    patch(json!({"pool_list": []})).refused(400, "Unable to create", said);
    let said = "Flavor f cant be updated, error:Pool nope does not exist";
    patch(json!({"pool_list": ["nope"]})).refused(400, "updatefail", said);
    let unknown = pooled.admin("PATCH", "/v2/flavors/g").json(&json!({"pool_list": ["a"]}));
    unknown.refused(404, "Not found", "Flavor g does not exist");
}

#[test]
fn queues_go_where_their_flavor_says() {
    let pooled = with_pools();
    pooled.put("/v2/flavors/f", json!({"pool_list": ["b"]})).expect(201);
    let said = "Flavor gold does not exist";
    let unknown = pooled.app.put("/v2/queues/q", json!({"_flavor": "gold"}));
    unknown.refused(400, "Invalid API request", said);
    pooled.app.queue("q", json!({"_flavor": "f"}));
    pooled.app.post_bodies("q", &[json!(1)]);
    let volume = |pool: &str| {
        let health = pooled.admin("GET", "/v2/health").expect(200).json();
        health[pool]["message_volume"]["total"].as_u64().unwrap()
    };
    assert_eq!((volume("a"), volume("b"), volume("c")), (0, 1, 0));

    let patch = |value| {
        let change = json!([{"op": "replace", "path": "/metadata/_flavor", "value": value}]);
        let media_type = "application/openstack-messaging-v2.0-json-patch";
        pooled.app.patch("/v2/queues/q", change).header("Content-Type", media_type)
    };
    patch("gold").refused(400, "Invalid request body", said);
    pooled.put("/v2/flavors/g", json!({"pool_list": ["c"]})).expect(201);
    let said = "Queue q holds messages; its _flavor can be changed only while it is empty.";
    patch("g").refused(409, "Resource conflict", said);
    assert_eq!(pooled.app.bodies("q"), [json!(1)]);
    pooled.app.delete("/v2/queues/q/messages?pop=1").expect(200);
    patch("g").expect(200);
    pooled.app.post_bodies("q", &[json!(2)]);
    assert_eq!((volume("b"), volume("c")), (0, 1));
}
