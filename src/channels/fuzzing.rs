//! The parsers of what subscribers say, for those who feed them garbage on purpose:
//! the targets in `fuzz/`. Not for anybody else.

use std::net::IpAddr;

use hyper::header::HeaderMap;
use serde_json::{Map, Value};

use super::address::Address;
use super::mail::Recipients;
use super::{guard, headers, template};

/// The host of a webhook, and whether nobody would call it if it is an address.
#[must_use]
pub fn webhook(subscriber: &str) -> Option<(String, bool)> {
    let host = Address::parse(subscriber).ok()?.uri.host()?.to_owned();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let refused = bare.parse::<IpAddr>().is_ok_and(|address| !guard::is_allowed(address, &[]));
    Some((host, refused))
}

/// The mailboxes and the subject of a `mailto:` URI.
#[must_use]
pub fn recipients(subscriber: &str) -> Option<(Vec<String>, Option<String>)> {
    let recipients = Recipients::parse(subscriber).ok()?;
    Some((recipients.addresses.iter().map(ToString::to_string).collect(), recipients.subject))
}

/// The body that a subscription with these options makes of a document.
#[must_use]
pub fn body(options: &Map<String, Value>, document: &str) -> Option<String> {
    template::body(options, document).ok().map(Into::into)
}

/// The names of the headers that a subscription with this option has.
#[must_use]
pub fn headers(given: &Value) -> Option<Vec<String>> {
    let mut headers = HeaderMap::new();
    headers::merge(&mut headers, given).ok()?;
    Some(headers.keys().map(ToString::to_string).collect())
}
