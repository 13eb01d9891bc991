//! From BSON to JSON text, in one pass and without a tree.
//!
//! Floats print so that they read back the same, and as floats: `1.0` never
//! becomes `1`. Infinity prints as `1e999`, which is JSON and reads as infinity;
//! a float that is no number prints as null, as JSON has no word for it.

use super::json_to_bson::plain_run;
use super::wire::{Elements, Value, kind};

/// The JSON form of a value; `None` if it has none, as a date or bytes, or is
/// malformed.
#[must_use]
pub fn to_json(value: Value<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.bytes.len() + 16);
    let mut open: Vec<(Elements<'_>, u8)> = Vec::new();
    let mut value = value;
    loop {
        match (value.kind, value.elements()) {
            (kind::DOCUMENT, Some(elements)) => {
                out.push(b'{');
                open.push((elements, b'}'));
            }
            (_, Some(elements)) => {
                out.push(b'[');
                open.push((elements, b']'));
            }
            (_, None) => put_scalar(&mut out, value)?,
        }
        value = loop {
            let Some((elements, end)) = open.last_mut() else { return Some(out) };
            let Some(element) = elements.next() else {
                out.push(*end);
                open.pop();
                continue;
            };
            let element = element.ok()?;
            if !matches!(out.last(), Some(b'{' | b'[')) {
                out.push(b',');
            }
            if *end == b'}' {
                put_string(&mut out, std::str::from_utf8(element.name).ok()?);
                out.push(b':');
            }
            break element.value;
        };
    }
}

fn put_scalar(out: &mut Vec<u8>, value: Value<'_>) -> Option<()> {
    match value.kind {
        kind::STRING => put_string(out, value.text()?),
        kind::INT32 | kind::INT64 => serde_json::to_writer(out, &value.integer()?).ok()?,
        kind::DOUBLE => put_double(out, value.double()?)?,
        kind::BOOLEAN => match value.bytes {
            [0] => out.extend_from_slice(b"false"),
            [1] => out.extend_from_slice(b"true"),
            _ => return None,
        },
        kind::NULL => out.extend_from_slice(b"null"),
        _ => return None,
    }
    Some(())
}

fn put_double(out: &mut Vec<u8>, value: f64) -> Option<()> {
    match value {
        f64::INFINITY => out.extend_from_slice(b"1e999"),
        f64::NEG_INFINITY => out.extend_from_slice(b"-1e999"),
        // Shortest form; null for what is no number.
        _ => serde_json::to_writer(out, &value).ok()?,
    }
    Some(())
}

/// Writes text in quotes. Only what must be escaped is.
fn put_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    out.push(b'"');
    loop {
        let plain = plain_run(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(special) = rest.get(plain) else { break };
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *special]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digits = [HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}
