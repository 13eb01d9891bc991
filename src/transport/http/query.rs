//! Query parameters, by the rules of Zaqar's HTTP framework.

use std::borrow::Cow;
use std::fmt::Write;

use super::error::ApiError;

/// The parameters of a request, in order.
#[derive(Debug, Default)]
pub struct Query<'a>(Vec<Item<'a>>);

/// One value; a parameter that is a list has several of the same name.
#[derive(Debug)]
struct Item<'a> {
    name: Cow<'a, str>,
    /// `None` stands for a list without items, as in `ids=,`.
    value: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Splits a query. A parameter without a value is absent; a comma that is
    /// not escaped makes a list, whose empty items are dropped; repeating a
    /// name appends to its list.
    pub fn parse(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut items = Vec::with_capacity(memchr::memchr2_iter(b'&', b',', bytes).count() + 1);
        // Of a query without escapes, nothing needs a closer look.
        let has_escapes = memchr::memchr2(b'%', b'+', bytes).is_some();
        let decode = |part| if has_escapes { decode(part) } else { Cow::Borrowed(part) };
        for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            if value.is_empty() {
                continue;
            }
            let name = decode(name);
            let before = items.len();
            for part in value.split(',').filter(|part| !part.is_empty()) {
                items.push(Item { name: name.clone(), value: Some(decode(part)) });
            }
            if items.len() == before {
                items.push(Item { name, value: None });
            }
        }
        Self(items)
    }

    /// The items of a list, or `None` if the parameter is absent.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let mut items = self.0.iter().filter(|item| item.name == name).peekable();
        items.peek()?;
        Some(items.filter_map(|item| item.value.as_deref().map(str::to_owned)).collect())
    }

    /// A text; the last item if a list was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().filter(|item| item.name == name).find_map(|item| item.value.as_deref())
    }

    /// An integer as Python reads one; one beyond 64 bits counts as the
    /// nearest that fits, for every parameter has a much smaller range.
    ///
    /// # Errors
    ///
    /// 400 if it is anything else.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.text(name)
            .map(|text| integer(text).ok_or(()))
            .transpose()
            .map_err(|()| invalid(name, "The value must be an integer."))
    }

    /// A yes or no.
    ///
    /// # Errors
    ///
    /// 400 for a word that is neither.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.text(name)
            .map(|text| match text {
                "true" | "True" | "t" | "yes" | "y" | "1" | "on" => Ok(true),
                "false" | "False" | "f" | "no" | "n" | "0" | "off" => Ok(false),
                _ => {
                    Err(invalid(name, "The value of the parameter must be \"true\" or \"false\"."))
                }
            })
            .transpose()
    }

    /// Every parameter but those `named`, each with its one value.
    ///
    /// # Errors
    ///
    /// 400 if one of them is a list.
    pub fn others(&self, named: &[&str]) -> Result<Vec<(&str, &str)>, ApiError> {
        let mut others: Vec<(&str, &str)> = Vec::new();
        for Item { name, value } in &self.0 {
            if named.contains(&&**name) {
                continue;
            }
            match value {
                Some(value) if others.iter().all(|(other, _)| other != name) => {
                    others.push((name, value));
                }
                _ => return Err(invalid(name, "It must have exactly one value.")),
            }
        }
        Ok(others)
    }
}

fn invalid(name: &str, why: &str) -> ApiError {
    ApiError::bad_request(
        "Invalid parameter",
        format!("The \"{name}\" parameter is invalid. {why}"),
    )
}

/// Reads an integer as Python's `int` does: blanks around it, a sign, and
/// single underscores between digits.
pub fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.split('_').any(|part| part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let limit = if negative { i64::MIN } else { i64::MAX };
    let plain: String = digits.bytes().filter(|&b| b != b'_').map(char::from).collect();
    Some(plain.parse::<i64>().map_or(limit, |number| if negative { -number } else { number }))
}

/// Decodes `+` and percent escapes; an escape that is none stays as it is.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        bytes.push(match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The address of a next page, parameter by parameter.
pub struct Link {
    href: String,
    separator: char,
}

impl Link {
    /// The address with no parameters yet.
    pub fn to(path: String) -> Self {
        Self { href: path, separator: '?' }
    }

    /// Adds a parameter; what is not a letter, a digit or one of `_.-~` is
    /// escaped, a blank as `+`.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.href.push(self.separator);
        self.separator = '&';
        self.escape(name);
        self.href.push('=');
        self.escape(value);
        self
    }

    /// Adds a parameter if there is a value for it.
    pub fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, &value.to_string()),
            None => self,
        }
    }

    /// The address.
    pub fn href(self) -> String {
        self.href
    }

    fn escape(&mut self, text: &str) {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~');
        if text.bytes().all(is_plain) {
            return self.href.push_str(text);
        }
        for byte in text.bytes() {
            match byte {
                byte if is_plain(byte) => self.href.push(char::from(byte)),
                b' ' => self.href.push('+'),
                _ => {
                    // A string takes every write.
                    let _ = write!(self.href, "%{byte:02X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Link, Query, integer};

    #[test]
    fn lists_and_single_values() {
        let query =
            Query::parse("ids=a%2Cb,c,,&ids=d&limit=1,2&limit=&echo&x=+%41%zz%C3%A9&none=,");
        assert_eq!(query.list("ids").unwrap(), ["a,b", "c", "d"]);
        assert_eq!(query.text("limit"), Some("2"));
        assert_eq!(query.text("echo"), None);
        assert_eq!(query.text("x"), Some(" A%zzé"));
        assert_eq!(query.list("none").unwrap(), Vec::<String>::new());
        assert_eq!(query.list("echo"), None);
        assert_eq!(Query::parse("").list("ids"), None);
    }

    #[test]
    fn integers_are_pythons() {
        for (text, number) in [
            ("2", 2),
            ("+2", 2),
            (" 2 ", 2),
            ("-7", -7),
            ("1_0", 10),
            ("007", 7),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(integer(text), Some(number), "{text}");
        }
        for odd in ["", " ", "+", "1.5", "0x1", "_1", "1_", "1__0", "--1", "+ 1", "abc"] {
            assert_eq!(integer(odd), None, "{odd}");
        }
        let error = Query::parse("limit=abc").integer("limit").unwrap_err();
        assert_eq!(
            error.to_string(),
            "400 Invalid parameter: The \"limit\" parameter is invalid. The value must be an \
             integer."
        );
    }

    #[test]
    fn words_for_yes_and_no() {
        for yes in ["true", "True", "t", "yes", "y", "1", "on"] {
            let text = format!("echo={yes}");
            assert_eq!(Query::parse(&text).boolean("echo").unwrap(), Some(true), "{yes}");
        }
        for no in ["false", "False", "f", "no", "n", "0", "off"] {
            let text = format!("echo={no}");
            assert_eq!(Query::parse(&text).boolean("echo").unwrap(), Some(false), "{no}");
        }
        for odd in ["TRUE", "T", "Y", "2"] {
            let text = format!("echo={odd}");
            assert_eq!(
                Query::parse(&text).boolean("echo").unwrap_err().to_string(),
                "400 Invalid parameter: The \"echo\" parameter is invalid. The value of the \
                 parameter must be \"true\" or \"false\"."
            );
        }
    }

    #[test]
    fn what_is_not_named_must_be_single() {
        let query = Query::parse("limit=1&team=a+b&n=5");
        assert_eq!(query.others(&["limit"]).unwrap(), [("team", "a b"), ("n", "5")]);
        for list in ["k=1,2", "k=1&k=2", "k=,"] {
            assert!(Query::parse(list).others(&[]).is_err(), "{list}");
        }
    }

    #[test]
    fn links_escape_their_parameters() {
        let link = Link::to("/v2/queues".into())
            .with_some("marker", Some("a b/é"))
            .with_some("limit", None::<i64>)
            .with("detailed", "true");
        assert_eq!(link.href(), "/v2/queues?marker=a+b%2F%C3%A9&detailed=true");
    }
}
