//! Both ways between JSON and BSON, against the client library's own conversion.

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Number, Value as Json, json};

use super::super::bson_to_json::to_json;
use super::super::metadata::metadata_to_bson;
use super::super::wire::{Value, begin, finish, put_head};
use super::{MAX_NESTING, Unfit, to_bson};
use crate::model::Metadata;

/// What a text is once it was stored and read.
fn again(text: &str) -> String {
    let bson = to_bson(text).unwrap_or_else(|unfit| panic!("{unfit}: {text}"));
    let value = Value { kind: bson[0], bytes: &bson[1..] };
    String::from_utf8(to_json(value).unwrap()).unwrap()
}

/// A document with the value as its field `b`.
fn document(bson: &[u8]) -> Vec<u8> {
    let mut document = Vec::new();
    let start = begin(&mut document);
    put_head(&mut document, bson[0], "b");
    document.extend_from_slice(&bson[1..]);
    finish(&mut document, start);
    document
}

/// The same, from text.
fn ours(text: &str) -> Vec<u8> {
    document(&to_bson(text).unwrap())
}

/// The same, made by the client library.
fn theirs(value: &Json) -> Vec<u8> {
    let entries = Map::from_iter([("b".to_owned(), value.clone())]);
    let document = metadata_to_bson(&Metadata::new(entries)).unwrap();
    RawDocumentBuf::try_from(&document).unwrap().into_bytes()
}

const JSON_LIKE: &str = r#"[\[\]{}",:\\a-u0-9.e+ \n-]{0,18}"#;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c$.\"\\\\\u{0}-\u{1f}é☃😀]{0,40}"]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab$.]{0,2}", text()].prop_map(|name| name.replace('\0', ""))
}

fn number() -> impl Strategy<Value = Json> {
    prop_oneof![
        any::<i64>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        any::<u64>().prop_filter_map("not finite", |bits| {
            Number::from_f64(f64::from_bits(bits)).map(Json::Number)
        }),
        (-1e6..1e6).prop_map(Json::from),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        number(),
        text().prop_map(Json::from),
    ];
    scalar.prop_recursive(6, 60, 12, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(Json::from),
            vec((name(), inner), 0..12)
                .prop_map(|entries| Json::Object(entries.into_iter().collect())),
        ]
    })
}

/// Every character of its strings as an escape.
fn escaped(value: &Json) -> String {
    let string = |text: &str| {
        let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{}\"", units.concat())
    };
    match value {
        Json::String(text) => string(text),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(escaped).collect();
            format!("[ {} ]", items.join("\t,\r\n"))
        }
        Json::Object(entries) => {
            let entry =
                |(name, value): (&String, &Json)| format!("{} : {}", string(name), escaped(value));
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!(" {{\n{}}} ", entries.join(" , "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn any_value_is_what_the_client_library_makes_of_it(value in value()) {
        let expected = theirs(&value);
        prop_assert_eq!(&ours(&value.to_string()), &expected);
        prop_assert_eq!(&ours(&serde_json::to_string_pretty(&value).unwrap()), &expected);
        prop_assert_eq!(&ours(&escaped(&value)), &expected);
    }

    #[test]
    fn any_value_reads_back_word_for_word(value in value()) {
        let text = value.to_string();
        prop_assert_eq!(again(&text), text);
    }

    #[test]
    fn any_float_reads_back_to_the_last_bit(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite());
        let read = again(&format!("{float:e}"));
        prop_assert!(read.contains(['.', 'e']), "{} is no float any more", read);
        prop_assert_eq!(read.parse::<f64>().unwrap().to_bits(), bits);
    }

    /// Short enough for every integer to have at most 64 bits.
    #[test]
    fn any_other_text_is_refused_or_makes_a_whole_document(text in JSON_LIKE) {
        let made = to_bson(&text);
        if let Ok(value) = serde_json::from_str::<Json>(&text) {
            prop_assert!(made.is_ok(), "{}", text);
            prop_assert!(has_zero(&value) || ours(&text) == theirs(&value), "{}", text);
        } else if let Ok(bson) = made {
            let document = document(&bson);
            let document = RawDocument::from_bytes(&document).unwrap();
            prop_assert!(Document::try_from(document).is_ok(), "{}", text);
        }
    }
}

/// To `serde_json`, `-0` is a float; to Python it is not.
fn has_zero(value: &Json) -> bool {
    match value {
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::Array(items) => items.iter().any(has_zero),
        Json::Object(entries) => entries.values().any(has_zero),
        _ => false,
    }
}

#[test]
fn numbers_are_those_of_python() {
    for (text, expected) in [
        ("0", Bson::Int32(0)),
        ("-0", Bson::Int32(0)),
        ("2147483647", Bson::Int32(i32::MAX)),
        ("2147483648", Bson::Int64(1 << 31)),
        ("-2147483648", Bson::Int32(i32::MIN)),
        ("-2147483649", Bson::Int64(-(1 << 31) - 1)),
        ("9223372036854775807", Bson::Int64(i64::MAX)),
        ("-9223372036854775808", Bson::Int64(i64::MIN)),
        ("1.0", Bson::Double(1.0)),
        ("1E2", Bson::Double(100.0)),
        ("1e400", Bson::Double(f64::INFINITY)),
        ("-1e400", Bson::Double(f64::NEG_INFINITY)),
        ("1e-400", Bson::Double(0.0)),
        ("12345678901234567890.5", Bson::Double(12_345_678_901_234_567_890.5)),
    ] {
        let document = ours(text);
        let document = Document::try_from(RawDocument::from_bytes(&document).unwrap()).unwrap();
        assert_eq!(document.get("b"), Some(&expected), "{text}");
    }
}

#[test]
fn floats_stay_floats() {
    for (text, expected) in [
        ("1.0", "1.0"),
        ("-0.0", "-0.0"),
        ("1e2", "100.0"),
        ("5e-324", "5e-324"),
        ("0.1", "0.1"),
        ("1e400", "1e999"),
        ("[-1e400]", "[-1e999]"),
    ] {
        assert_eq!(again(text), expected);
    }
    let nothing = f64::NAN.to_le_bytes();
    let value = Value { kind: super::kind::DOUBLE, bytes: &nothing };
    assert_eq!(to_json(value).unwrap(), b"null");
}

#[test]
fn of_two_values_with_one_name_the_last_wins_in_the_place_of_the_first() {
    for (text, expected) in [
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"a":{"x":1,"x":[]},"b":2,"\u0061":{"y":1,"y":"s"}}"#, r#"{"a":{"y":"s"},"b":2}"#),
        (r#"[{"":1,"":null},{"":2}]"#, r#"[{"":null},{"":2}]"#),
    ] {
        assert_eq!(again(text), expected);
    }
    let many: Vec<_> = (0..3000).map(|number| format!("\"{}\":{number}", number % 1500)).collect();
    let read: Json = serde_json::from_str(&again(&format!("{{{}}}", many.join(",")))).unwrap();
    let read = read.as_object().unwrap();
    assert_eq!(read.len(), 1500);
    assert_eq!((read.iter().next().unwrap().0.as_str(), &read["1499"]), ("0", &json!(2999)));
}

#[test]
fn nesting_costs_no_stack_and_has_an_end() {
    let small = std::thread::Builder::new().stack_size(64 << 10);
    let work = || {
        for (left, right) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |levels| left.repeat(levels) + "1" + &right.repeat(levels);
            let deepest = nested(MAX_NESTING);
            assert_eq!(again(&deepest), deepest);
            assert_eq!(to_bson(&nested(MAX_NESTING + 1)), Err(Unfit::TooDeep));
        }
    };
    small.spawn(work).unwrap().join().unwrap();
}

#[test]
fn what_has_no_bson_is_refused() {
    for (text, expected) in [
        ("9223372036854775808", Unfit::IntegerTooLarge),
        (r#""\ud800""#, Unfit::LoneSurrogate),
        (r#""\ud800\ud800""#, Unfit::LoneSurrogate),
        (r#""\udc00""#, Unfit::LoneSurrogate),
        (r#"{"a\u0000b":1}"#, Unfit::NulInName),
    ] {
        assert_eq!(to_bson(text), Err(expected), "{text}");
    }
    for text in [
        "",
        " ",
        "[",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "[}",
        "{\"a\":1]",
        "tru",
        "nul",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12é\"",
        "1 1",
        "1.2.3",
        "é",
        "\"a\nb\"",
    ] {
        assert_eq!(to_bson(text), Err(Unfit::NotJson), "{text}");
    }
    let large = format!("\"{}\"", "x".repeat(16 << 20));
    assert_eq!(to_bson(&large), Err(Unfit::TooLarge));
}

#[test]
fn strings_are_escaped_no_more_than_they_must() {
    let text = r#""é☃😀/'\u0000\u001f\"\\\b\f\n\r\t""#;
    assert_eq!(again(text), text);
    assert_eq!(again(r#""\u00e9\u2603\ud83d\ude00\/\u0022""#), r#""é☃😀/\"""#);
}
