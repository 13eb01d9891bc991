//! Python's view of values: what it prints, what it takes for an integer or for
//! false. Zaqar's rules and sentences rest on it, and clients may compare them.

use std::fmt::Write as _;

use serde_json::Value;

/// Whether the value counts as false: null, `false`, 0 and what is empty do.
#[must_use]
pub fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

/// The value as an integer; `true` and `false` count as 1 and 0, a float never.
#[must_use]
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(value) => Some((*value).into()),
        value => value.as_i64(),
    }
}

/// A text as Python's `repr` prints it: `'x'`, or `"it's"`.
///
/// Of the characters beyond ASCII, Python escapes all it calls not printable;
/// here these are the control characters and the blanks.
#[must_use]
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut printed = String::with_capacity(text.len() + 2);
    printed.push(quote);
    for c in text.chars() {
        push_escaped(&mut printed, c, quote);
    }
    printed.push(quote);
    printed
}

fn push_escaped(printed: &mut String, c: char, quote: char) {
    match c {
        '\\' => printed.push_str("\\\\"),
        '\n' => printed.push_str("\\n"),
        '\r' => printed.push_str("\\r"),
        '\t' => printed.push_str("\\t"),
        c if c == quote => {
            printed.push('\\');
            printed.push(c);
        }
        c if c == ' ' || !(c.is_control() || c.is_whitespace()) => printed.push(c),
        c => {
            let code = u32::from(c);
            // Writing to a String cannot fail.
            let _ = match code {
                0..=0xff => write!(printed, "\\x{code:02x}"),
                _ => write!(printed, "\\u{code:04x}"),
            };
        }
    }
}

/// A list of texts: `['a', 'b']`.
#[must_use]
pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", joined(texts))
}

/// A set of texts: `{'a', 'b'}`. Python's order is random; ours is that of
/// `texts`, which should be sorted and free of repetitions.
#[must_use]
pub fn set<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("{{{}}}", joined(texts))
}

/// The integer that Python's `int` reads in `text`, however large, in its
/// shortest form: blanks around it, a sign and single `_` between digits are
/// fine. `None` if it reads none.
#[must_use]
pub fn integer_text(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    if !digits.split('_').all(is_number) {
        return None;
    }
    let digits = digits.replace('_', "");
    match digits.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        digits => Some(format!("{sign}{digits}")),
    }
}

fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(repr).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{integer, integer_text, is_falsy, list, repr, set};

    #[test]
    fn texts_print_as_in_python() {
        for (text, printed) in [
            ("", "''"),
            ("nope", "'nope'"),
            ("it's", r#""it's""#),
            (r#"it's "it""#, r#"'it\'s "it"'"#),
            (r"a\b", r"'a\\b'"),
            ("a\nb\r\t", r"'a\nb\r\t'"),
            ("\0\u{7f}\u{a0}", r"'\x00\x7f\xa0'"),
            ("\u{2028}", r"'\u2028'"),
            ("zoë 😀", "'zoë 😀'"),
        ] {
            assert_eq!(repr(text), printed);
        }
    }

    #[test]
    fn collections_print_as_in_python() {
        assert_eq!(list([]), "[]");
        assert_eq!(list(["a", "b,c"]), "['a', 'b,c']");
        assert_eq!(set(["x"]), "{'x'}");
    }

    #[test]
    fn texts_that_are_integers() {
        for (text, number) in [
            ("0", "0"),
            ("-00", "0"),
            (" +007\n", "7"),
            ("-1_000", "-1000"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(integer_text(text).as_deref(), Some(number));
        }
        for odd in ["", "-", "1.5", "1__0", "_1", "1_", "+-1", "0x1", "2030-01-01", "٣"] {
            assert_eq!(integer_text(odd), None, "{odd}");
        }
    }

    #[test]
    fn values_that_are_false_and_values_that_are_integers() {
        for (value, falsy, number) in [
            (Value::Null, true, None),
            (json!(false), true, Some(0)),
            (json!(true), false, Some(1)),
            (json!(0), true, Some(0)),
            (json!(-0.0), true, None),
            (json!(1.0), false, None),
            (json!(i64::MIN), false, Some(i64::MIN)),
            (json!(u64::MAX), false, None),
            (json!(""), true, None),
            (json!("0"), false, None),
            (json!([]), true, None),
            (json!([0]), false, None),
            (json!({}), true, None),
            (json!({"": 0}), false, None),
        ] {
            assert_eq!((is_falsy(&value), integer(&value)), (falsy, number), "{value}");
        }
    }
}
