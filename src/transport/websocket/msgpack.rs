//! JSON text to MessagePack and back, without a tree of values in between: a small
//! message must not take a lot of memory.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::Serialize;

use crate::model::MAX_DEPTH;

/// Levels of a whole request: a message body may have as many as JSON text may, and
/// a few are around it. The stack of a worker bears it.
const DEEPEST: usize = MAX_DEPTH + 8;

/// The JSON text of a MessagePack value.
///
/// # Errors
///
/// What is wrong with it: it is none, or has what JSON has not: bytes, extensions,
/// infinity, keys that are no strings.
pub fn to_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEEPEST);
    ToJson(&mut text).deserialize(&mut reader).map_err(|error| error.to_string())?;
    match IgnoredAny::deserialize(&mut reader) {
        Ok(_) => Err("there is something behind the value".to_owned()),
        Err(_) => Ok(text),
    }
}

/// The MessagePack value of a JSON text; `None` if there is none, for a number
/// beyond 64 bits or a nesting that few would read.
#[must_use]
pub fn from_json(text: &[u8]) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(text.len());
    let mut reader = serde_json::Deserializer::from_slice(text);
    FromJson(&mut packed).deserialize(&mut reader).ok()?;
    Some(packed)
}

/// Appends what it reads to JSON text.
struct ToJson<'a>(&'a mut Vec<u8>);

impl ToJson<'_> {
    fn put<E: serde::de::Error>(self, value: &impl Serialize) -> Result<(), E> {
        serde_json::to_writer(self.0, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for ToJson<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ToJson<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.put(&())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_f32<E: serde::de::Error>(self, value: f32) -> Result<(), E> {
        self.visit_f64(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() { self.put(&value) } else { Err(E::custom("a number is not finite")) }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let begin = self.0.len();
        while items.next_element_seed(Item { out: self.0, begin })?.is_some() {}
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let begin = self.0.len();
        while entries.next_key_seed(Key { out: self.0, begin })?.is_some() {
            self.0.push(b':');
            entries.next_value_seed(ToJson(self.0))?;
        }
        self.0.push(b'}');
        Ok(())
    }
}

/// An item of a list that begins at `begin`.
struct Item<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.out.len() > self.begin {
            self.out.push(b',');
        }
        ToJson(self.out).deserialize(deserializer)
    }
}

/// A key of an object that begins at `begin`.
struct Key<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.out.len() > self.begin {
            self.out.push(b',');
        }
        deserializer.deserialize_any(KeyVisitor(self.out))
    }
}

struct KeyVisitor<'a>(&'a mut Vec<u8>);

impl Visitor<'_> for KeyVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as a key")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        ToJson(self.0).put(&value)
    }
}

/// Appends what it reads to a MessagePack value.
struct FromJson<'a>(&'a mut Vec<u8>);

impl FromJson<'_> {
    fn put<E: serde::de::Error>(self, value: &impl Serialize) -> Result<(), E> {
        rmp_serde::encode::write(self.0, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for FromJson<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FromJson<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.put(&())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (begin, mut count) = (self.0.len(), 0);
        while items.next_element_seed(FromJson(self.0))?.is_some() {
            count += 1;
        }
        insert_head(self.0, begin, count, [0x90, 0xdc, 0xdd])
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (begin, mut count) = (self.0.len(), 0);
        while entries.next_key_seed(FromJson(self.0))?.is_some() {
            entries.next_value_seed(FromJson(self.0))?;
            count += 1;
        }
        insert_head(self.0, begin, count, [0x80, 0xde, 0xdf])
    }
}

/// Puts the head of a list or an object before its `count` items, which begin at
/// `begin`: JSON does not tell beforehand how many there are. The three codes are
/// those of a short one, of one with up to 65535 items, and of a long one.
fn insert_head<E: serde::de::Error>(
    out: &mut Vec<u8>,
    begin: usize,
    count: usize,
    [short, medium, long]: [u8; 3],
) -> Result<(), E> {
    let head = match (u8::try_from(count), u16::try_from(count), u32::try_from(count)) {
        (Ok(count), ..) if count < 16 => vec![short | count],
        (_, Ok(count), _) => [&[medium][..], &count.to_be_bytes()].concat(),
        (_, _, Ok(count)) => [&[long][..], &count.to_be_bytes()].concat(),
        _ => return Err(E::custom("there are too many items")),
    };
    out.splice(begin..begin, head);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{from_json, to_json};

    fn round(value: &Value) -> Value {
        let packed = from_json(value.to_string().as_bytes()).unwrap();
        // What another implementation reads in it.
        assert_eq!(&rmp_serde::from_slice::<Value>(&packed).unwrap(), value);
        serde_json::from_slice(&to_json(&packed).unwrap()).unwrap()
    }

    #[test]
    fn values_come_back_as_they_went() {
        let many: Vec<_> = (0..70_000).collect();
        let entries: serde_json::Map<_, _> =
            (0..20).map(|number| (format!("k{number}"), json!(number))).collect();
        for value in [
            json!(null),
            json!([true, false, 0, -1, 127, 128, i64::MIN, u64::MAX, 1.5, -0.25]),
            json!({"é": "ü\u{0}\"", "": {}, "a": [[], [{}], {"b": []}]}),
            json!(entries),
            json!(many),
            json!("x".repeat(70_000)),
        ] {
            assert_eq!(round(&value), value);
        }
    }

    #[test]
    fn short_things_are_short() {
        let packed = from_json(br#"{"a": [1, 2]}"#).unwrap();
        assert_eq!(packed, [0x81, 0xa1, b'a', 0x92, 1, 2]);
    }

    #[test]
    fn what_json_has_not_is_refused() {
        for (bytes, said) in [
            (&b"\xc4\x01\x00"[..], "a value that JSON has"),
            (&b"\x81\x01\x02"[..], "a string as a key"),
            (&b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"[..], "not finite"),
            (&b"\xd4\x05\x00"[..], "a value that JSON has"),
            (&b"\x01\x02"[..], "behind"),
        ] {
            let error = to_json(bytes).unwrap_err();
            assert!(error.contains(said), "{bytes:?}: {error}");
        }
        for broken in [&b""[..], b"\x92\x01", b"\xc1", b"\xa2\xff\xff", b"\xdd\xff\xff\xff\xff"] {
            assert!(to_json(broken).is_err(), "{broken:?}");
        }
        let deep = [vec![0x91; 100_000], vec![0xc0]].concat();
        assert!(to_json(&deep).is_err());
    }

    #[test]
    fn what_messagepack_has_not_is_none() {
        assert_eq!(from_json(b"1e400"), None);
        let deep = ["[".repeat(150), "]".repeat(150)].concat();
        assert_eq!(from_json(deep.as_bytes()), None);
    }
}
