//! BSON as bytes.
//!
//! Messages are read and written without a tree of their values in between, and
//! with nothing taken on trust: bytes that are no BSON end a reading early, they
//! never end the program.

/// The kinds of values, by the byte that stands before them.
pub mod kind {
    /// A float of 64 bits.
    pub const DOUBLE: u8 = 0x01;
    /// Text.
    pub const STRING: u8 = 0x02;
    /// A document within a document.
    pub const DOCUMENT: u8 = 0x03;
    /// A document whose names are 0, 1, 2 …
    pub const ARRAY: u8 = 0x04;
    /// Bytes.
    pub const BINARY: u8 = 0x05;
    /// Twelve bytes that name something.
    pub const OBJECT_ID: u8 = 0x07;
    /// True or false.
    pub const BOOLEAN: u8 = 0x08;
    /// Milliseconds since 1970.
    pub const DATE: u8 = 0x09;
    /// Nothing.
    pub const NULL: u8 = 0x0a;
    /// An integer of 32 bits.
    pub const INT32: u8 = 0x10;
    /// An integer of 64 bits.
    pub const INT64: u8 = 0x12;
}

/// Not BSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A value where it lies. Of the right size for its kind, but not looked into.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// Its [`kind`].
    pub kind: u8,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// An integer of any width, also one that was written as a float: a writer
    /// that is not Python may do so.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self.kind {
            kind::INT32 => Some(i32::from_le_bytes(self.bytes.try_into().ok()?).into()),
            kind::INT64 => Some(i64::from_le_bytes(self.bytes.try_into().ok()?)),
            kind::DOUBLE => whole(self.double()?),
            _ => None,
        }
    }

    /// A float.
    #[must_use]
    pub fn double(self) -> Option<f64> {
        let bytes = (self.kind == kind::DOUBLE).then_some(self.bytes)?;
        Some(f64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        let bytes = (self.kind == kind::STRING).then_some(self.bytes)?;
        let [.., 0] = bytes else { return None };
        std::str::from_utf8(bytes.get(4..bytes.len() - 1)?).ok()
    }

    /// Bytes of any subtype.
    #[must_use]
    pub fn binary(self) -> Option<&'a [u8]> {
        (self.kind == kind::BINARY).then_some(self.bytes)?.get(5..)
    }

    /// An object id.
    #[must_use]
    pub fn object_id(self) -> Option<[u8; 12]> {
        (self.kind == kind::OBJECT_ID).then_some(self.bytes)?.try_into().ok()
    }

    /// A date, in milliseconds since 1970.
    #[must_use]
    pub fn date(self) -> Option<i64> {
        let bytes = (self.kind == kind::DATE).then_some(self.bytes)?;
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// What is in a document or an array.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'a>> {
        matches!(self.kind, kind::DOCUMENT | kind::ARRAY).then(|| Elements::of(self.bytes))
    }
}

/// A float as the integer it is, if floats are exact at its size.
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "it was looked at just before")]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

/// One value in a document, and its name.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its name; meant to be UTF-8.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
}

/// The elements of a document, in order. Ends after the first that is malformed.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    is_malformed: bool,
}

impl<'a> Elements<'a> {
    /// What is in a document: its length, its elements, a zero.
    #[must_use]
    pub fn of(document: &'a [u8]) -> Self {
        let inside = length(document).filter(|length| *length == document.len());
        match (inside, document) {
            (Some(_), [_, _, _, _, rest @ .., 0]) => Self { rest, is_malformed: false },
            _ => Self { rest: &[], is_malformed: true },
        }
    }

    fn split(&mut self) -> Option<Element<'a>> {
        let (&kind, rest) = self.rest.split_first()?;
        let (name, rest) = split_name(rest)?;
        let (bytes, rest) = rest.split_at_checked(size(kind, rest)?)?;
        self.rest = rest;
        Some(Element { name, value: Value { kind, bytes } })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && !self.is_malformed {
            return None;
        }
        let element = self.split();
        if element.is_none() {
            *self = Self { rest: &[], is_malformed: false };
        }
        Some(element.ok_or(Malformed))
    }
}

/// The name at the beginning, and what comes after the zero that ends it.
fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// The size of a value of that kind that begins here.
fn size(kind: u8, rest: &[u8]) -> Option<usize> {
    let longer_by = |more: usize| length(rest)?.checked_add(more);
    match kind {
        // Undefined, the least and the greatest key.
        kind::NULL | 0x06 | 0xff | 0x7f => Some(0),
        kind::BOOLEAN => Some(1),
        kind::INT32 => Some(4),
        // And a timestamp of the server's own.
        kind::DOUBLE | kind::DATE | kind::INT64 | 0x11 => Some(8),
        kind::OBJECT_ID => Some(12),
        // A decimal number.
        0x13 => Some(16),
        // And JavaScript with variables.
        kind::DOCUMENT | kind::ARRAY | 0x0f => longer_by(0),
        // And JavaScript, and a symbol.
        kind::STRING | 0x0d | 0x0e => longer_by(4),
        kind::BINARY => longer_by(5),
        // A pointer: text, and an object id.
        0x0c => longer_by(16),
        // A pattern and its flags.
        0x0b => {
            let (_, flags) = split_name(rest)?;
            let (_, after) = split_name(flags)?;
            Some(rest.len() - after.len())
        }
        _ => None,
    }
}

/// The length at the beginning of a value.
fn length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok()
}

/// Begins a document or anything else that has its length in front; for
/// [`finish`].
pub fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    start
}

/// Ends a document with its zero and writes its length.
pub fn finish(out: &mut Vec<u8>, start: usize) {
    out.push(0);
    let length = out.len() - start;
    put_length(out, start, length);
}

/// Ends text with its zero and writes its length, which is only that of the
/// text and the zero.
pub fn finish_text(out: &mut Vec<u8>, start: usize) {
    out.push(0);
    let length = out.len() - start - 4;
    put_length(out, start, length);
}

fn put_length(out: &mut [u8], start: usize, length: usize) {
    // No document of that size exists; the server refuses it.
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Writes what stands before a value. The name must not contain a zero.
pub fn put_head(out: &mut Vec<u8>, kind: u8, name: &str) {
    out.push(kind);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

/// Writes a number in the width that Python gives it: 32 bits where it fits.
/// Returns its kind.
pub fn put_integer(out: &mut Vec<u8>, value: i64) -> u8 {
    if let Ok(value) = i32::try_from(value) {
        out.extend_from_slice(&value.to_le_bytes());
        kind::INT32
    } else {
        out.extend_from_slice(&value.to_le_bytes());
        kind::INT64
    }
}

/// Writes text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let start = begin(out);
    out.extend_from_slice(text.as_bytes());
    finish_text(out, start);
}

/// Writes the value of bytes.
pub fn put_bytes(out: &mut Vec<u8>, subtype: u8, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(subtype);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, RawDocumentBuf, doc, oid::ObjectId};

    use super::*;

    fn every_kind() -> Vec<u8> {
        let document = doc! {
            "double": 1.5, "text": "zoë", "document": { "a": 1 }, "array": [1, 2],
            "binary": Bson::Binary(mongodb::bson::Binary {
                subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3] }),
            "undefined": Bson::Undefined, "id": ObjectId::from_bytes([7; 12]), "true": true,
            "date": mongodb::bson::DateTime::from_millis(-1), "null": Bson::Null,
            "regex": Bson::RegularExpression(mongodb::bson::Regex {
                pattern: mongodb::bson::raw::cstr!("a.*").into(),
                options: mongodb::bson::raw::cstr!("i").into() }),
            "code": Bson::JavaScriptCode("f()".into()), "symbol": Bson::Symbol("s".into()),
            "scope": Bson::JavaScriptCodeWithScope(mongodb::bson::JavaScriptCodeWithScope {
                code: "f()".into(), scope: doc! { "x": 1 } }),
            "int": 7, "stamp": Bson::Timestamp(mongodb::bson::Timestamp { time: 1, increment: 2 }),
            "long": 1_i64 << 40, "decimal": "1.5".parse::<mongodb::bson::Decimal128>().unwrap(),
            "least": Bson::MinKey, "greatest": Bson::MaxKey, "last": "end",
        };
        RawDocumentBuf::try_from(&document).unwrap().into_bytes()
    }

    #[test]
    fn every_kind_is_stepped_over_or_read() {
        let bytes = every_kind();
        let elements: Vec<_> = Elements::of(&bytes).map(Result::unwrap).collect();
        assert_eq!(elements.len(), 21);
        let value = |name: &str| {
            elements.iter().find(|element| element.name == name.as_bytes()).unwrap().value
        };
        assert_eq!(value("last").text(), Some("end"));
        assert_eq!(value("text").text(), Some("zoë"));
        assert_eq!(value("int").integer(), Some(7));
        assert_eq!(value("long").integer(), Some(1 << 40));
        assert_eq!(value("double").double(), Some(1.5));
        assert_eq!(value("double").integer(), None);
        assert_eq!(value("date").date(), Some(-1));
        assert_eq!(value("id").object_id(), Some([7; 12]));
        assert_eq!(value("array").elements().unwrap().count(), 2);
        assert!(value("null").text().is_none() && value("int").date().is_none());
    }

    #[test]
    fn bytes_that_are_no_document_come_to_an_end() {
        let bytes = every_kind();
        for cut in 0..bytes.len() {
            let mut end = bytes[..cut].to_vec();
            assert!(Elements::of(&end).any(|element| element.is_err()), "{cut}");
            if cut > 4 {
                end[cut - 1] = 0;
                put_length(&mut end, 0, cut);
                assert!(Elements::of(&end).count() <= 22, "{cut}");
            }
        }
        for (at, value) in (0..bytes.len()).flat_map(|at| [(at, 0x7f), (at, 0xff), (at, 0x80)]) {
            let mut odd = bytes.clone();
            odd[at] = value;
            for element in Elements::of(&odd).flatten() {
                let value = element.value;
                let _ = (value.integer(), value.text(), value.date(), value.object_id());
                let _ = value.elements().map(Iterator::count);
            }
        }
    }

    #[test]
    fn floats_that_are_integers_count_as_such() {
        for (value, expected) in [
            (7.0, Some(7)),
            (-0.0, Some(0)),
            (0.5, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (1e16, None),
        ] {
            let bytes = f64::to_le_bytes(value);
            assert_eq!(Value { kind: kind::DOUBLE, bytes: &bytes }.integer(), expected, "{value}");
        }
    }
}
