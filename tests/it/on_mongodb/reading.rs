//! Reading what others have written.

use bytes::Bytes;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, doc};
use nusku::model::{Body, ListQuery, Marker, MessageId, SealedBody};
use nusku::storage::{ClaimController, MessageController};

use super::{Scene, zaqars};
use crate::contract::{bodies, everything, key, order};
use crate::support::START;

/// Documents that no Zaqar wrote, each with another fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_documents_make_no_page_shorter() {
    let scene = Scene::new().await;
    let mut documents = Vec::new();
    for marker in 1..=40 {
        let mut document = zaqars(marker, 0);
        match marker % 4 {
            0 => {}
            1 => drop(document.insert("b", Bson::MaxKey)),
            2 => drop(document.remove("t")),
            _ => drop(document.insert("k", f64::from(marker) + 0.5)),
        }
        documents.push(document);
    }
    scene.messages().insert_many(documents).await.unwrap();
    let driver = scene.driver().await;
    let mut query = ListQuery { limit: 3, ..everything() };
    let mut found = Vec::new();
    loop {
        let page = driver.list(&key("q"), &query, START).await.unwrap();
        found.extend(bodies(&page));
        if page.len() < 3 {
            break;
        }
        query.marker = page.last().map(|last| Marker::Position(last.marker));
    }
    let good: Vec<_> = (1..=10).map(|number| (4 * number).to_string()).collect();
    assert_eq!(found, good);
    let stats = driver.stats(&key("q"), START).await.unwrap();
    assert_eq!(stats.newest.unwrap().id, MessageId::from_parts(1_813_971_106, 40));
}

/// Zaqar encrypts a body to text and stores that as bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_zaqar_encrypted_are_read_as_sealed() {
    let scene = Scene::new().await;
    let text = b"tmfIyzRtcFTO4/L8vB8eSzKlqfVlRVQ1lFQ5QDkrLvA=";
    let encrypted = |marker| {
        let bytes = Binary { subtype: BinarySubtype::Generic, bytes: text.to_vec() };
        let mut document = zaqars(marker, 0);
        document.insert("b", bytes);
        document
    };
    scene.messages().insert_many((1..=3).map(encrypted)).await.unwrap();
    let driver = scene.driver().await;
    let sealed = Body::Sealed(SealedBody::new(Bytes::from_static(text)));
    let listed = driver.list(&key("q"), &everything(), START).await.unwrap();
    let claim = ClaimController::create(&*driver, &key("q"), &order(1), START).await.unwrap();
    assert_eq!(driver.pop(&key("q"), 1, START).await, Ok(vec![]), "it was not opened");
    for (messages, how) in [(listed, "listed"), (claim.unwrap().messages, "claimed")] {
        assert!(!messages.is_empty() && messages.iter().all(|it| it.body == sealed), "{how}");
    }
}

/// An observer that left it out would never come back to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_shown_though_its_server_was_ahead() {
    let scene = Scene::new().await;
    let mut delayed = zaqars(2, 5);
    delayed.insert("d", START.plus(6).seconds());
    let mut claimed = zaqars(3, 5);
    let claim = doc! { "id": claimed.get_object_id("_id").unwrap(), "e": START.plus(5).seconds() };
    claimed.insert("c", claim);
    let mut without_delay = zaqars(4, 0);
    without_delay.remove("d");
    scene.messages().insert_many([zaqars(1, 5), delayed, claimed, without_delay]).await.unwrap();
    let driver = scene.driver().await;
    let query = ListQuery { include_claimed: false, include_delayed: false, ..everything() };
    let shown = driver.list(&key("q"), &query, START).await.unwrap();
    assert_eq!(bodies(&shown), ["1", "4"]);
    let shown = driver.list(&key("q"), &query, START.plus(6)).await.unwrap();
    assert_eq!(bodies(&shown), ["1", "2", "3", "4"]);
}

/// The ids of Zaqar's messages say no more than when they were posted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_goes_on_behind_a_zaqars_message_that_is_gone() {
    let scene = Scene::new().await;
    let messages = (1..=6).map(|marker| zaqars(marker, marker.unsigned_abs() / 2));
    scene.messages().insert_many(messages).await.unwrap();
    scene.messages().delete_one(doc! { "k": 4 }).await.unwrap();
    let driver = scene.driver().await;
    let gone = MessageId::from_parts(1_813_971_106 + 2, 4);
    let query = ListQuery { marker: Some(Marker::Message(gone)), ..everything() };
    let behind = driver.list(&key("q"), &query, START).await.unwrap();
    assert_eq!(bodies(&behind), ["5", "6"], "rather twice than never");
}
