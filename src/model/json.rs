//! JSON kept as text: a body is parsed once, to check it, and never rebuilt.

use std::fmt;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

/// The deepest nesting of arrays and objects in a request. MongoDB takes 180
/// levels; a body is one below its document there, and three below the request
/// here. One rule holds for every store.
pub const MAX_DEPTH: usize = 182;

/// A JSON value as the text a client sent, shared without copying.
///
/// The text is valid JSON in UTF-8 because it comes from a checked request or
/// from the store, which holds nothing else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonText(Bytes);

impl JsonText {
    /// Wraps text that is known to be one valid JSON value.
    #[must_use]
    pub const fn from_checked(text: Bytes) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same text with a buffer of its own: it no longer keeps the whole
    /// request it came with in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl From<&str> for JsonText {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// What can be wrong with text that is JSON by its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Zaqar's rule: integers are signed and have 64 bits.
    #[error("JSON contains integer that is too large.")]
    IntegerTooLarge,
    /// More than [`MAX_DEPTH`] levels.
    #[error("JSON is nested more than {MAX_DEPTH} levels deep.")]
    TooDeep,
    /// Half a character, as in `"\ud800"`: it has no UTF-8 form.
    #[error("JSON contains a lone surrogate.")]
    LoneSurrogate,
    /// `\u0000` in a key, which MongoDB cannot store.
    #[error("JSON contains a NUL character in a key.")]
    NulInKey,
}

impl TextFault {
    /// Finds what a grammar check lets through, in text that passed one.
    ///
    /// # Errors
    ///
    /// The first fault found.
    pub fn find(text: &str) -> Result<(), Self> {
        if is_plain(text.as_bytes()) { Ok(()) } else { Scan::new(text.as_bytes()).run() }
    }
}

/// Digits of the shortest integer that may not fit 64 bits.
const LONG_NUMBER: usize = 19;

/// Made once: to make it takes as long as to look through a short text.
static UNICODE_ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\\u"));

/// Whether a quick look already shows that nothing can be wrong. Nearly every
/// request passes here, at a fraction of what the scan costs.
fn is_plain(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'[', b'{', text).nth(MAX_DEPTH).is_none()
        && UNICODE_ESCAPE.find(text).is_none()
        && !has_long_number(text)
}

/// Whether there are [`LONG_NUMBER`] digits in a row, in a string or not. Such
/// a run cannot hide from a look at every 19th byte.
fn has_long_number(text: &[u8]) -> bool {
    text.chunks_exact(LONG_NUMBER).enumerate().any(|(index, chunk)| {
        chunk[LONG_NUMBER - 1].is_ascii_digit() && {
            let (before, after) = text.split_at((index + 1) * LONG_NUMBER);
            let is_digit = |byte: &&u8| byte.is_ascii_digit();
            let before = before.iter().rev().take_while(is_digit).count();
            before + after.iter().take_while(is_digit).count() >= LONG_NUMBER
        }
    })
}

/// One pass over the tokens of valid JSON text.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scan<'a> {
    const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    fn run(mut self) -> Result<(), TextFault> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b'[' | b'{' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(TextFault::TooDeep);
                    }
                    self.at += 1;
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), TextFault> {
        let number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let rest = &self.text[self.at..];
        let token = &rest[..rest.iter().take_while(|byte| number(byte)).count()];
        self.at += token.len();
        let is_integer = !token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        let fits = || std::str::from_utf8(token).is_ok_and(|text| text.parse::<i64>().is_ok());
        if is_integer && !fits() { Err(TextFault::IntegerTooLarge) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<(), TextFault> {
        self.at += 1;
        let mut has_nul = false;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' if self.text.get(self.at) == Some(&b'u') => {
                    has_nul |= self.unicode_escape()? == 0;
                }
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        if has_nul && self.next_is_colon() { Err(TextFault::NulInKey) } else { Ok(()) }
    }

    /// Reads `uXXXX`, and a second escape where the first is half a pair.
    fn unicode_escape(&mut self) -> Result<u16, TextFault> {
        let first = self.hex_unit();
        match first {
            0xd800..0xdc00 if self.text[self.at..].starts_with(b"\\u") => {
                self.at += 1;
                match self.hex_unit() {
                    0xdc00..0xe000 => Ok(first),
                    _ => Err(TextFault::LoneSurrogate),
                }
            }
            0xd800..0xe000 => Err(TextFault::LoneSurrogate),
            _ => Ok(first),
        }
    }

    /// Steps over `uXXXX`; the digits are there because the grammar was checked.
    fn hex_unit(&mut self) -> u16 {
        let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
        self.at = (self.at + 5).min(self.text.len());
        std::str::from_utf8(digits)
            .ok()
            .and_then(|hex| u16::from_str_radix(hex, 16).ok())
            .unwrap_or(1)
    }

    fn next_is_colon(&self) -> bool {
        self.text[self.at..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, TextFault};

    fn find(text: &str) -> Result<(), TextFault> {
        serde_json::from_str::<&serde_json::value::RawValue>(text).expect("valid by its grammar");
        TextFault::find(text)
    }

    #[test]
    fn integers_have_64_bits() {
        for good in
            ["9223372036854775807", "-9223372036854775808", "1e400", "12345678901234567890.5"]
        {
            assert_eq!(find(&format!("[{good}]")), Ok(()), "{good}");
        }
        for bad in ["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"]
        {
            assert_eq!(
                find(&format!(r#"{{"a":[{bad}]}}"#)),
                Err(TextFault::IntegerTooLarge),
                "{bad}"
            );
        }
        assert_eq!(find(r#""99999999999999999999999 \" 99999999999999999999999""#), Ok(()));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(find(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(find(&nested(MAX_DEPTH + 1)), Err(TextFault::TooDeep));
        assert_eq!(find(&format!("[{}]", "[],".repeat(500) + "\"[[[\"")), Ok(()));
    }

    #[test]
    fn characters_are_whole() {
        assert_eq!(find(r#""\ud83d\ude00 \u00e9 \u0000""#), Ok(()));
        for bad in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#] {
            assert_eq!(find(bad), Err(TextFault::LoneSurrogate), "{bad}");
        }
        assert_eq!(find(r#"{"a\u0000b" : 1}"#), Err(TextFault::NulInKey));
        assert_eq!(find(r#"{"a":"\u0000"}"#), Ok(()));
        assert_eq!(find(r#"{"\\u0000":1}"#), Ok(()));
    }
}
