//! Random mutations of a good request for every route.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::{POST, Target, framed};

/// A good request for each route and method; `Q` stands for a queue.
const GOOD: [(&str, &str, &str); 28] = [
    ("GET", "/", ""),
    ("GET", "/v2/", ""),
    ("GET", "/v2/ping", ""),
    ("HEAD", "/v2/ping", ""),
    ("GET", "/v2/health", ""),
    ("GET", "/v2/queues?limit=5&marker=a&detailed=true&with_count=true&name=q&team=a", ""),
    ("PUT", "/v2/queues/Q", r#"{"_max_claim_count": 5, "_dead_letter_queue": "dead", "a": 1}"#),
    ("GET", "/v2/queues/Q", ""),
    ("PATCH", "/v2/queues/Q", r#"[{"op": "add", "path": "/metadata/a~1b", "value": {"c": 1}}]"#),
    ("OPTIONS", "/v2/queues/Q", ""),
    ("POST", "/v2/queues/Q/messages", POST),
    ("POST", "/v2/queues/Q/messages", POST),
    ("GET", "/v2/queues/Q/messages?limit=3&marker=0&echo=true&include_claimed=yes", ""),
    ("GET", "/v2/queues/Q/messages?include_delayed=true&marker=6c1f00a2000000000000002a", ""),
    ("GET", "/v2/queues/Q/messages?ids=6c1f00a2000000000000002a,x", ""),
    ("GET", "/v2/queues/Q/messages/6c1f00a2000000000000002a", ""),
    ("GET", "/v2/queues/Q/stats", ""),
    ("POST", "/v2/queues/Q/claims?limit=1", r#"{"ttl": 100, "grace": 60}"#),
    ("GET", "/v2/queues/Q/claims/6c1f00a2000000000000002a", ""),
    ("PATCH", "/v2/queues/Q/claims/6c1f00a2000000000000002a", r#"{"ttl": 100, "grace": 60}"#),
    ("DELETE", "/v2/queues/Q/claims/6c1f00a2000000000000002a", ""),
    (
        "DELETE",
        "/v2/queues/Q/messages/6c1f00a2000000000000002a?claim_id=6c1f00a2000000000000002a",
        "",
    ),
    ("DELETE", "/v2/queues/Q/messages?ids=6c1f00a2000000000000002a&claim_ids=a", ""),
    ("DELETE", "/v2/queues/Q/messages?pop=2", ""),
    (
        "POST",
        "/v2/queues/Q/share",
        r#"{"paths": ["messages"], "methods": ["GET"], "expires": "2090-01-01T00:00:00Z"}"#,
    ),
    ("POST", "/v2/queues/Q/purge", r#"{"resource_types": ["messages"]}"#),
    ("DELETE", "/v2/queues/Q", ""),
    ("TRACE", "/v2/queues/Q", ""),
];

/// A change to a request: where, as a part of its length, and what.
#[derive(Clone, Debug)]
pub enum Mutation {
    Replace(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize, usize),
    Cut,
}

/// Any change.
pub fn mutation() -> impl Strategy<Value = (f64, Mutation)> {
    let token = prop::sample::select(vec![
        "\r\n",
        "\r\n\r\n",
        "\0",
        "%00",
        "%2F",
        "%",
        "\\ud800",
        "\\u0000",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "null",
        "1e999",
        "NaN",
        "-",
        "99999999999999999999",
        "/",
        "//",
        "..",
        "?",
        "&",
        "=",
        "\u{feff}",
        "HTTP/1.1",
        "chunked",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "Upgrade: websocket\r\n",
        "Accept: text/html\r\n",
    ]);
    let what = prop_oneof![
        4 => any::<u8>().prop_map(Mutation::Replace),
        4 => token.prop_map(|token| Mutation::Insert(token.as_bytes().to_vec())),
        2 => vec(any::<u8>(), 1..20).prop_map(Mutation::Insert),
        2 => (1..40usize).prop_map(Mutation::Remove),
        1 => (1..60usize, 1..200usize).prop_map(|(length, times)| Mutation::Repeat(length, times)),
        1 => Just(Mutation::Cut),
    ];
    (0.0..1.0f64, what)
}

/// Makes the change.
pub fn mutate(bytes: &mut Vec<u8>, (place, mutation): &(f64, Mutation)) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = (bytes.len() as f64 * place) as usize;
    match mutation {
        Mutation::Replace(byte) => bytes.get_mut(at).into_iter().for_each(|old| *old = *byte),
        Mutation::Insert(more) => drop(bytes.splice(at..at, more.iter().copied())),
        Mutation::Remove(length) => drop(bytes.drain(at..bytes.len().min(at + length))),
        Mutation::Repeat(length, times) => {
            let part = bytes[at..bytes.len().min(at + length)].repeat(*times);
            bytes.splice(at..at, part);
        }
        Mutation::Cut => bytes.truncate(at),
    }
}

/// How many requests are tried; `NUSKU_HOSTILE_CASES` asks for more.
fn number_of_cases() -> u32 {
    std::env::var("NUSKU_HOSTILE_CASES").map_or(300, |text| text.parse().unwrap())
}

/// Mutations of good requests: of all of their bytes, or of their bodies alone,
/// which then are framed rightly and get further.
#[test]
fn mutations_of_good_requests() {
    let target = Target::start();
    let case = (0..GOOD.len(), any::<bool>(), vec(mutation(), 1..5));
    let config = Config {
        cases: number_of_cases(),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    };
    let number = Cell::new(0);
    let outcome = TestRunner::new(config).run(&case, |(chosen, body_only, mutations)| {
        number.set(number.get() + 1);
        // A queue of its own, with something in it to break.
        let queue = format!("m{}", number.get());
        let put = |path: &str, body: &str| {
            target.request("POST", &format!("/v2/queues/{queue}/{path}"), body.as_bytes())
        };
        put("messages", POST);
        put("claims?limit=1", "");

        let (method, path, body) = GOOD[chosen];
        let path = path.replace('Q', &queue);
        let bytes = if body_only && !body.is_empty() {
            let mut body = body.as_bytes().to_vec();
            for change in &mutations {
                mutate(&mut body, change);
            }
            framed(method, &path, &body)
        } else {
            let mut bytes = framed(method, &path, body.as_bytes());
            for change in &mutations {
                mutate(&mut bytes, change);
            }
            bytes
        };
        let before = target.total(&queue);
        let statuses = target.send(&bytes).statuses();
        let refused = statuses.iter().all(|status| *status >= 400);
        if refused {
            prop_assert_eq!(before, target.total(&queue), "refused, but something was done");
        }
        target.request("GET", &format!("/v2/queues/{queue}/messages?echo=true"), b"");
        target.request("GET", &format!("/v2/queues/{queue}"), b"");
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    target.end();
}
