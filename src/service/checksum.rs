//! Checksums of message bodies, equal to those that Zaqar computes.
//!
//! Zaqar hashes a body after parsing it and printing it again with Python's
//! `json.dumps`. So the text a client sent is turned into that print first:
//! ASCII only, one blank after `,` and `:`, keys in the order of their first
//! appearance with the value of their last, numbers as Python writes them.

use std::borrow::Cow;
use std::collections::HashMap;

use md5::{Digest as _, Md5};

use super::hex::hex;
use crate::model::JsonText;

/// `MD5:` and 32 hex digits; `None` for a body of `null`, as in Zaqar.
pub(super) fn checksum(body: &JsonText) -> Option<String> {
    let dumped = dumps(body.as_bytes());
    (dumped != b"null").then(|| format!("MD5:{}", hex(&Md5::digest(&dumped))))
}

/// What Python prints for this JSON text. The nesting of a body is bounded by
/// [`crate::model::MAX_DEPTH`], and so is the recursion.
pub(super) fn dumps(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    Reader { text, at: 0 }.value(&mut out);
    out
}

/// Walks over text that is known to be valid JSON.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is no blank, which stays unread.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Steps over `byte` if it comes next.
    fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, out: &mut Vec<u8>) {
        match self.peek() {
            Some(b'{') => self.object(out),
            Some(b'[') => self.array(out),
            Some(b'"') => self.string(out),
            _ => self.scalar(out),
        }
    }

    fn array(&mut self, out: &mut Vec<u8>) {
        self.at += 1;
        out.push(b'[');
        let mut separator: &[u8] = b"";
        while !self.skip(b']') && self.peek().is_some() {
            out.extend_from_slice(separator);
            separator = b", ";
            self.value(out);
            self.skip(b',');
        }
        out.push(b']');
    }

    fn object(&mut self, out: &mut Vec<u8>) {
        self.at += 1;
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        while !self.skip(b'}') && self.peek().is_some() {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            self.string(&mut key);
            self.skip(b':');
            self.value(&mut value);
            self.skip(b',');
            if let Some(&place) = places.get(&key) {
                entries[place].1 = value;
            } else {
                places.insert(key.clone(), entries.len());
                entries.push((key, value));
            }
        }
        out.push(b'{');
        for (place, (key, value)) in entries.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b"" } else { b", " });
            out.extend_from_slice(key);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
        }
        out.push(b'}');
    }

    /// A string, escaped anew: Python escapes what it must and all but ASCII.
    fn string(&mut self, out: &mut Vec<u8>) {
        self.at += 1;
        out.push(b'"');
        let content = self.string_content();
        // Much quicker than to replace what is no UTF-8, of which there is none.
        let text = std::str::from_utf8(content);
        let text = text.map_or_else(|_| String::from_utf8_lossy(content), Cow::Borrowed);
        let mut rest = &*text;
        loop {
            let (plain, behind) = rest.split_at(plain_bytes(rest.as_bytes()));
            out.extend_from_slice(plain.as_bytes());
            let mut chars = behind.chars();
            match chars.next() {
                None => break,
                Some('\\') => match chars.next() {
                    Some('u') => {
                        let digits: String = chars.by_ref().take(4).collect();
                        push_unit(out, u16::from_str_radix(&digits, 16).unwrap_or_default());
                    }
                    Some('b') => out.extend_from_slice(b"\\b"),
                    Some('f') => out.extend_from_slice(b"\\f"),
                    Some('n') => out.extend_from_slice(b"\\n"),
                    Some('r') => out.extend_from_slice(b"\\r"),
                    Some('t') => out.extend_from_slice(b"\\t"),
                    other => push_char(out, other.unwrap_or('\\')),
                },
                Some(c) => push_char(out, c),
            }
            rest = chars.as_str();
        }
        out.push(b'"');
    }

    /// What stands before the closing quote, which is stepped over.
    fn string_content(&mut self) -> &'a [u8] {
        let from = self.at;
        while let Some(rest) = self.text.get(self.at..) {
            let Some(next) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                break;
            };
            self.at += next;
            if rest[next] == b'"' {
                break;
            }
            self.at += 2;
        }
        let content = self.text.get(from..self.at).unwrap_or_default();
        self.at += 1;
        content
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self, out: &mut Vec<u8>) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
        let token = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        // A token of no length cannot be in valid JSON; stepping on ends the walk.
        self.at += token.len().max(1);
        let is_number = token.first().is_some_and(|byte| matches!(byte, b'-' | b'0'..=b'9'));
        if is_number && token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            let text = std::str::from_utf8(token).unwrap_or_default();
            out.extend_from_slice(float(text.parse().unwrap_or(f64::NAN)).as_bytes());
        } else {
            // Python has no negative zero among its integers.
            out.extend_from_slice(if token == b"-0" { b"0" } else { token });
        }
    }
}

/// How many bytes at the beginning of a string Python leaves as they are.
fn plain_bytes(text: &[u8]) -> usize {
    // Whole chunks at once: this is most of what there is to do for a long text.
    let (chunks, _) = text.as_chunks::<32>();
    let all_stay = |chunk: &&[u8; 32]| chunk.iter().fold(true, |all, &byte| all & stays(byte));
    let whole = chunks.iter().take_while(all_stay).count() * 32;
    whole + text[whole..].iter().take_while(|&&byte| stays(byte)).count()
}

/// Whether Python leaves a byte of a string as it is.
fn stays(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

fn push_char(out: &mut Vec<u8>, c: char) {
    for &mut unit in c.encode_utf16(&mut [0; 2]) {
        push_unit(out, unit);
    }
}

/// Appends one UTF-16 unit; a character beyond them comes as two.
fn push_unit(out: &mut Vec<u8>, unit: u16) {
    match u8::try_from(unit) {
        Ok(b'"') => out.extend_from_slice(b"\\\""),
        Ok(b'\\') => out.extend_from_slice(b"\\\\"),
        Ok(b'\n') => out.extend_from_slice(b"\\n"),
        Ok(b'\r') => out.extend_from_slice(b"\\r"),
        Ok(b'\t') => out.extend_from_slice(b"\\t"),
        Ok(0x0c) => out.extend_from_slice(b"\\f"),
        Ok(0x08) => out.extend_from_slice(b"\\b"),
        Ok(plain @ b' '..=b'~') => out.push(plain),
        _ => out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
    }
}

/// A float as Python prints it: the fewest digits that read back the same,
/// with an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    if !value.is_finite() {
        // json.dumps writes what JSON does not know; `1e400` gets here.
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // Where two shortest texts are equally near, Rust's takes the greater and
    // Python's the even one; printing to a given precision takes the even one.
    if (-4..16).contains(&exponent) {
        let decimals = usize::try_from(i32::try_from(decimals).unwrap_or(0) - exponent);
        let decimals = decimals.unwrap_or(0).max(1);
        return reads_back(format!("{value:.decimals$}"), value).unwrap_or(value.to_string());
    }
    let even = reads_back(format!("{value:.decimals$e}"), value).unwrap_or_default();
    let mantissa = even.split_once('e').map_or(mantissa, |(mantissa, _)| mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// `text`, if it means exactly `value`.
fn reads_back(text: String, value: f64) -> Option<String> {
    (text.parse::<f64>().map(f64::to_bits) == Ok(value.to_bits())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{checksum, dumps};

    fn dumped(text: &str) -> String {
        String::from_utf8(dumps(text.as_bytes())).unwrap()
    }

    #[test]
    fn zaqars_vectors() {
        for (body, sum) in [
            (r#""hello""#, "MD5:5deaee1c1332199e5b5bc7c5e4f7f0c2"),
            (r#"{"a": [1, "é", null]}"#, "MD5:1ec9b7a81f9e40daa58b2a2ecc5142bd"),
            (r#"{"a":[1,"\u00E9",null]}"#, "MD5:1ec9b7a81f9e40daa58b2a2ecc5142bd"),
        ] {
            assert_eq!(checksum(&body.into()).as_deref(), Some(sum), "{body}");
        }
        assert_eq!(checksum(&"null".into()), None);
        assert_eq!(checksum(&" null ".into()), None);
    }

    #[test]
    fn blanks_and_order_are_pythons() {
        assert_eq!(dumped(" [ 1 ,\n2 , [ ] , { } ] "), "[1, 2, [], {}]");
        assert_eq!(
            dumped(r#"{"z":1,"a":{"b" : true, "c":false},"d":null}"#),
            r#"{"z": 1, "a": {"b": true, "c": false}, "d": null}"#
        );
    }

    #[test]
    fn the_last_of_equal_keys_wins_in_the_place_of_the_first() {
        assert_eq!(dumped(r#"{"a":1,"b":2,"\u0061":[3]}"#), r#"{"a": [3], "b": 2}"#);
    }

    #[test]
    fn strings_are_ascii() {
        for (text, print) in [
            (r#""\/\"\\\b\f\n\r\t""#, r#""/\"\\\b\f\n\r\t""#),
            (r#""\u0008\u000c\u000a\u000d\u0009\u0022\u005c""#, r#""\b\f\n\r\t\"\\""#),
            ("\"\u{7f}~ \\u0001\"", r#""\u007f~ \u0001""#),
            ("\"é😀\\uD83D\\uDE00\\u0041\"", r#""\u00e9\ud83d\ude00\ud83d\ude00A""#),
            (r#""a,b]c}d: e""#, r#""a,b]c}d: e""#),
        ] {
            assert_eq!(dumped(text), print);
        }
    }

    #[test]
    fn numbers_print_as_in_python() {
        for (text, print) in [
            ("0", "0"),
            ("-0", "0"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("1e2", "100.0"),
            ("0.1", "0.1"),
            ("1.10", "1.1"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5E-7", "1.5e-07"),
            ("123456789012345.6", "123456789012345.6"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("2035649439357970.25", "2035649439357970.2"),
            ("9007199254740993.5", "9007199254740994.0"),
            ("9007199254740992e8", "9.007199254740992e+23"),
            ("9.5367431640625e-7", "9.5367431640625e-07"),
            ("1e16", "1e+16"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("5e-324", "5e-324"),
            ("2.2250738585072011e-308", "2.225073858507201e-308"),
            ("1e400", "Infinity"),
            ("-1e400", "-Infinity"),
        ] {
            assert_eq!(dumped(text), print, "{text}");
        }
    }

    #[test]
    fn text_that_is_no_json_ends_the_walk() {
        for odd in ["", "[", "{", "[,", "{\"a", "\"\\", "[}", "{]"] {
            dumps(odd.as_bytes());
        }
    }
}
