//! A request: read from a message in either encoding, and checked as far as its
//! schema goes.
//!
//! Both encodings are read as JSON text. Of that, only the members that the action
//! knows are taken apart; posted messages are left alone, so that their bodies stay
//! slices of what came in.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::msgpack;
use super::outbox::Encoding;
use super::schema::Action;
use crate::model::TextFault;

/// Most bytes of the headers of a request.
const HEADERS_BYTES_MAX: u64 = 65_536;

/// Headers that prove who somebody is: they are not sent back.
const SECRETS: [&str; 4] = ["x-auth-token", "x-service-token", "authorization", "url-signature"];

/// The member that is left as text.
const MESSAGES: &str = "messages";

/// A request that has the form it should have.
#[derive(Debug)]
pub struct Request {
    pub(super) action: Action,
    /// As they came, whatever is in them.
    pub(super) headers: Map<String, Value>,
    /// The members of the body that the action knows; the list of messages is empty.
    pub(super) fields: Map<String, Value>,
    /// The whole body, a JSON object.
    pub(super) body: Bytes,
    /// How many bytes the list of messages has.
    pub(super) messages_bytes: u64,
    pub(super) echo: Echo,
}

/// What a reply tells of its request, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    pub(super) action: Bytes,
    pub(super) body: Bytes,
    pub(super) headers: Bytes,
}

impl Default for Echo {
    fn default() -> Self {
        const NOTHING: Bytes = Bytes::from_static(b"{}");
        Self { action: Bytes::from_static(b"null"), body: NOTHING, headers: NOTHING }
    }
}

impl Echo {
    /// An echo of nothing but the action.
    pub(super) fn of(action: Action) -> Self {
        Self { action: json!(action.name()).to_string().into(), ..Self::default() }
    }
}

/// Why a request has not the form it should have; always a 400.
#[derive(Debug, PartialEq, Eq)]
pub struct Unread {
    /// What could be read of it.
    pub echo: Echo,
    /// What is said of it.
    pub error: String,
}

/// The text of a message that came in `encoding`.
pub(super) fn text(message: Bytes, encoding: Encoding) -> Result<Bytes, Unread> {
    match encoding {
        Encoding::Json => Ok(message),
        Encoding::MessagePack => msgpack::to_json(&message)
            .map(Bytes::from)
            .map_err(|error| undecodable(encoding, &format!("ValueError: {error}"))),
    }
}

fn undecodable(encoding: Encoding, why: &str) -> Unread {
    let name = match encoding {
        Encoding::Json => "text (JSON)",
        Encoding::MessagePack => "binary (MessagePack)",
    };
    Unread { echo: Echo::default(), error: format!("Can't decode {name} request. {why}") }
}

/// Reads a request from `text`, in which its members other than messages may have
/// `max_fields` bytes. Without `strict_login`, an action that nobody needs may look
/// as it likes.
pub(super) fn read(
    text: &Bytes,
    encoding: Encoding,
    max_fields: u64,
    strict_login: bool,
) -> Result<Request, Unread> {
    let fault = |why: &dyn fmt::Display| undecodable(encoding, &format!("ValueError: {why}"));
    let document = std::str::from_utf8(text).map_err(|error| fault(&error))?;
    let envelope: Envelope<'_> = serde_json::from_str(document).map_err(|error| fault(&error))?;
    TextFault::find(document).map_err(|error| fault(&error))?;
    let Envelope::Object { action, headers, body } = envelope else {
        let error = "Unexpected body type. Expected dict or dict like.".to_owned();
        return Err(Unread { echo: Echo::default(), error });
    };
    let slice = |raw: &RawValue| text.slice_ref(raw.get().as_bytes());
    // It is told in the echo, without what is secret in it.
    let headers = headers.map(parse_headers).transpose().map_err(|error| fault(&error))?;
    let echo = echo(action.map(slice), headers.as_ref(), body.map(slice));
    let refused = |error: String| Unread { echo: echo.clone(), error };

    let Some(action) = named(action) else {
        let name = action.map_or("None", RawValue::get).trim_matches('"');
        return Err(refused(format!("{name} is not a valid action")));
    };
    let (fields, messages_bytes) = match body {
        Some(body) => parse_body(action, body, max_fields).map_err(refused)?,
        None => (None, 0),
    };
    let mut document = Map::new();
    document.extend(headers.map(|headers| ("headers".to_owned(), headers)));
    document.extend(fields.map(|fields| ("body".to_owned(), fields)));
    let mut document = Value::Object(document);
    let is_free = action == Action::Authenticate && !strict_login;
    if !is_free && !action.accepts(&document) {
        return Err(refused("Schema validation failed.".to_owned()));
    }
    let mut take = |name: &str| match document[name].take() {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    Ok(Request {
        action,
        headers: take("headers"),
        fields: take("body"),
        body: body.map_or_else(|| Bytes::from_static(b"{}"), slice),
        messages_bytes,
        echo,
    })
}

fn named(action: Option<&RawValue>) -> Option<Action> {
    Action::named(&serde_json::from_str::<String>(action?.get()).ok()?)
}

fn parse_headers(raw: &RawValue) -> Result<Value, String> {
    if raw.get().len() as u64 > HEADERS_BYTES_MAX {
        return Err(format!("the headers are too large. Max size: {HEADERS_BYTES_MAX}"));
    }
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

fn echo(action: Option<Bytes>, headers: Option<&Value>, body: Option<Bytes>) -> Echo {
    let nothing = Echo::default();
    let shown = match headers {
        Some(Value::Object(headers)) => {
            let is_shown = |name: &str| !SECRETS.contains(&name.to_ascii_lowercase().as_str());
            let shown = headers.iter().filter(|(name, _)| is_shown(name));
            let shown: Map<_, _> =
                shown.map(|(name, value)| (name.clone(), value.clone())).collect();
            Value::Object(shown).to_string().into()
        }
        // What is no object has no names that would tell what is secret.
        _ => nothing.headers,
    };
    Echo {
        action: action.unwrap_or(nothing.action),
        body: body.unwrap_or(nothing.body),
        headers: shown,
    }
}

/// The members of a body that the action knows, with an empty list in the place of
/// messages, and how long those were. What is no object is looked at as it is.
fn parse_body(
    action: Action,
    raw: &RawValue,
    max_fields: u64,
) -> Result<(Option<Value>, u64), String> {
    let Ok(members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
        return Ok((Some(Value::Null), 0));
    };
    let (mut fields, mut size, mut messages) = (Map::new(), 0, 0);
    for (name, value) in members.0.into_iter().filter(|(name, _)| action.knows(name)) {
        let bytes = value.get().len() as u64;
        if name == MESSAGES && value.get().starts_with('[') {
            messages = bytes;
            fields.insert(name, json!([]));
            continue;
        }
        size += bytes;
        if size > max_fields {
            return Err(format!("Request body is too large. Max size: {max_fields}"));
        }
        let value = serde_json::from_str(value.get())
            .map_err(|_| format!("The value of \"{name}\" cannot be represented."))?;
        fields.insert(name, value);
    }
    Ok((Some(Value::Object(fields)), messages))
}

/// The members of a request that mean something; of one that comes twice the last
/// counts.
enum Envelope<'a> {
    Object {
        action: Option<&'a RawValue>,
        headers: Option<&'a RawValue>,
        body: Option<&'a RawValue>,
    },
    Other,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

macro_rules! other {
    ($($visit:ident($type:ty)),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Envelope::Other)
        })*
    };
}

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut action, mut headers, mut body) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "action" => action = Some(map.next_value()?),
                "headers" => headers = Some(map.next_value()?),
                "body" => body = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Envelope::Object { action, headers, body })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Envelope::Other)
    }

    other!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Envelope::Other)
    }
}

/// The members of an object, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Request, Unread> {
        read(&Bytes::copy_from_slice(text.as_bytes()), Encoding::Json, 100, true)
    }

    fn error(text: &str) -> String {
        read_text(text).unwrap_err().error
    }

    const HEADERS: &str = r#""headers": {"Client-ID": "c", "X-Project-ID": "p"}"#;

    #[test]
    fn checks_come_in_their_order() {
        assert!(error("{").starts_with("Can't decode text (JSON) request. ValueError: "));
        assert!(error(r#"{"a": "\ud800"}"#).ends_with("JSON contains a lone surrogate."));
        for other in ["[]", "5", "\"a\"", "null", "1.5", "true", "-5"] {
            assert_eq!(error(other), "Unexpected body type. Expected dict or dict like.");
        }
        assert_eq!(error("{}"), "None is not a valid action");
        assert_eq!(error(r#"{"action": "fly"}"#), "fly is not a valid action");
        assert_eq!(error(r#"{"action": 5, "headers": 7}"#), "5 is not a valid action");
        assert_eq!(error(r#"{"action": "queue_list"}"#), "Schema validation failed.");
        for body in ["[]", "null", "5", r#"{"limit": "5"}"#] {
            let text = format!(r#"{{"action": "queue_list", {HEADERS}, "body": {body}}}"#);
            assert_eq!(error(&text), "Schema validation failed.", "{body}");
        }
        let long = "x".repeat(100);
        let text =
            format!(r#"{{"action": "queue_list", {HEADERS}, "body": {{"marker": "{long}"}}}}"#);
        assert_eq!(error(&text), "Request body is too large. Max size: 100");
    }

    #[test]
    fn messages_are_not_taken_apart() {
        let long = "[".repeat(150) + &"]".repeat(150);
        let text = format!(
            r#"{{"x": 1, "action": "message_post", {HEADERS},
                "body": {{"messages": 5, "messages": [{{"body": {long}}}], "queue_name": "q", "y": [1e400]}}}}"#
        );
        let request = read_text(&text).unwrap();
        assert_eq!(request.action, Action::MessagePost);
        assert_eq!(Value::Object(request.fields), json!({"messages": [], "queue_name": "q"}));
        assert_eq!(request.messages_bytes, 312);
        assert!(request.body.starts_with(b"{\"messages\": 5") && request.body.ends_with(b"]}"));
        assert_eq!(request.body, request.echo.body);
    }

    #[test]
    fn secrets_are_not_told() {
        let text = r#"{"action": "queue_list", "headers": {"X-Auth-Token": "t", "Client-ID": "c",
            "x-auth-token": "t", "URL-Signature": "s", "X-Project-ID": "p", "URL-Paths": ["/a"]}}"#;
        let echo = read_text(text).unwrap().echo;
        let headers = r#"{"Client-ID":"c","X-Project-ID":"p","URL-Paths":["/a"]}"#;
        assert_eq!(echo.headers, headers);
        assert_eq!(read_text(r#"{"headers": ["t"]}"#).unwrap_err().echo.headers, "{}");
        assert_eq!((&echo.action[..], &echo.body[..]), (&b"\"queue_list\""[..], &b"{}"[..]));
    }
}
