//! Headers that a subscriber wants its webhook to be called with.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// What decides how the request is read is not up to the subscriber, and left out.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Puts the headers of the option `post_headers` over those that are there.
///
/// # Errors
///
/// Which of them is none.
pub fn merge(headers: &mut HeaderMap, given: &Value) -> Result<(), String> {
    let given = match given {
        Value::Null => return Ok(()),
        Value::Object(given) => given,
        _ => return Err("the option post_headers is no object".to_owned()),
    };
    for (name, value) in given {
        let parsed = HeaderName::try_from(name)
            .map_err(|_| format!("post_headers has {name:?}, which is no name of a header"))?;
        let Some(text) = value.as_str() else {
            return Err(format!("the header {parsed} in post_headers is no string"));
        };
        let value = HeaderValue::try_from(text)
            .map_err(|_| format!("the header {parsed} in post_headers has control characters"))?;
        if !OURS.contains(&parsed.as_str()) {
            headers.insert(parsed, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(given: &Value) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        merge(&mut headers, given).map(|()| headers)
    }

    #[test]
    fn the_subscribers_go_over_ours() {
        let headers = merged(&json!({"Content-Type": "text/plain", "X-Team": "é"})).unwrap();
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(headers["x-team"].as_bytes(), "é".as_bytes());
        assert_eq!(merged(&json!(null)).unwrap().len(), 1);
    }

    #[test]
    fn nobody_breaks_out_of_a_request() {
        for name in OURS {
            assert_eq!(merged(&json!({ name: "5" })).unwrap().len(), 1, "{name}");
            assert_eq!(merged(&json!({ name.to_uppercase(): "5" })).unwrap().len(), 1, "{name}");
        }
        for odd in [
            json!({"X-A": "a\r\nHost: b"}),
            json!({"X-A": "a\nb"}),
            json!({"X-A": "\u{0}"}),
            json!({"X-A\r\nHost": "b"}),
            json!({"X A": "b"}),
            json!({"": "b"}),
            json!({"X-A": 1}),
            json!({"X-A": null}),
            json!(["X-A"]),
            json!("X-A: b"),
        ] {
            assert!(merged(&odd).is_err(), "{odd}");
        }
    }
}
