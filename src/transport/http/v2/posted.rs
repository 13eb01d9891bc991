//! The body of a post, read in one pass.
//!
//! The bodies of the messages stay slices of the request: they are checked,
//! never taken apart, never copied.

use std::fmt;

use bytes::Bytes;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::model::JsonText;
use crate::service::{Draft, Field};
use crate::transport::http::body;
use crate::transport::http::error::ApiError;

/// Reads `{"messages": [{"ttl", "delay", "body"}, …]}`. Of a key that comes
/// twice the last counts; unknown keys are ignored.
pub fn parse(request: &Bytes) -> Result<Vec<Draft>, ApiError> {
    let text = body::text(request)?;
    let posted = serde_json::from_str(text).map_err(|_| body::unparsable())?;
    body::check_faults(text)?;
    match posted {
        Posted::Nothing => {
            Err(ApiError::invalid_request("No messages were found in the request body."))
        }
        Posted::NotAnArray => Err(ApiError::invalid_body(body::WRONG_TYPE)),
        // Zaqar fails with a 500 here.
        Posted::NotAllObjects => Err(ApiError::invalid_body("Messages must be JSON objects.")),
        Posted::Messages(raw) => Ok(raw.into_iter().map(|raw| raw.draft(request)).collect()),
    }
}

/// What stands under `messages`.
enum Posted<'a> {
    /// There is no such key.
    Nothing,
    /// It is not an array.
    NotAnArray,
    /// It is an array with something else than objects in it.
    NotAllObjects,
    /// It is an array of objects.
    Messages(Vec<RawMessage<'a>>),
}

/// A message as text.
#[derive(Default)]
struct RawMessage<'a> {
    ttl: Field,
    delay: Field,
    body: Option<&'a RawValue>,
}

impl RawMessage<'_> {
    fn draft(self, request: &Bytes) -> Draft {
        let slice =
            |raw: &RawValue| JsonText::from_checked(request.slice_ref(raw.get().as_bytes()));
        Draft { ttl: self.ttl, delay: self.delay, body: self.body.map(slice) }
    }
}

/// An integer, a truth that counts as one, or something else.
fn field(raw: &RawValue) -> Field {
    match raw.get() {
        "true" => Field::Integer(1),
        "false" => Field::Integer(0),
        text => text.parse().map_or(Field::Other, Field::Integer),
    }
}

/// The keys that mean something. Most have no escapes and are compared where
/// they stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Messages,
    Ttl,
    Delay,
    Body,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "messages" => Key::Messages,
                    "ttl" => Key::Ttl,
                    "delay" => Key::Delay,
                    "body" => Key::Body,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Fills in what stands for a value that is not of the wanted kind: whatever
/// it is, its grammar is checked to its end.
macro_rules! otherwise {
    ($value:expr; $($kind:ident($type:ty)),*) => {
        $(fn $kind<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok($value)
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de> Deserialize<'de> for Posted<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

/// The whole document.
struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Posted<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Posted<'de>, A::Error> {
        let mut posted = Posted::Nothing;
        while let Some(key) = map.next_key::<Key>()? {
            if key == Key::Messages {
                posted = map.next_value_seed(ListSeed)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(posted)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Posted<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Posted::Nothing)
    }
}

/// The value of `messages`.
struct ListSeed;

impl<'de> DeserializeSeed<'de> for ListSeed {
    type Value = Posted<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListSeed {
    type Value = Posted<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Posted<'de>, A::Error> {
        let (mut messages, mut all_objects) = (Vec::new(), true);
        while let Some(message) = items.next_element_seed(MessageSeed)? {
            match message {
                Some(message) => messages.push(message),
                None => all_objects = false,
            }
        }
        Ok(if all_objects { Posted::Messages(messages) } else { Posted::NotAllObjects })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Posted<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Posted::NotAnArray)
    }

    otherwise!(Posted::NotAnArray;
        visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
}

/// One item of the list; `None` if it is no object.
struct MessageSeed;

impl<'de> DeserializeSeed<'de> for MessageSeed {
    type Value = Option<RawMessage<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed {
    type Value = Option<RawMessage<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut message = RawMessage::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Body => message.body = Some(map.next_value()?),
                Key::Ttl => message.ttl = field(map.next_value()?),
                Key::Delay => message.delay = field(map.next_value()?),
                Key::Messages | Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(message))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    otherwise!(None;
        visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::parse;
    use crate::service::{Draft, Field};

    fn drafts(text: &str) -> Vec<Draft> {
        parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn fault(text: &str) -> String {
        parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap_err().to_string()
    }

    #[test]
    fn bodies_are_slices_of_the_request() {
        let request =
            Bytes::from_static(br#"{"messages": [{"body":  {"a" : [1, 2]} , "ttl": 60}]}"#);
        let drafts = parse(&request).unwrap();
        let body = drafts[0].body.as_ref().unwrap().as_bytes();
        assert_eq!(body, br#"{"a" : [1, 2]}"#);
        assert!(request.as_ptr_range().contains(&body.as_ptr()));
        assert_eq!((drafts[0].ttl, drafts[0].delay), (Field::Integer(60), Field::Missing));
    }

    #[test]
    fn keys_may_repeat_be_unknown_or_escaped() {
        let drafts = drafts(
            r#"{"messages": 5, "x": [{"messages": []}], "mess\u0061ges": [
                {"body": 1, "ttl": 60, "n": {"ttl": 9}, "body": null, "ttl": true, "delay": "1"},
                {"ttl": 60.0, "delay": null, "\u0062ody": 1e400},
                {"ttl": 1e400, "delay": -0},
                {}
            ]}"#,
        );
        let body = |draft: &Draft| draft.body.as_ref().map(|body| body.as_bytes().to_vec());
        assert_eq!(drafts.len(), 4);
        assert_eq!(body(&drafts[0]).unwrap(), b"null");
        assert_eq!((drafts[0].ttl, drafts[0].delay), (Field::Integer(1), Field::Other));
        assert_eq!(body(&drafts[1]).unwrap(), b"1e400");
        assert_eq!((drafts[1].ttl, drafts[1].delay), (Field::Other, Field::Other));
        assert_eq!((drafts[2].ttl, drafts[2].delay), (Field::Other, Field::Integer(0)));
        assert_eq!(drafts[3], Draft::default());
    }

    #[test]
    fn what_is_not_a_list_of_objects_has_a_sentence() {
        for none in [r"{}", r"[]", r#"["messages"]"#, r#"{"message": [{"body": 1}]}"#] {
            assert_eq!(
                fault(none),
                "400 Invalid API request: No messages were found in the request body.",
                "{none}"
            );
        }
        for value in ["5", "-5", "1.5", "null", "true", "\"[]\"", "{}", r#"{"a": [{}]}"#] {
            assert_eq!(
                fault(&format!(r#"{{"messages": {value}}}"#)),
                "400 Invalid request body: Document type not supported.",
                "{value}"
            );
            if !value.starts_with('{') {
                assert_eq!(
                    fault(&format!(r#"{{"messages": [{{"body": 1}}, {value}]}}"#)),
                    "400 Invalid request body: Messages must be JSON objects.",
                    "{value}"
                );
            }
        }
        assert!(fault(r#"{"messages": [[1]]}"#).contains("must be JSON objects"));
        assert_eq!(drafts(r#"{"messages": []}"#), []);
    }

    #[test]
    fn the_grammar_is_checked_everywhere() {
        for bad in [
            r#"{"messages": [{"body": NaN}]}"#,
            r#"{"messages": [{"body": tru}]}"#,
            r#"{"messages": [{"body": "\ud8"}]}"#,
            r#"{"messages": [{"body": 01}]}"#,
            r#"{"messages": [{"body": 1}]} x"#,
            r#"{"messages": [{"body": 1}"#,
            "{\"messages\": [{\"body\": \"\n\"}]}",
        ] {
            assert_eq!(
                fault(bad),
                "400 Invalid request body: Request body could not be parsed.",
                "{bad}"
            );
        }
        assert!(fault(r#"{"messages": [{"body": "\ud800"}]}"#).contains("lone surrogate"));
        let deep = |levels| {
            format!(r#"{{"messages": [{{"body": {}{}}}]}}"#, "[".repeat(levels), "]".repeat(levels))
        };
        assert_eq!(drafts(&deep(179)).len(), 1);
        assert!(fault(&deep(180)).contains("nested"));
        assert!(fault(&deep(100_000)).contains("nested"));
    }
}
