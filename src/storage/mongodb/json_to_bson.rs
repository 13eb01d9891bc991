//! From JSON text to BSON, in one pass and without a tree.
//!
//! What comes out is what Python's `json` and `pymongo` make of the same text:
//! integers take 32 bits where they fit, else 64; numbers with a point or an
//! exponent are floats, infinite where they are too large; names keep their
//! order, and of two values with one name the last wins, in the place of the
//! first.
//!
//! Nesting costs no stack: what is open is kept in a list.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::wire::{Element, Elements, begin, finish, finish_text, kind, put_integer};
use crate::model::MAX_DEPTH;

/// The deepest nesting of arrays and objects in a value that is a field of a
/// document. The server takes 180 levels, and the document is one of them.
pub const MAX_NESTING: usize = 179;

// A body has three levels around it in a request: what passes there fits here.
const _: () = assert!(MAX_DEPTH <= MAX_NESTING + 3);

/// The largest document the server takes, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// Why a text has no form in BSON. The checks of a request let nothing of the
/// kind through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The grammar is broken.
    #[error("it is not JSON")]
    NotJson,
    /// An integer has more than 64 bits.
    #[error("an integer is too large")]
    IntegerTooLarge,
    /// Half a character.
    #[error("a character is not whole")]
    LoneSurrogate,
    /// A name contains a zero, which is where names end.
    #[error("a name contains a NUL character")]
    NulInName,
    /// More than [`MAX_NESTING`] levels.
    #[error("it is nested more than {MAX_NESTING} levels deep")]
    TooDeep,
    /// No document can hold it.
    #[error("it is too large for a document")]
    TooLarge,
}

/// The BSON form of JSON text: the kind of the value, then its bytes.
///
/// # Errors
///
/// [`Unfit`] if it has none.
pub fn to_bson(text: &str) -> Result<Vec<u8>, Unfit> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4 + 16);
    out.push(kind::NULL);
    Transcoder { text, at: 0, out, kind_at: 0, open: Vec::new(), names: Vec::new() }.run()
}

/// How many bytes at the beginning stand for themselves in a JSON string.
pub fn plain_run(text: &[u8]) -> usize {
    const STEP: usize = 16;
    #[allow(clippy::needless_bitwise_bool, reason = "no branch: 16 bytes in a few instructions")]
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let is_plain = |step: &&[u8]| !step.iter().fold(false, |any, byte| any | is_special(*byte));
    let whole = STEP * text.chunks_exact(STEP).take_while(is_plain).count();
    whole + text[whole..].iter().take_while(|byte| !is_special(**byte)).count()
}

struct Transcoder<'a> {
    text: &'a str,
    at: usize,
    out: Vec<u8>,
    /// Where the kind of the next value goes.
    kind_at: usize,
    open: Vec<Frame>,
    /// Prints of the names in the objects that are open.
    names: Vec<u64>,
}

/// An object or an array that is open.
struct Frame {
    /// Where it begins in the output.
    start: usize,
    /// The number of the next item; `None` in an object.
    number: Option<usize>,
    /// Where its names begin.
    names: usize,
}

impl Transcoder<'_> {
    fn run(mut self) -> Result<Vec<u8>, Unfit> {
        loop {
            let has_opened = self.value()?;
            if !self.proceed(has_opened)? {
                break;
            }
        }
        match self.peek() {
            Err(_) if self.out.len() <= MAX_BYTES => Ok(self.out),
            Err(_) => Err(Unfit::TooLarge),
            Ok(_) => Err(Unfit::NotJson),
        }
    }

    /// Steps over blanks and looks at the next byte.
    fn peek(&mut self) -> Result<u8, Unfit> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Unfit::NotJson),
            }
        }
    }

    /// Writes a value, or the beginning of one that contains others; tells
    /// whether it was the latter.
    fn value(&mut self) -> Result<bool, Unfit> {
        match self.peek()? {
            b'{' => self.open(kind::DOCUMENT, None)?,
            b'[' => self.open(kind::ARRAY, Some(0))?,
            b'"' => {
                self.at += 1;
                self.out[self.kind_at] = kind::STRING;
                let start = begin(&mut self.out);
                self.string()?;
                finish_text(&mut self.out, start);
                return Ok(false);
            }
            b't' => self.word("true", kind::BOOLEAN, &[1])?,
            b'f' => self.word("false", kind::BOOLEAN, &[0])?,
            b'n' => self.word("null", kind::NULL, &[])?,
            _ => self.number()?,
        }
        Ok(matches!(self.out[self.kind_at], kind::DOCUMENT | kind::ARRAY))
    }

    /// Goes on to the next value, and closes what ends before it; `false` if
    /// there is none.
    fn proceed(&mut self, mut has_opened: bool) -> Result<bool, Unfit> {
        while let Some(frame) = self.open.last() {
            let end = if frame.number.is_some() { b']' } else { b'}' };
            let next = self.peek()?;
            if next == end {
                self.at += 1;
                self.close();
            } else if has_opened {
                return self.name().map(|()| true);
            } else if next == b',' {
                self.at += 1;
                return self.name().map(|()| true);
            } else {
                return Err(Unfit::NotJson);
            }
            has_opened = false;
        }
        Ok(false)
    }

    fn open(&mut self, kind: u8, number: Option<usize>) -> Result<(), Unfit> {
        if self.open.len() == MAX_NESTING {
            return Err(Unfit::TooDeep);
        }
        self.at += 1;
        self.out[self.kind_at] = kind;
        let start = begin(&mut self.out);
        self.open.push(Frame { start, number, names: self.names.len() });
        Ok(())
    }

    fn close(&mut self) {
        let Some(frame) = self.open.pop() else { return };
        finish(&mut self.out, frame.start);
        let prints = &mut self.names[frame.names..];
        prints.sort_unstable();
        if prints.windows(2).any(|pair| pair[0] == pair[1]) {
            let document = self.out.split_off(frame.start);
            last_of_each(&document, &mut self.out);
        }
        self.names.truncate(frame.names);
    }

    /// Writes the name of the next value, with room for its kind before it.
    fn name(&mut self) -> Result<(), Unfit> {
        self.kind_at = self.out.len();
        self.out.push(kind::NULL);
        let Some(frame) = self.open.last_mut() else { return Err(Unfit::NotJson) };
        if let Some(number) = &mut frame.number {
            put_decimal(&mut self.out, *number);
            *number += 1;
        } else {
            self.expect(b'"')?;
            self.string()?;
            let name = &self.out[self.kind_at + 1..];
            if name.contains(&0) {
                return Err(Unfit::NulInName);
            }
            self.names.push(print(name));
            self.expect(b':')?;
        }
        self.out.push(0);
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unfit> {
        if self.peek()? != byte {
            return Err(Unfit::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, kind: u8, bytes: &[u8]) -> Result<(), Unfit> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Unfit::NotJson);
        }
        self.at += word.len();
        self.out[self.kind_at] = kind;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Unfit> {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let digits = &rest[..rest.bytes().take_while(is_part).count()];
        self.at += digits.len();
        let is_integer = !digits.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        self.out[self.kind_at] = if is_integer && !digits.is_empty() {
            let value = digits.parse().map_err(|_| Unfit::IntegerTooLarge)?;
            put_integer(&mut self.out, value)
        } else {
            let value: f64 = digits.parse().map_err(|_| Unfit::NotJson)?;
            self.out.extend_from_slice(&value.to_le_bytes());
            kind::DOUBLE
        };
        Ok(())
    }

    /// Writes the characters of a string; the quote before it was read.
    fn string(&mut self) -> Result<(), Unfit> {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = plain_run(rest);
            self.out.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            match rest.get(plain) {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                _ => return Err(Unfit::NotJson),
            }
        }
    }

    /// Writes what an escape stands for; the backslash was read.
    fn escape(&mut self) -> Result<(), Unfit> {
        let byte = match self.text.as_bytes().get(self.at) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(Unfit::NotJson),
        };
        self.at += 1;
        self.out.push(byte);
        Ok(())
    }

    /// Writes the character of `uXXXX`, or of two such escapes that are one.
    fn unicode_escape(&mut self) -> Result<(), Unfit> {
        let first = self.hex_unit()?;
        let is_first_half = (0xd800..0xdc00).contains(&first);
        let second = if is_first_half && self.text.as_bytes().get(self.at) == Some(&b'\\') {
            self.at += 1;
            Some(self.hex_unit()?)
        } else {
            None
        };
        let mut characters = char::decode_utf16([first].into_iter().chain(second));
        match (characters.next(), characters.next()) {
            (Some(Ok(character)), None) => {
                let mut utf8 = [0; 4];
                self.out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                Ok(())
            }
            _ => Err(Unfit::LoneSurrogate),
        }
    }

    /// Reads `uXXXX`.
    fn hex_unit(&mut self) -> Result<u16, Unfit> {
        let Some([b'u', digits @ ..]) = self.text.as_bytes().get(self.at..self.at + 5) else {
            return Err(Unfit::NotJson);
        };
        self.at += 5;
        digits.iter().try_fold(0, |unit, digit| {
            let value = char::from(*digit).to_digit(16).and_then(|value| u16::try_from(value).ok());
            value.map(|value| unit << 4 | value).ok_or(Unfit::NotJson)
        })
    }
}

fn put_decimal(out: &mut Vec<u8>, number: usize) {
    const DIGITS: &[u8; 10] = b"0123456789";
    if number >= 10 {
        put_decimal(out, number / 10);
    }
    out.push(DIGITS[number % 10]);
}

/// A number for a name: names that differ nearly always have different ones.
fn print(name: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut print = name.len() as u64;
    for part in name.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        print = (print.rotate_left(23) ^ u64::from_le_bytes(bytes)).wrapping_mul(MIX);
    }
    print
}

/// Writes the document again, with each name once.
fn last_of_each(document: &[u8], out: &mut Vec<u8>) {
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut kept: Vec<Element<'_>> = Vec::new();
    for element in Elements::of(document).flatten() {
        match places.entry(element.name) {
            Entry::Occupied(place) => kept[*place.get()].value = element.value,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(element);
            }
        }
    }
    let start = begin(out);
    for element in kept {
        out.push(element.value.kind);
        out.extend_from_slice(element.name);
        out.push(0);
        out.extend_from_slice(element.value.bytes);
    }
    finish(out, start);
}

#[cfg(test)]
mod tests;
