//! `nusku migrate check`.

use std::process::Output;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use nusku::model::Metadata;
use nusku::storage::ControlDriver;

use super::{Place, open};
use crate::cli::program::{refusal, run, stdout};
use crate::contract::key;

impl Place {
    fn check(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["migrate", "check", self.uri(), "--database", &self.databases.prefix];
        all.extend(arguments);
        run(&all)
    }

    /// Puts a message where Zaqar's driver `mongodb.fifo` would, changed a little.
    async fn put(&self, queue: &str, marker: i32, change: impl FnOnce(&mut Document)) -> String {
        let crc = crc32fast::hash(format!("p{queue}").as_bytes());
        self.put_into(crc % 2, queue, marker, change).await
    }

    async fn put_into(
        &self,
        partition: u32,
        queue: &str,
        marker: i32,
        change: impl FnOnce(&mut Document),
    ) -> String {
        let id = ObjectId::new();
        let mut message = doc! {
            "_id": id, "p_q": format!("p/{queue}"), "t": 300,
            "e": DateTime::from_millis(1_813_971_106_000),
            "u": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] },
            "c": { "id": Bson::Null, "e": 1_790_000_000, "c": 0 }, "d": 1_790_000_000,
            "b": { "n": marker }, "k": marker, "tx": Bson::Null,
        };
        change(&mut message);
        let database = format!("messages_fifo_p{partition}");
        self.collection(&database, "messages").insert_one(message).await.unwrap();
        id.to_string()
    }

    /// Puts the record of a queue.
    async fn record(&self, p_q: &str, metadata: impl Into<Bson>, next: i32) {
        let record = doc! { "p_q": p_q, "m": metadata.into(), "c": { "v": next, "t": 0 } };
        self.collection("queues", "queues").insert_one(record).await.unwrap();
    }

    /// What the databases are made of, to the last bit.
    async fn fingerprint(&self) -> Vec<(String, Document)> {
        let mut all = Vec::new();
        for name in self.databases().await {
            let database = self.client.database(&self.name(&name));
            let mut hash = database.run_command(doc! { "dbHash": 1 }).await.unwrap();
            let mut collections = database.list_collection_names().await.unwrap();
            collections.sort();
            let md5 = hash.remove("md5").unwrap();
            all.push((name, doc! { "md5": md5, "collections": collections }));
        }
        all
    }
}

/// A database as Zaqar makes it, with one queue and two messages.
async fn sound() -> Place {
    let place = Place::new().await;
    let driver = open(place.uri(), &place.settings()).await.unwrap();
    let queue = key("sound");
    driver.queues().create(&queue, &Metadata::default()).await.unwrap();
    place.put("good", 1, |_| {}).await;
    place
        .put("good", 2, |message| {
            message.remove("d");
        })
        .await;
    place.record("p/good", doc! { "a": 1 }, 3).await;
    place
}

#[tokio::test]
async fn a_sound_database_passes() {
    let place = sound().await;
    let before = place.fingerprint().await;
    let text = stdout(&place.check(&[]), 0);
    assert!(text.contains("MongoDB 6.0.5, replica set rs\n"), "{text}");
    assert!(text.contains(": 2 queues\n") && text.contains("_p0: 2 messages"), "{text}");
    assert!(text.ends_with("\nNothing stands in the way of nusku.\n"), "{text}");
    assert!(!text.contains("Different"), "{text}");
    assert_eq!(place.fingerprint().await, before);
}

#[tokio::test]
async fn what_will_be_different_is_told() {
    let place = sound().await;
    place.record("p/null", Bson::Null, 1).await;
    place.record("p/counts", doc! { "_max_claim_count": Bson::Null }, 1).await;
    place.record("p/behind", doc! {}, 5).await;
    place.put("behind", 5, |_| {}).await;
    place.put("orphan", 1, |_| {}).await;
    let unposted = place
        .put("good", 3, |message| {
            message.insert("u", Bson::Null);
        })
        .await;
    let held = place
        .put("good", 4, |message| {
            message.insert("tx", ObjectId::new());
        })
        .await;
    place
        .collection("queues", "queues")
        .update_one(doc! { "p_q": "p/good" }, doc! { "$set": { "c.v": 5 } })
        .await
        .unwrap();
    place.collection("messages_fifo_p0", "messages").drop_index("counting").await.unwrap();
    place
        .client
        .database(&place.databases.prefix)
        .collection("flavors")
        .insert_one(doc! { "n": "gold" })
        .await
        .unwrap();
    let before = place.fingerprint().await;
    let text = stdout(&place.check(&[]), 0);
    for (expected, example) in [
        ("1 × queues with null for metadata", "p/null"),
        ("1 × queues with a _max_claim_count of null", "p/counts"),
        ("1 × queues whose counter is behind", "p/behind"),
        ("1 × messages in queues without a record", "p/orphan"),
        ("1 × messages without a poster", &unposted),
        ("1 × messages in a transaction", &held),
        ("1 × indexes that are missing", "counting"),
        ("1 × flavors", "flavors"),
    ] {
        let line = text.lines().find(|line| line.trim_start().starts_with(expected));
        assert!(line.is_some_and(|line| line.contains(example)), "{expected}: {text}");
    }
    assert_eq!(text.lines().filter(|line| line.contains(" × ")).count(), 8, "{text}");
    assert!(text.ends_with("\nNothing stands in the way of nusku.\n"), "{text}");
    assert_eq!(place.fingerprint().await, before);
}

#[tokio::test]
async fn what_stands_in_the_way_is_told() {
    let place = sound().await;
    place.record("p/secret", doc! { "_enable_encrypt_messages": true }, 1).await;
    place.record("p/bad name!", doc! {}, 1).await;
    place.record("p/text", "metadata", 1).await;
    let queues = place.collection("queues", "queues");
    queues.insert_one(doc! { "p_q": "p/uncounted", "m": {} }).await.unwrap();
    queues.insert_one(doc! { "m": {} }).await.unwrap();
    let sealed = Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] };
    let sealed = place
        .put("good", 11, |message| {
            message.insert("b", sealed);
        })
        .await;
    let endless = place
        .put("good", 12, |message| {
            message.remove("e");
        })
        .await;
    let unclaimable = place
        .put("good", 13, |message| {
            message.insert("c", 7);
        })
        .await;
    for marker in 14..18 {
        place
            .put("good", marker, |message| {
                message.insert("t", "long");
            })
            .await;
    }
    let nobodys = place
        .put("good", 18, |message| {
            message.remove("p_q");
        })
        .await;
    let strayed = place.put_into(1, "good", 19, |_| {}).await;
    queues.update_one(doc! { "p_q": "p/good" }, doc! { "$set": { "c.v": 20 } }).await.unwrap();
    let catalogue = place.client.database(&place.databases.prefix).collection("catalogue");
    catalogue.insert_one(doc! { "p_q": "p/pooled", "s": "pool" }).await.unwrap();
    let subscriptions = place.collection("subscriptions", "subscriptions");
    let sound = doc! { "s": "q", "u": "http://a", "t": 60, "o": {}, "p": "p", "c": false };
    subscriptions.insert_many([sound, doc! { "s": "q" }]).await.unwrap();
    let before = place.fingerprint().await;
    let text = stdout(&place.check(&[]), 1);
    for (expected, example) in [
        ("1 × queues that are encrypted", "p/secret"),
        ("1 × queues with a name that is none", "p/bad name!"),
        ("1 × queues with metadata that is no document", "p/text"),
        ("1 × queues without a counter", "p/uncounted"),
        ("1 × records of queues without a name", "ObjectId"),
        ("1 × messages that are encrypted", &sealed),
        ("1 × messages whose field e is missing", &endless),
        ("1 × messages whose field c is missing", &unclaimable),
        ("4 × messages whose field t is missing", ", …"),
        ("1 × messages of no queue", &nobodys),
        ("1 × messages in a partition in which", &strayed),
        ("1 × queues that live in pools", "catalogue"),
        ("2 × subscriptions: nusku tells", "_subscriptions.subscriptions"),
        ("1 × subscriptions that are not as Zaqar writes them", "field u"),
    ] {
        let line = text.lines().find(|line| line.trim_start().starts_with(expected));
        assert!(line.is_some_and(|line| line.contains(example)), "{expected}: {text}");
    }
    assert!(text.ends_with("\nDo not switch over before that is settled.\n"), "{text}");
    assert_eq!(place.fingerprint().await, before);
}

#[tokio::test]
async fn what_a_start_would_refuse_is_told() {
    let place = sound().await;
    let text = stdout(&place.check(&["--partitions", "5"]), 1);
    assert!(text.contains("storage.mongodb.partitions"), "{text}");
}

#[tokio::test]
async fn a_database_that_is_not_there_does_not_pass() {
    let place = Place::new().await;
    let text = stdout(&place.check(&[]), 1);
    assert!(text.contains("1 × database that is not there"), "{text}");
    assert_eq!(place.databases().await, [""; 0], "and is not made");
}

#[test]
fn what_cannot_be_looked_at_is_one_sentence() {
    let said = refusal(&run(&["migrate", "check", "embedded:data"]));
    assert!(said.starts_with("storage.uri: it must begin with mongodb://"), "{said}");
    let said = refusal(&run(&["migrate", "check", "mongodb://me:sesame@127.0.0.1:1/"]));
    assert!(said.contains("out of reach") && !said.contains("sesame"), "{said}");
    assert_eq!(run(&["migrate"]).status.code(), Some(2));
}
