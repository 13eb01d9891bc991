//! Odd values: in documents and in parameters.

use super::{POST, Target};

/// Values in JSON that are odd in some place or other; not all are JSON.
const ODD: [&str; 34] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "60",
    "60.0",
    "6e1",
    "1e400",
    "-1e400",
    "0.1e-400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "4294967296",
    "1234567890123456789012345678901234567890",
    "NaN",
    "Infinity",
    "-",
    "01",
    "\"\"",
    "\"60\"",
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\u0000""#,
    r#""\x""#,
    "\"\u{0}\"",
    "[]",
    "{}",
    "[null]",
    r#"{"a": 1, "a": 2}"#,
    r#"{"": {"": []}}"#,
    r#"{"\u0000": 1}"#,
];

/// Where in a document a value can be odd: `V` stands for the value.
const PLACES: [(&str, &str, &str); 26] = [
    ("POST", "messages", "V"),
    ("POST", "messages", r#"{"messages": V}"#),
    ("POST", "messages", r#"{"messages": [V]}"#),
    ("POST", "messages", r#"{"messages": [{"body": 1}, V]}"#),
    ("POST", "messages", r#"{"messages": [{"body": V}]}"#),
    ("POST", "messages", r#"{"messages": [{"body": 1, "ttl": V}]}"#),
    ("POST", "messages", r#"{"messages": [{"body": 1, "delay": V}]}"#),
    ("POST", "messages", r#"{"messages": [{"body": 1, "body": V, "x": V}], "x": V}"#),
    ("PUT", "", "V"),
    ("PUT", "", r#"{"a": V}"#),
    ("PUT", "", r#"{"_default_message_ttl": V}"#),
    ("PUT", "", r#"{"_max_claim_count": V, "_dead_letter_queue": V}"#),
    ("PUT", "", r#"{"_retry_policy": {"minimum_delay": V, "maximum_delay": V}}"#),
    ("PATCH", "", "V"),
    ("PATCH", "", "[V]"),
    ("PATCH", "", r#"[{"op": V, "path": "/metadata/a", "value": 1}]"#),
    ("PATCH", "", r#"[{"op": "add", "path": V, "value": 1}]"#),
    ("PATCH", "", r#"[{"op": "add", "path": "/metadata/_default_message_delay", "value": V}]"#),
    ("POST", "claims", "V"),
    ("POST", "claims", r#"{"ttl": V}"#),
    ("POST", "claims", r#"{"grace": V}"#),
    ("PATCH", "claims/6c1f00a2000000000000002a", r#"{"ttl": V, "grace": V}"#),
    ("POST", "purge", r#"{"resource_types": V}"#),
    ("POST", "purge", r#"{"resource_types": ["messages", V]}"#),
    ("POST", "share", r#"{"paths": V, "methods": V, "expires": V}"#),
    ("POST", "share", r#"{"methods": [V], "expires": "2090-01-01"}"#),
];

#[test]
fn odd_values_in_every_place() {
    let target = Target::start();
    for (number, (method, resource, document)) in PLACES.iter().enumerate() {
        for (variant, value) in ODD.iter().enumerate() {
            let queue = format!("odd-{number}-{variant}");
            let path = format!("/v2/queues/{queue}/{resource}");
            let path = path.trim_end_matches('/');
            if *method == "PATCH" {
                target.request("PUT", &format!("/v2/queues/{queue}"), b"{}");
            }
            let status = target.request(method, path, document.replace('V', value).as_bytes());
            // Whatever a queue has come to hold, it can be used and shown.
            if status.statuses()[0] < 300 {
                let posted = target.request(
                    "POST",
                    &format!("/v2/queues/{queue}/messages"),
                    POST.as_bytes(),
                );
                assert!(matches!(posted.statuses()[..], [201 | 400]), "{document} {value}");
                let claimed = target.request("POST", &format!("/v2/queues/{queue}/claims"), b"");
                assert!(matches!(claimed.statuses()[..], [201 | 204]), "{document} {value}");
                target.request("GET", &format!("/v2/queues/{queue}/messages?echo=true"), b"");
                target.request("GET", &format!("/v2/queues/{queue}"), b"");
            } else if *resource == "messages" {
                assert_eq!(target.total(&queue), 0, "{document} {value}");
            }
        }
    }
    target.request("GET", "/v2/queues?detailed=true&limit=20", b"");
    target.end();
}

#[test]
fn odd_parameters_in_every_place() {
    let target = Target::start();
    let values = [
        "",
        "0",
        "-1",
        "+1",
        "%2B1",
        "1_0",
        "1__0",
        "99999999999999999999999",
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        "1e3",
        "NaN",
        "null",
        "%00",
        "%ff%fe",
        "%",
        "%4",
        "%zz",
        "%F0%9F%92%A9",
        "%c3%28",
        "a%2Cb",
        ",",
        ",,",
        "1,,2",
        "true",
        "TRUE",
        "[",
        "%7C",
        ".*",
        "%25",
        "'%20OR%201=1--",
        "ffffffffffffffffffffffff",
        "000000000000000000000000",
        "%0d%0aX:%20y",
        "%20",
    ];
    for (path, names) in [
        ("/v2/queues", &["marker", "limit", "detailed", "name", "with_count", "other", "%00"][..]),
        (
            "/v2/queues/q/messages",
            &["marker", "limit", "echo", "include_claimed", "include_delayed", "ids"],
        ),
    ] {
        for (name, value) in names.iter().flat_map(|name| values.map(|value| (name, value))) {
            target.request("GET", &format!("{path}?{name}={value}"), b"");
            target.request("GET", &format!("{path}?{name}={value}&{name}=1"), b"");
        }
    }
    for value in values {
        for (method, path) in [
            ("DELETE", format!("/v2/queues/q/messages?ids={value}&claim_ids={value}")),
            ("DELETE", format!("/v2/queues/q/messages?pop={value}")),
            ("DELETE", format!("/v2/queues/q/messages/{value}?claim_id={value}")),
            ("GET", format!("/v2/queues/q/messages/{value}")),
            ("GET", format!("/v2/queues/q/claims/{value}")),
            ("DELETE", format!("/v2/queues/q/claims/{value}")),
            ("POST", format!("/v2/queues/q/claims?limit={value}")),
            ("PUT", format!("/v2/queues/{value}")),
            ("GET", format!("/v2/queues/{value}/stats")),
            ("GET", format!("/{value}")),
        ] {
            target.request(method, &path, b"");
        }
    }
    target.end();
}
