//! `_enable_encrypt_messages`: bodies are sealed at rest and open on every way
//! out, for as long as there are their keys.

use nusku::config::Settings;
use serde_json::{Value, json};

use crate::support::{TestApp, bodies, id_of};

const PATCH: &str = "application/openstack-messaging-v2.0-json-patch";
const OLD: &str = "2026-10:an-old-secret-of-at-least-32-characters";
const NEW: &str = "2026-11:a-newer-secret-of-at-least-32-characters";

fn keys(keys: &'static [&'static str]) -> impl FnOnce(&mut Settings) {
    |settings| settings.encryption.keys = keys.iter().map(|&key| key.to_owned()).collect()
}

/// A server with one key, and a queue `q` that wants its messages sealed.
fn sealing() -> TestApp {
    let app = TestApp::with(keys(&[OLD]));
    app.queue("q", json!({"_enable_encrypt_messages": true}));
    app
}

/// Everything that lies in the files of the store.
fn files(app: &TestApp) -> Vec<u8> {
    let entries = std::fs::read_dir(app.directory()).unwrap();
    entries.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn every_way_out_opens_what_lies_sealed() {
    let app = sealing();
    let body = json!({"word": "tell-tale-heart", "numbers": [1, 2.5, null]});
    let posted = app.post_bodies("q", &[body.clone(), json!("text"), json!(null)]);
    app.queue("clear", json!({}));
    app.post_bodies("clear", &[json!("in-plain-sight")]);

    let stored = files(&app);
    assert!(contains(&stored, "in-plain-sight") && contains(&stored, "2026-10"));
    assert!(!contains(&stored, "tell-tale") && !contains(&stored, "characters"));

    assert_eq!(app.bodies("q"), [body.clone(), json!("text"), json!(null)]);
    assert_eq!(app.get(&posted[0]).expect(200).json()["body"], body);
    let ids = format!("/v2/queues/q/messages?ids={}", id_of(&posted[1]));
    assert_eq!(app.get(&ids).expect(200).json()["messages"][0]["body"], "text");
    let (claim, messages) = app.claim("q", 2, json!({}));
    assert_eq!(messages[0]["body"], body);
    assert_eq!(app.get(&claim).expect(200).json()["messages"][1]["body"], "text");
    app.delete(&claim).expect(204);
    let popped = app.delete("/v2/queues/q/messages?pop=3").expect(200).json();
    assert_eq!(bodies(&popped["messages"]), [body, json!("text"), json!(null)]);
}

#[test]
fn what_a_message_is_decides_and_not_the_option_of_the_day() {
    let app = sealing();
    app.post_bodies("q", &[json!("sealed")]);
    let set = |value: Value| {
        let change =
            json!([{"op": "add", "path": "/metadata/_enable_encrypt_messages", "value": value}]);
        app.request("PATCH", "/v2/queues/q")
            .json(&change)
            .header("Content-Type", "application/openstack-messaging-v2.0-json-patch")
            .expect(200);
    };
    set(json!(false));
    app.post_bodies("q", &[json!("aGVsbG8=")]);
    assert_eq!(app.bodies("q"), [json!("sealed"), json!("aGVsbG8=")]);
    set(json!(true));
    assert_eq!(app.bodies("q"), [json!("sealed"), json!("aGVsbG8=")]);
}

#[test]
fn dead_letters_stay_sealed_and_readable() {
    let app = TestApp::with(keys(&[OLD]));
    app.queue("dead", json!({}));
    app.queue(
        "q",
        json!({"_enable_encrypt_messages": true, "_max_claim_count": 1, "_dead_letter_queue": "dead"}),
    );
    app.post_bodies("q", &[json!("tell-tale-heart")]);
    app.claim("q", 1, json!({"ttl": 60, "grace": 60}));
    app.advance(61);
    app.post("/v2/queues/q/claims", json!({})).expect(204);
    app.advance(400);
    assert_eq!(app.bodies("dead"), [json!("tell-tale-heart")]);
    assert!(!contains(&files(&app), "tell-tale"));
}

#[test]
fn a_key_is_exchanged_without_losing_a_message() {
    let app = sealing();
    app.post_bodies("q", &[json!("old")]);
    let rotated = app.beside(keys(&[NEW, OLD]));
    rotated.post_bodies("q", &[json!("new")]);
    assert_eq!(rotated.bodies("q"), [json!("old"), json!("new")]);
    assert!(contains(&files(&app), "2026-11"), "the first key seals");

    // Too early: what the old key sealed is out of sight, and not lost.
    let removed = app.beside(keys(&[NEW]));
    assert_eq!(removed.bodies("q"), [json!("new")]);
    assert_eq!(rotated.bodies("q").len(), 2);
}

#[test]
fn a_missing_key_is_a_clear_error_and_hides_nothing_else() {
    let app = sealing();
    let closed = app.post_bodies("q", &[json!("a"), json!("b")]);
    let other = app.beside(keys(&[NEW]));
    let open = other.post_bodies("q", &[json!("c")]);

    let sentence = |href: &str| {
        format!("Message {} is encrypted, and this server cannot decrypt it.", id_of(href))
    };
    let answer = other.get(&closed[0]).expect(500);
    assert_eq!(answer.json()["title"], "Internal server error");
    assert_eq!(answer.json()["description"], sentence(&closed[0]));
    assert_eq!(answer.header("retry-after"), None, "to try again is of no use");
    let by_ids = |hrefs: &[String]| {
        let ids: Vec<_> = hrefs.iter().map(|href| id_of(href)).collect();
        other.get(&format!("/v2/queues/q/messages?ids={}", ids.join(",")))
    };
    assert_eq!(by_ids(&closed).expect(500).json()["description"], sentence(&closed[0]));
    let all = [closed.clone(), open].concat();
    assert_eq!(bodies(&by_ids(&all).expect(200).json()["messages"]), [json!("c")]);

    // A reader gets past a page of which nothing can be read.
    let page = other.get("/v2/queues/q/messages?echo=true&limit=2").expect(200).json();
    assert_eq!(page["messages"], json!([]));
    let next = page["links"][0]["href"].as_str().unwrap();
    assert_eq!(bodies(&other.get(next).expect(200).json()["messages"]), [json!("c")]);

    // So does a worker, and nothing is deleted unread.
    let (_, claimed) = other.claim("q", 1, json!({}));
    assert_eq!(bodies(&json!(claimed)), [json!("c")]);
}

#[test]
fn a_pop_loses_nothing_that_it_cannot_read() {
    let app = sealing();
    let closed = app.post_bodies("q", &[json!("a"), json!("a2"), json!("a3")]);
    let other = app.beside(keys(&[NEW]));
    other.post_bodies("q", &[json!("b"), json!("c"), json!("d")]);
    let popped = other.delete("/v2/queues/q/messages?pop=2").expect(200).json();
    assert_eq!(bodies(&popped["messages"]), [json!("b"), json!("c")]);
    let popped = other.delete("/v2/queues/q/messages?pop=2").expect(200).json();
    assert_eq!(bodies(&popped["messages"]), [json!("d")]);
    let popped = other.delete("/v2/queues/q/messages?pop=2").expect(200).json();
    assert_eq!(popped["messages"], json!([]));
    assert_eq!(app.get(&closed[0]).expect(200).json()["body"], "a", "whoever has its key reads it");
    let popped = app.delete("/v2/queues/q/messages?pop=5").expect(200).json();
    assert_eq!(bodies(&popped["messages"]), ["a", "a2", "a3"], "it kept its place");
}

#[test]
fn a_pop_takes_open_and_sealed_bodies_in_their_order() {
    let app = sealing();
    app.post_bodies("q", &[json!(1)]);
    let option = "/metadata/_enable_encrypt_messages";
    for (number, sealed) in [(2, false), (3, true), (4, false)] {
        let patch = json!([{"op": "replace", "path": option, "value": sealed}]);
        let patched = app.patch("/v2/queues/q", patch);
        patched.header("Content-Type", PATCH).expect(200);
        app.post_bodies("q", &[json!(number)]);
    }
    let pop = |count: u32| {
        let popped = app.delete(&format!("/v2/queues/q/messages?pop={count}")).expect(200).json();
        bodies(&popped["messages"])
    };
    assert_eq!(pop(3), [1, 2, 3]);
    assert_eq!(pop(3), [4]);
}

#[test]
fn without_a_key_the_option_is_refused() {
    let sentence = "_enable_encrypt_messages is not available: this server has no key in its \
                    setting encryption.keys.";
    let app = TestApp::start();
    let wanted = json!({"_enable_encrypt_messages": true});
    app.put("/v2/queues/q", wanted).refused(400, "Invalid API request", sentence);

    // Nor is anything kept in the clear where it was set with a key.
    let with_key = sealing();
    let without = with_key.beside(|_| {});
    without.post("/v2/queues/q/messages", json!({"messages": [{"body": 1}]})).refused(
        400,
        "Invalid API request",
        sentence,
    );
    assert_eq!(with_key.bodies("q"), [] as [Value; 0]);
}

#[test]
fn a_checksum_is_that_of_the_text_and_does_not_lie_beside_it() {
    let app = TestApp::with(|settings| {
        settings.enable_checksum = true;
        keys(&[OLD])(settings);
    });
    app.queue("q", json!({"_enable_encrypt_messages": true}));
    let posted = app.post_bodies("q", &[json!("hello")]);
    let checksum = "MD5:5deaee1c1332199e5b5bc7c5e4f7f0c2";
    assert_eq!(app.get(&posted[0]).expect(200).json()["checksum"], checksum);
    assert!(!contains(&files(&app), &checksum[4..]));
}
