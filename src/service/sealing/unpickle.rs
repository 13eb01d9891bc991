//! The few words of Python's pickle that a JSON value needs.
//!
//! A pickle is a program that builds a value, and can be made to call anything.
//! Here there are no calls: only dictionaries with strings for keys, lists,
//! strings, numbers, truth values and null, as Python's protocols 4 and 5 write
//! them. Anything else is refused, and so is what would grow out of bounds.

use std::rc::Rc;

/// The first byte of every pickle that is read here.
pub(super) const PROTO: u8 = 0x80;

/// Deepest nesting; posts may not be deeper by far.
const DEPTH_MAX: usize = 512;

/// Longest JSON made of a pickle, in bytes: as long as any post can be. A string
/// that is named again costs two bytes in a pickle and its length in JSON.
const JSON_BYTES_MAX: usize = 64 << 20;

/// The JSON text of the value that a pickle makes; `None` if it is broken or
/// makes anything but JSON.
pub(super) fn json(pickle: &[u8]) -> Option<Vec<u8>> {
    json_within(JSON_BYTES_MAX, pickle)
}

fn json_within(max: usize, pickle: &[u8]) -> Option<Vec<u8>> {
    let mut machine = Machine { input: pickle, stack: Vec::new(), memo: Vec::new() };
    let value = machine.run()?;
    let mut out = Vec::with_capacity(pickle.len());
    value.write(&mut out, max)?;
    Some(out)
}

/// A value, or a mark that says where a batch of them begins.
enum Item {
    Mark,
    Value(Value),
}

enum Value {
    /// A number, a truth value or null, as JSON.
    Plain(String),
    Text(Rc<str>),
    List(Vec<Value>, usize),
    Object(Vec<(Rc<str>, Value)>, usize),
}

impl Value {
    /// How many lists and objects are in each other here.
    fn depth(&self) -> usize {
        match self {
            Self::Plain(_) | Self::Text(_) => 0,
            Self::List(_, depth) | Self::Object(_, depth) => *depth,
        }
    }

    fn write(&self, out: &mut Vec<u8>, max: usize) -> Option<()> {
        match self {
            Self::Plain(text) => out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => serde_json::to_writer(&mut *out, &**text).ok()?,
            Self::List(items, _) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out, max)?;
                }
                out.push(b']');
            }
            Self::Object(fields, _) => {
                out.push(b'{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    serde_json::to_writer(&mut *out, &**name).ok()?;
                    out.push(b':');
                    value.write(out, max)?;
                }
                out.push(b'}');
            }
        }
        (out.len() <= max).then_some(())
    }
}

struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Item>,
    /// What can be named again: strings only. A list in two places is no JSON.
    memo: Vec<Option<Rc<str>>>,
}

impl Machine<'_> {
    fn run(&mut self) -> Option<Value> {
        let [PROTO, 4 | 5] = self.take()? else { return None };
        loop {
            let [word] = self.take()?;
            match word {
                b'.' => break,
                // The length of a part, for readers from slow files.
                0x95 => {
                    let _: [u8; 8] = self.take()?;
                }
                b'(' => self.stack.push(Item::Mark),
                b'}' => self.push(Value::Object(Vec::new(), 1)),
                b']' => self.push(Value::List(Vec::new(), 1)),
                b's' | b'u' | b'a' | b'e' => self.collect(word)?,
                0x94 | b'h' | b'j' => self.remember(word)?,
                0x8c | b'X' | 0x8d => self.text(word)?,
                b'J' | b'K' | b'M' | 0x8a => self.integer(word)?,
                b'G' => self.float()?,
                b'N' => self.push(Value::Plain("null".into())),
                0x88 => self.push(Value::Plain("true".into())),
                0x89 => self.push(Value::Plain("false".into())),
                _ => return None,
            }
        }
        let value = self.pop()?;
        (self.stack.is_empty() && self.input.is_empty()).then_some(value)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.input.split_first_chunk()?;
        self.input = rest;
        Some(*taken)
    }

    fn take_bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.input.split_at_checked(count)?;
        self.input = rest;
        Some(taken)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(Item::Value(value));
    }

    fn pop(&mut self) -> Option<Value> {
        match self.stack.pop()? {
            Item::Value(value) => Some(value),
            Item::Mark => None,
        }
    }

    fn pop_text(&mut self) -> Option<Rc<str>> {
        match self.pop()? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values since the last mark.
    fn pop_batch(&mut self) -> Option<Vec<Value>> {
        let mark = self.stack.iter().rposition(|item| matches!(item, Item::Mark))?;
        let batch = self.stack.drain(mark..).skip(1);
        batch.map(|item| if let Item::Value(value) = item { Some(value) } else { None }).collect()
    }

    /// Puts values into the list or object below them.
    fn collect(&mut self, word: u8) -> Option<()> {
        let values = match word {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![Value::Text(self.pop_text()?), value]
            }
            _ => self.pop_batch()?,
        };
        let below = values.iter().map(Value::depth).max().unwrap_or(0);
        let Item::Value(target) = self.stack.last_mut()? else { return None };
        match (word, target) {
            (b'a' | b'e', Value::List(items, depth)) => {
                items.extend(values);
                *depth = deeper(*depth, below)?;
            }
            (b's' | b'u', Value::Object(fields, depth)) => {
                let mut values = values.into_iter();
                while let Some(name) = values.next() {
                    let Value::Text(name) = name else { return None };
                    fields.push((name, values.next()?));
                }
                *depth = deeper(*depth, below)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn remember(&mut self, word: u8) -> Option<()> {
        let index = match word {
            b'h' => usize::from(u8::from_le_bytes(self.take()?)),
            b'j' => usize::try_from(u32::from_le_bytes(self.take()?)).ok()?,
            _ => {
                let Item::Value(value) = self.stack.last()? else { return None };
                let text = if let Value::Text(text) = value { Some(Rc::clone(text)) } else { None };
                self.memo.push(text);
                return Some(());
            }
        };
        let text = self.memo.get(index)?.clone()?;
        self.push(Value::Text(text));
        Some(())
    }

    fn text(&mut self, word: u8) -> Option<()> {
        let length = match word {
            0x8c => usize::from(u8::from_le_bytes(self.take()?)),
            b'X' => usize::try_from(u32::from_le_bytes(self.take()?)).ok()?,
            _ => usize::try_from(u64::from_le_bytes(self.take()?)).ok()?,
        };
        let text = std::str::from_utf8(self.take_bytes(length)?).ok()?.into();
        self.push(Value::Text(text));
        Some(())
    }

    fn integer(&mut self, word: u8) -> Option<()> {
        let value = match word {
            b'K' => i64::from(u8::from_le_bytes(self.take()?)),
            b'M' => i64::from(u16::from_le_bytes(self.take()?)),
            b'J' => i64::from(i32::from_le_bytes(self.take()?)),
            _ => {
                let [length] = self.take()?;
                signed(self.take_bytes(length.into())?)?
            }
        };
        self.push(Value::Plain(value.to_string()));
        Some(())
    }

    fn float(&mut self) -> Option<()> {
        let text = match f64::from_be_bytes(self.take()?) {
            // A number that JSON can write and no float can hold.
            f64::INFINITY => "1e999".to_owned(),
            f64::NEG_INFINITY => "-1e999".to_owned(),
            // What is no number is null, as in what Zaqar did not encrypt.
            value => serde_json::Number::from_f64(value)
                .map_or_else(|| "null".to_owned(), |number| number.to_string()),
        };
        self.push(Value::Plain(text));
        Some(())
    }
}

fn deeper(depth: usize, below: usize) -> Option<usize> {
    Some(depth.max(below + 1)).filter(|depth| *depth <= DEPTH_MAX)
}

/// A number as Python writes it: two's complement, the lowest byte first.
fn signed(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let is_negative = bytes.last().is_some_and(|highest| highest & 0x80 != 0);
    let mut all = [if is_negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Some(i64::from_le_bytes(all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DEPTH_MAX, json, json_within};
    use crate::service::hex;

    fn read(digits: &str) -> Option<String> {
        json(&hex::bytes(digits).unwrap()).map(|text| String::from_utf8(text).unwrap())
    }

    /// Written by Python 3.11.
    #[test]
    fn what_python_pickles_of_json_is_read() {
        for (pickle, text) in [
            ("8004950e000000000000007d948c05746f74616c944b2a732e", r#"{"total":42}"#),
            ("8005950e000000000000007d948c05746f74616c944b2a732e", r#"{"total":42}"#),
            (
                "80049516000000000000007d94288c0161944b018c0162945d942888894e65752e",
                r#"{"a":1,"b":[true,false,null]}"#,
            ),
            ("80047d942e", "{}"),
            ("80045d942e", "[]"),
            ("80044e2e", "null"),
            ("8004882e", "true"),
            ("80044b002e", "0"),
            ("80049506000000000000004affffffff2e", "-1"),
            ("80044bff2e", "255"),
            ("80049504000000000000004dffff2e", "65535"),
            ("80049506000000000000004a000000802e", "-2147483648"),
            ("80049508000000000000008a0500000080002e", "2147483648"),
            ("8004950b000000000000008a08ffffffffffffff7f2e", "9223372036854775807"),
            ("8004950b000000000000008a0800000000000000802e", "-9223372036854775808"),
            ("8004950a00000000000000473ff80000000000002e", "1.5"),
            ("8004950a000000000000004780000000000000002e", "-0.0"),
            ("8004950a00000000000000477ff00000000000002e", "1e999"),
            ("8004950a00000000000000477ff80000000000002e", "null"),
            (
                "80049512000000000000005d94288c01789468017d946801680173652e",
                r#"["x","x",{"x":"x"}]"#,
            ),
            ("80049512000000000000007d948c02c3a9948c06f09f9880220a94732e", "{\"é\":\"😀\\\"\\n\"}"),
            ("8004950f000000000000005d945d945d945d944b01616161612e", "[[[[1]]]]"),
            ("80049512000000000000007d948c016b945d94284b004b014b0265732e", r#"{"k":[0,1,2]}"#),
        ] {
            assert_eq!(read(pickle).as_deref(), Some(text), "{pickle}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for (what, pickle) in [
            (
                "a call",
                "8004951d000000000000008c05706f736978948c0673797374656d9493948c02696494859452942e",
            ),
            ("a set", "80049507000000000000008f94284b01902e"),
            ("a tuple", "80049505000000000000004b0185942e"),
            ("bytes", "8004950500000000000000430178942e"),
            ("an integer of 65 bits", "8004950c000000000000008a090000000000000080002e"),
            ("a negative one", "8004950c000000000000008a09ffffffffffffff7fff2e"),
            ("a key that is a number", "80049508000000000000007d944b014b02732e"),
            ("a list in two places", "80049509000000000000005d94285d946801652e"),
            ("half a character", "8004950a000000000000005d948c03eda08094612e"),
            ("another protocol", "80034e2e"),
            ("nothing", "8004"),
            ("no end", "80044e"),
            ("no value", "80042e"),
            ("two values", "80044e4e2e"),
            ("more behind the end", "80044e2e4e"),
            ("a mark", "8004282e"),
            ("an unknown name", "800468002e"),
            ("a text beyond the end", "80048dffffffffffffffff2e"),
        ] {
            assert_eq!(read(pickle), None, "{what}");
        }
    }

    #[test]
    fn nothing_grows_out_of_bounds() {
        let nested = |depth: usize| {
            let close = vec![b'a'; depth - 1];
            [&[0x80, 4][..], &vec![b']'; depth], &close, b"."].concat()
        };
        assert!(json(&nested(DEPTH_MAX)).is_some());
        assert!(json(&nested(DEPTH_MAX + 1)).is_none());
        assert!(json(&nested(1_000_000)).is_none());

        let text = b"x".repeat(1_000);
        let bomb = [&[0x80, 4, b']', b'(', b'X', 0xe8, 3, 0, 0][..], &text, &[0x94]].concat();
        let named_again = |times: usize| [&bomb[..], &b"h\0".repeat(times), b"e."].concat();
        assert!(json_within(10_100, &named_again(9)).is_some());
        assert!(json_within(10_100, &named_again(10)).is_none());
        assert!(json_within(10_100, &named_again(1_000_000)).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let pickle = [&[0x80, 4], &bytes[..], b"."].concat();
            if let Some(text) = json(&pickle) {
                serde_json::from_slice::<&serde_json::value::RawValue>(&text).unwrap();
            }
        }
    }
}
