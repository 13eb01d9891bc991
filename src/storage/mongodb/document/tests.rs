//! Documents as Zaqar wrote them, and as nobody should.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::super::metadata::{metadata_of, metadata_to_bson};
use super::*;
use crate::model::{ClaimId, Metadata, StoredMessage};

/// Documents that Zaqar 23.0.1 made with pymongo 4, by what was done to them:
/// eight posts with `enable_checksum`, the second of them claimed, its claim
/// renewed and released, and the record of the queue.
const ZAQARS: &str = include_str!("zaqar.hex");

const CLIENT: &str = "3381af92-2b9e-11e3-b191-71861300734c";

/// What was posted.
const BODIES: [&str; 8] = [
    concat!(
        r#"{"event":"order.created","id":17,"big":1099511627776,"least":-9223372036854775808,"#,
        r#""f":1.0,"tiny":5e-324,"inf":1e999,"ninf":-1e999,"nz":-0.0,"#,
        r#""":{"a.b":null,"$c":[true,false,[],{}]},"zoë":"☃ 😀 \u0000 \"\\/\b\u001f"}"#
    ),
    r#""text""#,
    "7",
    "2147483648",
    "1.5",
    "null",
    "[1,[2,[3]]]",
    "true",
];

/// The document in a line of [`ZAQARS`].
fn unhex(line: &str) -> RawDocumentBuf {
    let (_, hex) = line.split_once(' ').unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    RawDocumentBuf::from_bytes(hex.as_bytes().chunks(2).map(byte).collect()).unwrap()
}

fn zaqars(what: &str) -> Vec<RawDocumentBuf> {
    ZAQARS.lines().filter(|line| line.starts_with(what)).map(unhex).collect()
}

fn zaqars_one(what: &str) -> RawDocumentBuf {
    zaqars(what).remove(0)
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// A message of Zaqar's, changed.
fn changed(change: impl FnOnce(&mut Document)) -> RawDocumentBuf {
    let mut document = Document::try_from(zaqars_one("posted")).unwrap();
    change(&mut document);
    raw(&document)
}

#[test]
fn zaqars_documents_are_read() {
    let posted = zaqars("posted");
    assert_eq!(posted.len(), BODIES.len());
    for ((document, body), marker) in posted.iter().zip(BODIES).zip(1..) {
        let stored = decode(document).unwrap();
        let message = stored.message;
        assert_eq!(message.body, body.into());
        assert_eq!((message.marker, message.ttl, message.claim), (marker, 300, None));
        assert_eq!(stored.expires, stored.claim_expires.plus(300));
        assert!(stored.claim_expires.since(message.created) <= 1);
        assert_eq!((stored.claim_ttl, stored.claims), (0, 0));
    }
}

#[test]
fn documents_are_written_as_zaqar_writes_them() {
    let client = ClientId::parse_uuid(CLIENT).unwrap();
    for (number, (document, body)) in zaqars("posted").iter().zip(BODIES).enumerate() {
        let stored = decode(document).unwrap();
        let message = NewMessage {
            ttl: 300,
            delay: if number == 0 { 10 } else { 0 },
            body: body.into(),
            checksum: stored.message.checksum.clone(),
        };
        let fresh = Fresh {
            id: stored.message.id,
            p_q: "acme/orders",
            marker: i64::try_from(stored.message.marker).unwrap(),
            client: &client,
            message: &message,
            body: &Body::new(&message.body, BodyEncoding::Bson).unwrap(),
            now: stored.claim_expires,
        };
        assert_eq!(encode(&fresh).as_bytes(), document.as_bytes(), "{body}");
    }
}

#[test]
fn claims_are_read_in_all_their_forms() {
    let claimed = decode(&zaqars_one("claimed")).unwrap();
    assert!(claimed.message.claim.is_some());
    assert_eq!((claimed.claim_ttl, claimed.claims), (100, 0));
    let renewed = decode(&zaqars_one("renewed")).unwrap();
    assert_eq!(renewed.message.claim, claimed.message.claim);
    assert_eq!((renewed.claim_ttl, renewed.claims), (200, 0));
    let released = decode(&zaqars_one("released")).unwrap();
    assert_eq!((released.message.claim, released.claim_ttl), (None, 0));
    let counted = changed(|it| {
        it.insert(
            "c",
            doc! { "id": ObjectId::from_bytes([9; 12]), "t": 60_i64, "e": 1_i64, "c": 3 },
        );
    });
    let counted = decode(&counted).unwrap();
    assert_eq!((counted.claims, counted.claim_ttl), (3, 60));
    assert_eq!(counted.message.claim, Some(ClaimId::from_bytes([9; 12])));
}

#[test]
fn other_writers_may_be_sloppy() {
    let expected = decode(&zaqars_one("posted")).unwrap();
    let sloppy = changed(|it| {
        for name in ["t", "k", "d"] {
            let wide = it.get_i32(name).unwrap();
            it.insert(name, i64::from(wide));
        }
        it.insert("k", 1.0);
        it.remove("d");
        it.remove("tx");
        it.insert(
            "u",
            Bson::Binary(Binary { subtype: BinarySubtype::UuidOld, bytes: vec![1; 16] }),
        );
        it.insert("more", doc! { "of": [1, Bson::MaxKey, ObjectId::from_bytes([1; 12])] });
        let now = it.get_document("c").unwrap().get_i32("e").unwrap();
        it.insert("c", doc! { "e": i64::from(now), "id": Bson::Null });
    });
    assert_eq!(decode(&sloppy), Ok(expected.clone()));
    let without_checksum = changed(|it| {
        it.insert("cs", Bson::Null);
    });
    assert_eq!(decode(&without_checksum).unwrap().message.checksum, None);
    let encrypted = changed(|it| {
        it.insert("b", Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] });
    });
    let sealed = SealedBody::new(bytes::Bytes::from_static(&[1, 2]));
    assert_eq!(decode(&encrypted).unwrap().message.body, model::Body::Sealed(sealed));
}

#[test]
fn what_is_no_message_names_its_fault() {
    for (name, value) in [
        ("_id", Bson::Int32(1)),
        ("t", Bson::Int32(-1)),
        ("t", Bson::Int64(1 << 40)),
        ("e", Bson::Int32(1)),
        ("c", Bson::Null),
        ("c", Bson::Array(vec![])),
        ("k", Bson::Int32(-1)),
        ("k", Bson::Double(0.5)),
        ("b", Bson::Array(vec![Bson::DateTime(DateTime::from_millis(0))])),
        ("b", Bson::Undefined),
    ] {
        let odd = changed(|it| {
            it.insert(name, value.clone());
        });
        let foreign = decode(&odd).unwrap_err();
        assert_eq!(foreign.field, name, "{value}");
        let gone = changed(|it| {
            it.remove(name);
        });
        assert_eq!(decode(&gone).unwrap_err().field, name);
    }
    for (claim, field) in [
        (doc! { "e": 1 }, "c.id"),
        (doc! { "id": "me", "e": 1 }, "c.id"),
        (doc! { "id": Bson::Null }, "c.e"),
    ] {
        let odd = changed(|it| {
            it.insert("c", claim);
        });
        assert_eq!(decode(&odd).unwrap_err().field, field);
    }
    let foreign = decode(&raw(&doc! { "_id": { "a": 1 } })).unwrap_err();
    assert_eq!(foreign.to_string(), r#"{"a":1}: field _id is missing or of an unknown type"#);
    let id = ObjectId::from_bytes([1; 12]);
    assert_eq!(decode(&raw(&doc! { "_id": id })).unwrap_err().id, id.to_hex());
}

#[test]
fn metadata_reads_as_it_was_written() {
    let record = zaqars_one("queue");
    let metadata = metadata_of(&record).unwrap();
    let expected = json!({
        "_max_claim_count": 5,
        "a.b": { "$x": null, "": [1, 2.5, 1_099_511_627_776_i64, -1, true] },
        "zoë": "☃",
    });
    assert_eq!(metadata.to_text(), expected.to_string());
    let document = Document::try_from(record).unwrap();
    assert_eq!(document.get_document("m").unwrap(), &metadata_to_bson(&metadata).unwrap());
}

#[test]
fn metadata_may_be_missing_but_not_anything() {
    for none in [doc! {}, doc! { "m": Bson::Null }, doc! { "m": {} }] {
        assert_eq!(metadata_of(&raw(&none)), Ok(Metadata::default()));
    }
    let odd = doc! { "m": { "a": f64::INFINITY, "b": f64::NAN, "c": 1.0 } };
    assert_eq!(metadata_of(&raw(&odd)).unwrap().to_text(), r#"{"a":null,"b":null,"c":1.0}"#);
    for foreign in [doc! { "m": 1 }, doc! { "m": [] }, doc! { "m": { "a": [DateTime::MIN] } }] {
        assert_eq!(metadata_of(&raw(&foreign)).unwrap_err().field, "m");
    }
    for unfit in [json!({ "a\0": 1 }), json!({ "a": [u64::MAX] })] {
        let serde_json::Value::Object(entries) = unfit else { panic!("an object") };
        assert!(metadata_to_bson(&Metadata::new(entries)).is_err());
    }
}

/// A body, and what it reads as if it is kept as BSON.
fn body() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        (r#"{"b":[1,2.0,"x"], "a":null}"#, r#"{"b":[1,2.0,"x"],"a":null}"#),
        (" \"{}\" ", "\"{}\""),
        ("1e400", "1e999"),
        ("null", "null"),
    ])
}

fn client() -> impl Strategy<Value = ClientId> {
    any::<[u8; 16]>().prop_map(|bytes| ClientId::Uuid(uuid::Uuid::from_bytes(bytes)))
}

fn fields() -> impl Strategy<Value = (u32, u32, u32, i64)> {
    (any::<u32>(), any::<u32>(), any::<u32>(), 0..i64::MAX)
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        (now, ttl, delay, marker) in fields(),
        number in any::<u64>(),
        (given, kept) in body(),
        client in prop_oneof![client(), "[a-z]{1,20}".prop_map(|name| ClientId::parse_any(&name))],
        checksum in prop::option::of("MD5:[0-9a-f]{32}"),
        as_text in any::<bool>(),
    ) {
        let encoding = if as_text { BodyEncoding::Text } else { BodyEncoding::Bson };
        let message = NewMessage { ttl, delay, body: given.into(), checksum: checksum.clone() };
        let now = Timestamp::from_seconds(now.into());
        let fresh = Fresh {
            id: MessageId::from_parts(u32::try_from(now.seconds()).unwrap(), number),
            p_q: "a/b",
            marker,
            client: &client,
            message: &message,
            body: &Body::new(&message.body, encoding).unwrap(),
            now,
        };
        let document = encode(&fresh);
        prop_assert_eq!(integer(&document, "d"), Some(now.plus(delay).seconds()));
        prop_assert!(Document::try_from(document.clone()).is_ok());
        let expected = Stored {
            message: StoredMessage {
                id: fresh.id,
                marker: u64::try_from(marker).unwrap(),
                ttl,
                created: now,
                claim: None,
                body: if as_text { given } else { kept }.into(),
                checksum,
            },
            expires: now.plus(ttl),
            claim_expires: now,
            claim_ttl: 0,
            claims: 0,
        };
        prop_assert_eq!(decode(&document), Ok(expected));
    }

    #[test]
    fn no_document_whatever_does_harm(
        line in prop::sample::select(ZAQARS.lines().collect::<Vec<_>>()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = unhex(line).into_bytes();
        for (at, byte) in changes {
            let at = 4 + at.index(bytes.len() - 5);
            bytes[at] = byte;
        }
        let document = RawDocumentBuf::from_bytes(bytes).unwrap();
        let _ = metadata_of(&document);
        match decode(&document) {
            Ok(stored) => {
                // Bytes are a body that only its key can judge.
                if let model::Body::Json(body) = &stored.message.body {
                    let text = std::str::from_utf8(body.as_bytes()).unwrap();
                    prop_assert!(json_to_bson::to_bson(text).is_ok(), "{}", text);
                }
            }
            Err(foreign) => prop_assert!(!foreign.to_string().is_empty()),
        }
    }
}
