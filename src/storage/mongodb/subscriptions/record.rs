//! The record of a subscription: Zaqar's field names, one of nusku's own, and what
//! was found in old or odd ones.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawDocument, doc};
use serde_json::Map;

use crate::model::{NewSubscription, QueueKey, Subscription, SubscriptionId, Timestamp};
use crate::storage::Result;
use crate::storage::mongodb::deliveries::{STATE, bound_to, new_state};
use crate::storage::mongodb::document::{Foreign, date, field, int};
use crate::storage::mongodb::layout::spelled;
use crate::storage::mongodb::metadata::{object, object_to_bson};
use crate::storage::mongodb::wire::{Value, kind};

/// The record of a new subscription, which begins behind the marker `begin`.
pub fn encode(
    id: ObjectId,
    queue: &QueueKey,
    new: &NewSubscription,
    (begin, now): (i64, Timestamp),
) -> Result<Document> {
    Ok(doc! {
        "_id": id,
        "s": queue.name.as_str(),
        "u": &new.subscriber,
        "t": int(i64::try_from(new.ttl).unwrap_or(i64::MAX)),
        "e": date(now.later(new.ttl)),
        "o": object_to_bson(&new.options)?,
        "p": spelled(&queue.project),
        "c": false,
        STATE: new_state(begin, new.bound_to),
    })
}

/// The subscription in a record. What Zaqar takes for options and are none read
/// as none; without `c` it is older than confirmations and needs none.
///
/// # Errors
///
/// [`Foreign`] if Zaqar cannot have written it.
pub fn decode(record: &RawDocument) -> std::result::Result<Subscription, Foreign> {
    let foreign = |name| Foreign::new(record, name);
    let id = field(record, "_id").and_then(Value::object_id).ok_or_else(|| foreign("_id"))?;
    let id = SubscriptionId::from_bytes(id);
    let ttl = match field(record, "t") {
        Some(Value { kind: kind::BOOLEAN, bytes }) => Some(i64::from(bytes != [0])),
        ttl => ttl.and_then(Value::integer),
    };
    Ok(Subscription {
        id,
        subscriber: field(record, "u")
            .and_then(Value::text)
            .ok_or_else(|| foreign("u"))?
            .to_owned(),
        ttl: ttl.and_then(|ttl| u64::try_from(ttl).ok()).ok_or_else(|| foreign("t"))?,
        created: Timestamp::from_seconds(id.parts().0.into()),
        options: match field(record, "o") {
            None | Some(Value { kind: kind::NULL | kind::ARRAY, .. }) => Map::new(),
            Some(options) => object(options).ok_or_else(|| foreign("o"))?,
        },
        confirmed: match field(record, "c") {
            None => true,
            Some(Value { kind: kind::BOOLEAN, bytes }) => bytes != [0],
            Some(_) => return Err(foreign("c")),
        },
        bound_to: bound_to(record),
    })
}

/// Passes what has not expired. Very old records have the seconds in `e`, all
/// others a date; each is compared with its own kind only.
pub fn alive(now: Timestamp) -> Document {
    doc! { "$nor": over(now) }
}

/// Passes what has expired.
pub fn expired(now: Timestamp) -> Document {
    doc! { "$or": over(now) }
}

fn over(now: Timestamp) -> [Document; 2] {
    [doc! { "e": { "$lte": date(now) } }, doc! { "e": { "$lte": now.seconds() } }]
}

#[cfg(test)]
mod tests {
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, Bson, RawDocumentBuf};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{ProjectId, QueueName, WorkerId};

    const NOW: Timestamp = Timestamp::from_seconds(1_935_403_200);

    fn worker() -> WorkerId {
        WorkerId::from_uuid(uuid::Uuid::from_u128(7))
    }

    fn record() -> Document {
        let queue = QueueKey {
            project: ProjectId::new("proj-blue"),
            name: QueueName::parse("invoices").unwrap(),
        };
        let Value::Object(options) = json!({"post_headers": {"X-Team": "billing"}}) else {
            unreachable!()
        };
        let new = NewSubscription {
            subscriber: "https://hooks.example.net/in".into(),
            ttl: 7200,
            options,
            bound_to: Some(worker()),
        };
        encode(
            ObjectId::from_bytes([0x65, 0xf0, 0xc0, 0xde, 0, 0, 0, 0, 0, 0, 0, 1]),
            &queue,
            &new,
            (41, NOW),
        )
        .unwrap()
    }

    fn read(record: &Document) -> std::result::Result<Subscription, Foreign> {
        decode(&RawDocumentBuf::try_from(record).unwrap())
    }

    #[test]
    fn a_record_is_zaqars_and_reads_back() {
        let record = record();
        let expires = Bson::DateTime(date(NOW.plus(7200)));
        let worker_id = worker().as_uuid().as_bytes().to_vec();
        let worker_id = Binary { subtype: BinarySubtype::Uuid, bytes: worker_id };
        assert_eq!(
            record,
            doc! {
                "_id": ObjectId::parse_str("65f0c0de0000000000000001").unwrap(),
                "s": "invoices",
                "u": "https://hooks.example.net/in",
                "t": 7200,
                "e": expires,
                "o": { "post_headers": { "X-Team": "billing" } },
                "p": "proj-blue",
                "c": false,
                "nusku": { "done": 41, "bound_to": worker_id },
            }
        );
        let read = read(&record).unwrap();
        assert_eq!(read.id.to_string(), "65f0c0de0000000000000001");
        assert_eq!(read.created.seconds(), 0x65f0_c0de);
        assert_eq!((read.ttl, read.confirmed), (7200, false));
        assert_eq!(read.bound_to, Some(worker()));
        assert_eq!(Value::Object(read.options), json!({"post_headers": {"X-Team": "billing"}}));
    }

    #[test]
    fn what_zaqar_may_have_left_is_read() {
        let with = |name: &str, value: Bson| {
            let mut record = record();
            record.insert(name, value);
            read(&record)
        };
        let mut old = record();
        old.remove("c");
        assert!(read(&old).unwrap().confirmed, "it is older than confirmations");
        for none in [Bson::Null, Bson::Array(Vec::new())] {
            assert_eq!(with("o", none).unwrap().options, Map::new());
        }
        assert_eq!(with("t", Bson::Int64(200_000_000_000)).unwrap().ttl, 200_000_000_000);
        assert_eq!(with("t", Bson::Boolean(false)).unwrap().ttl, 0);
        assert_eq!(with("u", "".into()).unwrap().subscriber, "");
        for (name, odd) in [
            ("_id", Bson::Int32(1)),
            ("u", Bson::Null),
            ("t", "7200".into()),
            ("t", Bson::Int32(-1)),
            ("o", "{}".into()),
            ("c", Bson::Int32(1)),
        ] {
            assert_eq!(with(name, odd).unwrap_err().field, name);
        }
    }
}
