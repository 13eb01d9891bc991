//! Messages: every sentence, every edge, and what the store is asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use uuid::Uuid;

use super::fake::{Call, Fake, claim_id, id, message, permit, queue, service, service_with};
use crate::config::Settings;
use crate::model::{ClientId, JsonText, ListQuery, Marker, NewMessage, StoredMessage};
use crate::service::{Draft, Error, Field, MessageListing, PostSize, Service};
use crate::storage;

const TTL: &str =
    "The TTL for a message may not exceed 1209600 seconds, and must be at least 60 seconds long.";
const DELAY: &str =
    "The Delay TTL for a message may not exceed 900 seconds,and must be at least 0 seconds long.";
const KEY: &str = "mine:a-secret-of-at-least-thirty-two-characters";
const OTHER_KEY: &str = "theirs:another-secret-of-at-least-32-characters";
const BOTH: &str = "The request should have both \"ids\" and \"claim_ids\" parameter in the request when message_delete_with_claim_id is True.";

fn client() -> ClientId {
    ClientId::Uuid(Uuid::from_u128(1))
}

fn draft() -> Draft {
    Draft { body: Some("1".into()), ..Draft::default() }
}

fn with_ttl(ttl: Field) -> Draft {
    Draft { ttl, ..draft() }
}

fn with_delay(delay: Field) -> Draft {
    Draft { delay, ..draft() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn invalid_request<T>(sentence: &str) -> Result<T, Error> {
    Err(Error::InvalidRequest(sentence.to_owned()))
}

fn invalid_body<T>(sentence: &str) -> Result<T, Error> {
    Err(Error::InvalidBody(sentence.to_owned()))
}

#[tokio::test]
async fn defaults_come_from_the_queue_then_from_the_settings() {
    let (service, fake) = service();
    service.post_messages(&permit("plain"), &client(), vec![draft()]).await.unwrap();
    let plain = NewMessage { ttl: 3600, delay: 0, body: "1".into(), checksum: None };
    assert_eq!(fake.last_call(), Call::Post(vec![plain.clone()]));

    fake.put_queue(&queue("q"), json!({"_default_message_ttl": 900, "_default_message_delay": 30}));
    let drafts = vec![
        draft(),
        Draft { ttl: Field::Integer(60), delay: Field::Integer(0), ..draft() },
        Draft { ttl: Field::Integer(1_209_600), delay: Field::Integer(900), ..draft() },
    ];
    service.post_messages(&permit("q"), &client(), drafts).await.unwrap();
    let expected = [(900, 30), (60, 0), (1_209_600, 900)];
    let expected = expected.map(|(ttl, delay)| NewMessage { ttl, delay, ..plain.clone() });
    assert_eq!(fake.last_call(), Call::Post(expected.to_vec()));
}

#[tokio::test]
async fn a_delay_counts_only_where_the_queue_has_one() {
    let (service, fake) = service();
    for metadata in [json!({}), json!({"_default_message_delay": 0})] {
        fake.put_queue(&queue("q"), metadata);
        for delay in [Field::Integer(100), Field::Integer(-1), Field::Other] {
            service.post_messages(&permit("q"), &client(), vec![with_delay(delay)]).await.unwrap();
            let Call::Post(posted) = fake.last_call() else { panic!("nothing was posted") };
            assert_eq!(posted[0].delay, 0);
        }
    }
    fake.put_queue(&queue("q"), json!({"_default_message_delay": 1}));
    for (delay, refusal) in [
        (Field::Other, invalid_body("The value of the \"delay\" field must be a int.")),
        (Field::Integer(-1), invalid_request(DELAY)),
        (Field::Integer(901), invalid_request(DELAY)),
    ] {
        let posted = service.post_messages(&permit("q"), &client(), vec![with_delay(delay)]).await;
        assert_eq!(posted, refusal);
    }
}

#[tokio::test]
async fn one_bad_message_rejects_all_and_makes_no_queue() {
    let (service, fake) = service();
    for (bad, refusal) in [
        (Draft::default(), invalid_body("Missing \"body\" field.")),
        (with_ttl(Field::Other), invalid_body("The value of the \"ttl\" field must be a int.")),
        (with_ttl(Field::Integer(59)), invalid_request(TTL)),
        (with_ttl(Field::Integer(1_209_601)), invalid_request(TTL)),
        (with_ttl(Field::Integer(i64::MIN)), invalid_request(TTL)),
        (Draft { ttl: Field::Other, ..Draft::default() }, invalid_body("Missing \"body\" field.")),
    ] {
        let posted = service.post_messages(&permit("q"), &client(), vec![draft(), bad]).await;
        assert_eq!(posted, refusal);
    }
    let posted = service.post_messages(&permit("q"), &client(), vec![]).await;
    assert_eq!(posted, invalid_request("No messages to enqueu."));
    assert_eq!(fake.calls(), []);
    assert_eq!(fake.stored(&queue("q")), None);
}

#[tokio::test]
async fn a_default_that_no_longer_fits_the_limits_is_told() {
    let (service, fake) = service_with(|settings| settings.transport.max_message_ttl = 600);
    fake.put_queue(&queue("q"), json!({"_default_message_ttl": 900}));
    let posted = service.post_messages(&permit("q"), &client(), vec![draft()]).await;
    assert_eq!(posted, invalid_request(&TTL.replace("1209600", "600")));
}

#[tokio::test]
async fn the_first_post_makes_the_queue() {
    let (service, fake) = service();
    let posted = service.post_messages(&permit("q"), &client(), vec![draft(), draft()]).await;
    assert_eq!(posted, Ok(vec![id(1), id(2)]));
    assert_eq!(fake.stored(&queue("q")), Some(json!({})));
    service.post_messages(&permit("q"), &client(), vec![draft()]).await.unwrap();
    let creations = fake.calls().iter().filter(|call| **call == Call::CreateQueue).count();
    assert_eq!(creations, 1);
}

#[tokio::test]
async fn a_queue_deleted_meanwhile_is_made_again_a_few_times() {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({"_default_message_ttl": 900}));
    fake.deletions.store(3, Ordering::SeqCst);
    let posted = service.post_messages(&permit("q"), &client(), vec![draft()]).await;
    assert_eq!(posted, Ok(vec![id(1)]));

    fake.deletions.store(u32::MAX, Ordering::SeqCst);
    let posted = service.post_messages(&permit("q"), &client(), vec![draft()]).await;
    let reason = "queue acme/q is deleted as often as it is made".to_owned();
    assert_eq!(posted, Err(storage::Error::Unavailable(reason).into()));
}

#[tokio::test]
async fn checksums_are_kept_if_the_operator_wants_them() {
    let (service, fake) = service_with(|settings| settings.enable_checksum = true);
    let drafts = vec![
        Draft { body: Some("\"hello\"".into()), ..Draft::default() },
        Draft { body: Some("null".into()), ..Draft::default() },
    ];
    service.post_messages(&permit("q"), &client(), drafts).await.unwrap();
    let Call::Post(posted) = fake.last_call() else { panic!("nothing was posted") };
    assert_eq!(posted[0].checksum.as_deref(), Some("MD5:5deaee1c1332199e5b5bc7c5e4f7f0c2"));
    assert_eq!(posted[1].checksum, None);
}

#[tokio::test]
async fn a_post_is_as_large_as_both_server_and_queue_allow() {
    let (service, fake) = service();
    let size = service.post_size(&permit("q")).await.unwrap();
    assert_eq!(size, PostSize { configured: 262_144, queue: None });
    assert_eq!(size.max(), 262_144);
    assert_eq!(
        size.too_large().to_string(),
        "Message collection size is too large. Max size 262144"
    );
    fake.put_queue(&queue("q"), json!({"_max_messages_post_size": 100}));
    let size = service.post_size(&permit("q")).await.unwrap();
    assert_eq!(size.max(), 100);
    assert_eq!(
        size.too_large().to_string(),
        "Message collection size is too large. The max size for current queue is 100. It is calculated by max size = min(max_messages_post_size_config: 262144, max_messages_post_size_queue: 100)."
    );
    assert_eq!(PostSize { configured: 50, queue: Some(100) }.max(), 50);
}

#[tokio::test]
async fn a_listing_leaves_out_own_messages_unless_asked_for() {
    let (service, fake) = service();
    let query = ListQuery {
        marker: None,
        limit: 10,
        without: Some(client()),
        include_claimed: false,
        include_delayed: true,
    };
    service.list_messages(&permit("q"), &client(), MessageListing::default()).await.unwrap();
    assert_eq!(fake.last_call(), Call::List(query.clone()));

    let listing = MessageListing {
        marker: Some(" +7 ".to_owned()),
        limit: Some(20),
        echo: true,
        include_claimed: true,
        include_delayed: false,
    };
    service.list_messages(&permit("q"), &client(), listing).await.unwrap();
    let marker = Some(Marker::Position(7));
    let query = ListQuery { marker, limit: 20, without: None, include_claimed: true, ..query };
    assert_eq!(fake.last_call(), Call::List(query));
}

#[tokio::test]
async fn delayed_messages_are_hidden_only_where_the_queue_has_delays() {
    let (service, fake) = service();
    for (metadata, asked, included) in [
        (json!({}), false, true),
        (json!({"_default_message_delay": 0}), false, true),
        (json!({"_default_message_delay": 5}), false, false),
        (json!({"_default_message_delay": 5}), true, true),
    ] {
        fake.put_queue(&queue("q"), metadata);
        let listing = MessageListing { include_delayed: asked, ..MessageListing::default() };
        let page = service.list_messages(&permit("q"), &client(), listing).await.unwrap();
        assert_eq!(page.include_delayed, included);
        let Call::List(query) = fake.last_call() else { panic!("nothing was listed") };
        assert_eq!(query.include_delayed, included);
    }
}

#[tokio::test]
async fn nothing_lies_behind_a_marker_that_is_none() {
    let (service, fake) = service();
    *fake.message.lock().unwrap() = Some(message(1));
    for marker in ["abc", "1.5"] {
        let listing =
            MessageListing { marker: Some(marker.to_owned()), ..MessageListing::default() };
        let page = service.list_messages(&permit("q"), &client(), listing).await.unwrap();
        assert_eq!(page.messages, []);
    }
    assert_eq!(fake.calls(), []);
    let listing = MessageListing::default();
    let page = service.list_messages(&permit("q"), &client(), listing).await.unwrap();
    assert_eq!(page.messages, [message(1)]);
}

#[tokio::test]
async fn the_limit_of_a_listing_is_checked_before_the_marker() {
    let (service, _) = service();
    for limit in [0, 21] {
        let listing = MessageListing {
            marker: Some("abc".to_owned()),
            limit: Some(limit),
            ..MessageListing::default()
        };
        assert_eq!(
            service.list_messages(&permit("q"), &client(), listing).await,
            invalid_request("Limit must be at least 1 and may not be greater than 20.")
        );
    }
}

#[tokio::test]
async fn a_message_by_its_id() {
    let (service, fake) = service();
    *fake.message.lock().unwrap() = Some(message(1));
    assert_eq!(service.get_message(&permit("q"), &id(1).to_string()).await, Ok(message(1)));
    for unknown in [id(2).to_string(), "no/pe".to_owned()] {
        let error = service.get_message(&permit("q"), &unknown).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Message {unknown} does not exist in queue q for project acme")
        );
    }
}

#[tokio::test]
async fn messages_by_their_ids() {
    let (service, fake) = service();
    *fake.message.lock().unwrap() = Some(message(1));
    let ids = [id(1).to_string(), "nope".to_owned(), id(2).to_string()];
    assert_eq!(service.get_messages(&permit("q"), &ids).await, Ok(vec![message(1)]));
    assert_eq!(fake.last_call(), Call::Get(vec![id(1), id(2)]));

    for (ids, print) in [
        (texts(&["nope", "it's"]), r#"['nope', "it's"]"#),
        (vec![id(2).to_string()], "['6c1f00a20000000000000002']"),
    ] {
        let error = service.get_messages(&permit("q"), &ids).await.unwrap_err();
        assert!(matches!(error, Error::MessagesDoNotExist(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("No messages with IDs: {print} found in the queue q for project acme.")
        );
    }
}

#[tokio::test]
async fn one_to_twenty_ids_repeated_ones_counted() {
    let (service, _) = service();
    let too_many = vec!["x".to_owned(); 21];
    for ids in [&[][..], &too_many] {
        assert_eq!(
            service.get_messages(&permit("q"), ids).await,
            invalid_request("Limit must be at least 1 and may not be greater than 20.")
        );
        assert_eq!(
            service.delete_messages(&permit("q"), ids, None).await,
            invalid_request("ids parameter should have at least 1 and not greater than 20 values.")
        );
    }
    let enough = vec!["x".to_owned(); 20];
    let found = service.get_messages(&permit("q"), &enough).await;
    assert!(matches!(found, Err(Error::MessagesDoNotExist(_))), "{found:?}");
    assert_eq!(service.delete_messages(&permit("q"), &enough, None).await, Ok(()));
}

#[tokio::test]
async fn deleting_one_message() {
    let (service, fake) = service();
    let (one, claim) = (id(1).to_string(), claim_id(1).to_string());
    assert_eq!(service.delete_message(&permit("q"), "nope", Some("nope")).await, Ok(()));
    assert_eq!(
        service.delete_message(&permit("q"), &one, Some("nope")).await,
        Err(Error::MalformedClaimId)
    );
    assert_eq!(fake.calls(), []);
    for (claim, asked) in [(None, None), (Some(""), None), (Some(&*claim), Some(claim_id(1)))] {
        assert_eq!(service.delete_message(&permit("q"), &one, claim).await, Ok(()));
        assert_eq!(fake.last_call(), Call::Delete(id(1), asked));
    }
}

#[tokio::test]
async fn deleting_by_ids_takes_no_claims_into_account() {
    let (service, fake) = service();
    let ids = [id(1).to_string(), "nope".to_owned()];
    for claims in [None, Some(texts(&["nope"]))] {
        service.delete_messages(&permit("q"), &ids, claims.as_deref()).await.unwrap();
        assert_eq!(fake.last_call(), Call::DeleteMany(vec![id(1)], None));
    }
    service.delete_messages(&permit("q"), &texts(&["nope"]), None).await.unwrap();
    assert_eq!(fake.calls().len(), 2, "there was nothing to ask the store for");
}

#[tokio::test]
async fn deleting_by_ids_takes_claims_into_account_if_told_to() {
    let (service, fake) =
        service_with(|settings| settings.transport.message_delete_with_claim_id = true);
    let ids = [id(1).to_string()];
    assert_eq!(service.delete_messages(&permit("q"), &ids, None).await, invalid_request(BOTH));
    assert_eq!(service.delete_messages(&permit("q"), &[], None).await, invalid_request(BOTH));
    let malformed = [claim_id(1).to_string(), "nope".to_owned()];
    assert_eq!(
        service.delete_messages(&permit("q"), &ids, Some(&malformed)).await,
        Err(Error::MalformedClaimId)
    );
    assert_eq!(fake.calls(), []);

    service.delete_messages(&permit("q"), &ids, Some(&malformed[..1])).await.unwrap();
    assert_eq!(fake.last_call(), Call::DeleteMany(vec![id(1)], Some(vec![claim_id(1)])));
    service.delete_messages(&permit("q"), &ids, Some(&[])).await.unwrap();
    assert_eq!(fake.last_call(), Call::DeleteMany(vec![id(1)], Some(vec![])), "no claim, no pass");
}

#[tokio::test]
async fn popping() {
    let (service, fake) = service();
    *fake.message.lock().unwrap() = Some(message(1));
    for bad in [0, 21, -1] {
        assert_eq!(
            service.pop_messages(&permit("q"), bad, None).await,
            invalid_request("Pop value must be at least 1 and may not be greater than 20.")
        );
    }
    let claims = texts(&["nope"]);
    assert_eq!(service.pop_messages(&permit("q"), 20, Some(&claims)).await, Ok(vec![message(1)]));
    assert_eq!(service.pop_messages(&permit("q"), 1, None).await, Ok(vec![]));
    let pops: Vec<_> =
        fake.calls().into_iter().filter(|call| matches!(call, Call::Pop(_))).collect();
    assert_eq!(pops, [Call::Pop(20), Call::Pop(1)]);

    let (service, _) =
        service_with(|settings| settings.transport.message_delete_with_claim_id = true);
    let refused = service.pop_messages(&permit("q"), 0, Some(&claims)).await;
    assert_eq!(refused, invalid_request(BOTH));
    assert_eq!(service.pop_messages(&permit("q"), 1, None).await, Ok(vec![]));
}

/// A service that has this key, over a store with one message that another key,
/// or this one, has sealed.
fn with_sealed(key: &str, sealed_with: &str) -> (Service, Arc<Fake>) {
    let keys = |key: &str| {
        let keys = vec![key.to_owned()];
        move |settings: &mut Settings| settings.encryption.keys = keys
    };
    let (sealing, _) = service_with(keys(sealed_with));
    let body = sealing.seal(&queue("q").project, &JsonText::from("1")).unwrap();
    let (service, fake) = service_with(keys(key));
    *fake.message.lock().unwrap() = Some(StoredMessage { body, ..message(1) });
    (service, fake)
}

#[tokio::test]
async fn a_sealed_message_is_opened_before_it_is_popped() {
    let (service, fake) = with_sealed(KEY, KEY);
    let popped = service.pop_messages(&permit("q"), 2, None).await.unwrap();
    assert_eq!(popped, [message(1)]);
    assert!(fake.message.lock().unwrap().is_none());
    let calls = fake.calls();
    assert!(matches!(calls[..3], [Call::Pop(2), Call::List(_), Call::PopThese(_)]), "{calls:?}");
    assert_eq!(calls[2], Call::PopThese(vec![id(1)]));
}

#[tokio::test]
async fn what_cannot_be_opened_is_never_taken_out_of_the_store() {
    let (service, fake) = with_sealed(OTHER_KEY, KEY);
    assert_eq!(service.pop_messages(&permit("q"), 2, None).await, Ok(vec![]));
    assert!(fake.message.lock().unwrap().is_some());
    let touched = |call: &Call| matches!(call, Call::PopThese(_) | Call::Post(_));
    assert!(!fake.calls().iter().any(touched), "{:?}", fake.calls());
}

#[tokio::test]
async fn a_pop_that_the_store_refuses_is_told() {
    let (service, fake) = with_sealed(KEY, KEY);
    *fake.broken.lock().unwrap() = Some("pop_these");
    let refused = service.pop_messages(&permit("q"), 2, None).await;
    assert_eq!(refused, Err(storage::Error::Unavailable("disk on fire".to_owned()).into()));
    assert!(fake.message.lock().unwrap().is_some());
}

#[tokio::test]
async fn what_the_store_says_is_passed_on() {
    let (service, fake) = service();
    *fake.broken.lock().unwrap() = Some("post_messages");
    let posted = service.post_messages(&permit("q"), &client(), vec![draft()]).await;
    assert_eq!(posted, Err(storage::Error::Unavailable("disk on fire".to_owned()).into()));
}
