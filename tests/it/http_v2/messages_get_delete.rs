//! Single messages and messages by id: get, delete, pop.

use serde_json::{Value, json};

use crate::support::{TestApp, bodies, id_of};

const UNABLE: &str = "Unable to delete";
const CLAIMED: &str = "This message is claimed; it cannot be deleted without a valid claim ID.";
const API: &str = "Invalid API request";

#[test]
fn one_message_by_its_address() {
    let app = TestApp::start();
    let href = app
        .post_messages("orders", &[json!({"ttl": 300, "body": {"event": "order.created"}})])
        .remove(0);
    app.advance(14);
    let (claim, _) = app.claim("orders", 1, json!({"ttl": 300, "grace": 60}));
    app.advance(6);
    assert_eq!(
        app.get(&href).expect(200).json(),
        json!({
            "id": id_of(&href),
            "href": format!("{href}?claim_id={}", id_of(&claim)),
            "ttl": 360,
            "age": 20,
            "body": {"event": "order.created"},
        })
    );
    let sentence = |id: &str, queue: &str| {
        format!("Message {id} does not exist in queue {queue} for project acme")
    };
    let id = id_of(&href);
    for (queue, id) in [("orders", "nope"), ("orders", "6c1f00a2b7d4e1593a0c4d10"), ("other", id)] {
        app.get(&format!("/v2/queues/{queue}/messages/{id}")).refused(
            404,
            "Not found",
            &sentence(id, queue),
        );
    }
    app.get(&href).header("X-Project-ID", "other").expect(404);
}

#[test]
fn messages_by_their_ids() {
    let app = TestApp::start();
    let hrefs = app.post_bodies("orders", &[json!("a"), json!("b"), json!("c")]);
    let ids: Vec<_> = hrefs.iter().map(|href| id_of(href)).collect();
    let get = |ids: &str| app.get(&format!("/v2/queues/orders/messages?ids={ids}"));
    app.claim("orders", 1, json!({}));
    let found = get(&format!("{},nope,{},{}&limit=x&echo=maybe", ids[2], ids[0], ids[2]));
    let found = found.expect(200).json();
    assert_eq!(bodies(&found["messages"]), [json!("a"), json!("c")], "as they were posted");
    assert_eq!(found.get("links"), None);

    get("nope,6c1f00a2b7d4e1593a0c4d11").refused(
        404,
        "Not found",
        "No messages with IDs: ['nope', '6c1f00a2b7d4e1593a0c4d11'] found in the queue orders for \
         project acme.",
    );
    app.get(&format!("/v2/queues/other/messages?ids={}", ids[0])).expect(404);
    let limit = "Limit must be at least 1 and may not be greater than 20.";
    get(&vec![ids[0]; 20].join(",")).expect(200);
    get(&vec![ids[0]; 21].join(",")).refused(400, API, limit);
    get(",").refused(400, API, limit);
    // No ids at all is a listing.
    assert!(get("").expect(200).json().get("links").is_some());
}

#[test]
fn deleting_one_message() {
    let app = TestApp::start();
    let hrefs = app.post_bodies("q", &[json!(1), json!(2), json!(3)]);
    let any_claim = "6c1f00b0b7d4e1593a0c4d20";
    let with = |href: &str, claim: &str| app.delete(&format!("{href}?claim_id={claim}"));
    let not_claimed = "A claim was specified, but the message is not currently claimed.";
    let malformed = "The specified claim does not exist or has expired.";

    // Never claimed.
    with(&hrefs[0], any_claim).refused(400, UNABLE, not_claimed);
    with(&hrefs[0], "bad").refused(400, UNABLE, malformed);
    with("/v2/queues/none/messages/6c1f00a2b7d4e1593a0c4d10", "bad")
        .refused(400, UNABLE, malformed);
    with("/v2/queues/none/messages/bad", "bad").expect(204);
    with("/v2/queues/q/messages/6c1f00a2b7d4e1593a0c4d10", any_claim).expect(204);
    app.delete("/v2/queues/q/messages/6c1f00a2b7d4e1593a0c4d10").expect(204);

    // Claimed.
    let (claim, _) = app.claim("q", 1, json!({"ttl": 60}));
    let claim = id_of(&claim);
    app.delete(&hrefs[0]).refused(403, UNABLE, CLAIMED);
    with(&hrefs[0], "").refused(403, UNABLE, CLAIMED);
    with(&hrefs[0], any_claim).refused(403, UNABLE, CLAIMED);
    with(&hrefs[0], claim).expect(204);
    app.get(&hrefs[0]).expect(404);

    // Its claim expired: the old id works until somebody else has it.
    let (claim, _) = app.claim("q", 1, json!({"ttl": 60}));
    app.advance(60);
    with(&hrefs[1], any_claim).refused(400, UNABLE, not_claimed);
    with(&hrefs[1], id_of(&claim)).expect(204);

    // Released: the old id is worth nothing.
    let (claim, _) = app.claim("q", 1, json!({"ttl": 60}));
    app.delete(&claim).expect(204);
    with(&hrefs[2], id_of(&claim)).refused(400, UNABLE, not_claimed);
    app.delete(&hrefs[2]).expect(204);
    assert_eq!(app.bodies("q"), Vec::<Value>::new());
}

#[test]
fn an_expired_claim_does_not_open_what_somebody_else_claimed() {
    let app = TestApp::start();
    let href = app.post_bodies("q", &[json!(1)]).remove(0);
    let (old, _) = app.claim("q", 1, json!({"ttl": 60}));
    app.advance(60);
    app.claim("q", 1, json!({"ttl": 60}));
    let delete = app.delete(&format!("{href}?claim_id={}", id_of(&old)));
    delete.refused(403, UNABLE, CLAIMED);
}

#[test]
fn deleting_by_ids_asks_nobody() {
    let app = TestApp::start();
    let hrefs = app.post_bodies("q", &[json!(1), json!(2), json!(3)]);
    let ids: Vec<_> = hrefs.iter().map(|href| id_of(href)).collect();
    app.claim("q", 1, json!({}));
    let delete = |query: &str| app.delete(&format!("/v2/queues/q/messages?{query}"));
    delete(&format!("ids={},nope,{}&claim_ids=bad", ids[0], ids[1])).expect(204);
    assert_eq!(app.bodies("q"), [json!(3)]);
    app.delete(&format!("/v2/queues/other/messages?ids={}", ids[2])).expect(204);
    assert_eq!(app.bodies("q"), [json!(3)]);

    let limit = "ids parameter should have at least 1 and not greater than 20 values.";
    delete("ids=,").refused(400, API, limit);
    delete(&format!("ids={}", ["x"; 21].join(","))).refused(400, API, limit);
    delete(&format!("ids={}", ["x"; 20].join(","))).expect(204);
    delete("").refused(
        400,
        API,
        "The request should have either \"ids\" or \"pop\" parameter in the request, to be able to \
         delete.",
    );
    delete("ids=x&pop=1").refused(
        400,
        API,
        "pop and id params cannot be present together in the delete request.",
    );
}

#[test]
fn deleting_by_ids_may_ask_for_the_claims() {
    let app = TestApp::with(|settings| settings.transport.message_delete_with_claim_id = true);
    let hrefs = app.post_bodies("q", &[json!(1), json!(2)]);
    let ids: Vec<_> = hrefs.iter().map(|href| id_of(href)).collect();
    let (claim, _) = app.claim("q", 1, json!({}));
    let claim = id_of(&claim);
    let delete = |query: &str| app.delete(&format!("/v2/queues/q/messages?{query}"));
    let both = "The request should have both \"ids\" and \"claim_ids\" parameter in the request \
                when message_delete_with_claim_id is True.";
    delete(&format!("ids={}", ids[0])).refused(400, API, both);
    delete(&format!("pop=1&claim_ids={claim}")).refused(400, API, both);
    // No unclaimed message slips in, and no malformed id opens the door.
    delete(&format!("ids={},{}&claim_ids={claim}", ids[0], ids[1])).expect(400);
    delete(&format!("ids={}&claim_ids=bad", ids[0])).expect(400);
    delete(&format!("ids={}&claim_ids=6c1f00b0b7d4e1593a0c4d20", ids[0])).expect(403);
    assert_eq!(app.get("/v2/queues/q/stats").expect(200).json()["messages"]["total"], 2);
    delete(&format!("ids={}&claim_ids={claim}", ids[0])).expect(204);
    delete("pop=1").expect(200);
    assert_eq!(app.get("/v2/queues/q/stats").expect(200).json()["messages"]["total"], 0);
}

#[test]
fn popping_removes_what_it_returns() {
    let app = TestApp::start();
    let hrefs = app.post_messages(
        "orders",
        &[json!({"ttl": 300, "body": {"event": "order.created", "id": 17}}), json!({"body": 2})],
    );
    app.advance(33);
    let pop = |count: &str| app.delete(&format!("/v2/queues/orders/messages?pop={count}"));
    assert_eq!(
        pop("1").expect(200).json(),
        json!({"messages": [{
            "id": id_of(&hrefs[0]),
            "age": 33,
            "ttl": 300,
            "claim_count": 0,
            "body": {"event": "order.created", "id": 17},
            "claim_id": null,
        }]})
    );
    // What was claimed and is free again carries its last claim.
    let (claim, _) = app.claim("orders", 1, json!({"ttl": 60}));
    assert_eq!(pop("20").expect(200).json(), json!({"messages": []}));
    app.advance(60);
    let popped = pop("20").expect(200).json();
    assert_eq!(popped["messages"][0]["claim_id"], id_of(&claim));
    assert_eq!(popped["messages"][0]["claim_count"], 0);

    let none = app.delete("/v2/queues/none/messages?pop=1").expect(200).json();
    assert_eq!(none, json!({"messages": []}));
    assert_eq!(app.get("/v2/queues?name=none").expect(200).json()["queues"], json!([]));
    for bad in ["0", "21", "-1"] {
        pop(bad).refused(400, API, "Pop value must be at least 1 and may not be greater than 20.");
    }
    pop("all").refused(
        400,
        "Invalid parameter",
        "The \"pop\" parameter is invalid. The value must be an integer.",
    );
}
