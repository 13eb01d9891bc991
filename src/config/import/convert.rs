//! From values as oslo.config writes them to values of TOML.

use toml::Value;

use super::options::Kind;

/// Reads a value, or says what it should have been.
pub(super) fn convert(text: &str, kind: Kind) -> Result<Value, &'static str> {
    let text = text.trim();
    match kind {
        Kind::Boolean => boolean(text).map(Value::from).ok_or("a boolean"),
        Kind::Integer => text.parse::<i64>().map(Value::from).map_err(|_| "an integer"),
        Kind::Seconds => match text.parse::<i64>() {
            Ok(seconds) => Ok(seconds.max(0).into()),
            Err(_) => Err("an integer"),
        },
        Kind::Number => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number.into()),
            _ => Err("a number"),
        },
        Kind::Text => Ok(text.into()),
        Kind::List => Ok(list(text).map(Value::from).collect::<Vec<_>>().into()),
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// The items of a list; it may go over several lines.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Kind, convert};

    #[test]
    fn values_are_read_as_oslo_config_does() {
        for (text, kind, toml) in [
            ("Yes", Kind::Boolean, "true"),
            ("0", Kind::Boolean, "false"),
            (" 17 ", Kind::Integer, "17"),
            ("-1", Kind::Seconds, "0"),
            ("0.5", Kind::Number, "0.5"),
            ("1", Kind::Number, "1.0"),
            ("a, b", Kind::Text, "\"a, b\""),
            ("\na,\n b,,", Kind::List, "[\"a\", \"b\"]"),
            ("", Kind::List, "[]"),
        ] {
            assert_eq!(convert(text, kind).unwrap().to_string(), toml, "{text}");
        }
        assert_eq!(convert("ja", Kind::Boolean), Err("a boolean"));
        assert_eq!(convert("1.5", Kind::Integer), Err("an integer"));
        assert_eq!(convert("nan", Kind::Number), Err("a number"));
    }
}
