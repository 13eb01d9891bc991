//! `[cors]`: which pages of other origins a browser lets talk to the server.

use serde::{Deserialize, Serialize};

use super::validate::{Check, fault, within};

/// Cross-origin requests. Names and defaults are those of Zaqar's section.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins whose pages may call, such as `https://example.net`; `*` for all.
    pub allowed_origin: Vec<String>,
    /// Whether a page may send cookies and client certificates along.
    pub allow_credentials: bool,
    /// How long a browser may keep the answer to a preflight, in seconds.
    pub max_age: u32,
    /// Methods that a page may use.
    pub allow_methods: Vec<String>,
    /// Headers that a page may send, beside those that are always allowed.
    pub allow_headers: Vec<String>,
    /// Headers of the answer that a page may read.
    pub expose_headers: Vec<String>,
}

/// Longest that any browser heeds, in seconds.
const LONGEST_AGE: u64 = 86_400;

pub(super) fn check(cors: &CorsSettings) -> Check {
    within("cors.max_age", cors.max_age, 0..=LONGEST_AGE)?;
    if let Some(origin) = cors.allowed_origin.iter().find(|origin| !is_origin(origin)) {
        let expected = "origins as browsers send them, https://example.net, or *";
        return Err(fault("cors.allowed_origin", format!("{origin:?}"), expected));
    }
    for (key, names) in [
        ("cors.allow_methods", &cors.allow_methods),
        ("cors.allow_headers", &cors.allow_headers),
        ("cors.expose_headers", &cors.expose_headers),
    ] {
        if let Some(name) = names.iter().find(|name| !is_token(name)) {
            return Err(fault(key, format!("{name:?}"), "names of HTTP methods or headers"));
        }
    }
    Ok(())
}

/// A scheme, a host and perhaps a port, in small letters: it is compared with
/// what browsers send, byte by byte, so anything else would never match.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, place)) = text.split_once("://") else { return false };
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|it| it.is_ascii_graphic() && !it.is_ascii_uppercase())
            && !part.contains(['/', ',', '?', '#', '@', '*'])
    };
    is_part(scheme) && is_part(place)
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it))
}

#[cfg(test)]
mod tests {
    use super::{is_origin, is_token};

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in ["*", "https://example.net", "http://127.0.0.1:8080", "http://[::1]:3000"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "example.net",
            "https://",
            "https://example.net/",
            "https://example.net/app",
            "https://*.example.net",
            "https://Example.net",
            "https://a, https://b",
            "https://a b",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
        assert!(
            is_token("X-Project-ID") && !is_token("X Project") && !is_token("") && !is_token("é")
        );
    }
}
