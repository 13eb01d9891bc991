//! Promises about posting and reading messages.

use nusku::model::{Body, ClientId, ListQuery, Marker, MessageId, NewMessage, StoredMessage};
use nusku::storage::Error;

use super::store::everything;
use super::{Store, bodies, client, key, key_of, plain};

fn ids(messages: &[StoredMessage]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

pub async fn posting_to_a_missing_queue_makes_nothing(store: Store) {
    let queue = key("q");
    let posted = store.messages().post(&queue, &client(1), vec![plain("x")], store.now).await;
    assert_eq!(posted, Err(Error::QueueDoesNotExist(queue.clone())));
    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None);
    store.make("q").await;
    assert!(store.all(&queue).await.is_empty());
}

pub async fn a_post_gives_ids_in_the_order_of_its_messages(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["c", "a", "b"]).await;
    assert_eq!(ids(&store.all(&queue).await), posted);
    for (id, text) in posted.iter().zip(["c", "a", "b"]) {
        assert_eq!(bodies(&[store.get(&queue, *id).await.unwrap()]), [text]);
    }
    let later = store.post(&queue, &["d"]).await;
    assert_eq!(bodies(&store.all(&queue).await), ["c", "a", "b", "d"]);
    assert!(!posted.contains(&later[0]));
}

pub async fn a_message_comes_back_as_it_was_posted(mut store: Store) {
    let queue = store.make("q").await;
    let checksum = Some("MD5:5deaee1c1332199e5b5bc7c5e4f7f0c2".to_owned());
    let new = NewMessage { ttl: 77, checksum: checksum.clone(), ..plain("hello") };
    let id = store.post_all(&queue, vec![new, plain("no checksum")]).await[0];
    let posted = store.now;
    store.pass(5);
    let message = store.get(&queue, id).await.unwrap();
    let expected = StoredMessage {
        id,
        marker: message.marker,
        ttl: 77,
        created: posted,
        claim: None,
        body: Body::from(r#""hello""#),
        checksum,
    };
    assert_eq!(message, expected);
    let all = store.all(&queue).await;
    assert_eq!(all[0], expected, "a listing shows the same");
    assert_eq!(all[1].checksum, None);
}

pub async fn bodies_come_back_with_the_same_value(store: Store) {
    let queue = store.make("q").await;
    let long = format!("[{}0]", "1.50e3, ".repeat(25_000));
    let deep = "[".repeat(120) + &"]".repeat(120);
    let texts = [
        "null",
        "true",
        "{}",
        r#"{"z":1, "a":{"b":[]}, "":null, "$x":1, "a.b":{"$gt":""}}"#,
        r#"{"b":1,  "a":{"b":1},"b":2}"#,
        r#""\u00e9 é \ud83d\ude00 \u0000""#,
        "-0.0",
        "[1.0, 1e308, 5e-324, 9223372036854775807, -9223372036854775808, 2147483648]",
        long.as_str(),
        deep.as_str(),
    ];
    let new = texts.iter().map(|&text| NewMessage { body: text.into(), ..plain("") }).collect();
    store.post_all(&queue, new).await;
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    let claimed = store.claim(&queue, 100).await.messages;
    for (messages, how) in [(store.all(&queue).await, "listed"), (claimed, "claimed")] {
        for (message, text) in messages.iter().zip(texts) {
            let (got, posted) = (value(message.body.as_bytes()), value(text.as_bytes()));
            // As text: the order of keys counts, and so does an integer's being one.
            assert_eq!(got.to_string(), posted.to_string(), "{how}");
        }
        assert_eq!(messages.len(), texts.len(), "{how}");
    }
}

pub async fn a_large_batch_stays_whole_and_in_order(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, 3000).await;
    assert_eq!(posted.len(), 3000);
    assert_eq!(ids(&store.all(&queue).await), posted);
    assert_eq!(store.counts(&queue).await, (0, 3000));
}

pub async fn listing_starts_strictly_behind_the_marker(store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 25).await;
    let (mut marker, mut pages, mut seen) = (None, Vec::new(), Vec::new());
    loop {
        let page = store.list(&queue, &ListQuery { marker, limit: 10, ..everything() }).await;
        pages.push(page.len());
        let Some(last) = page.last() else { break };
        marker = Some(Marker::Position(last.marker));
        seen.extend(bodies(&page));
    }
    assert_eq!(pages, [10, 10, 5, 0]);
    assert_eq!(seen, (0..25).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(store.behind(&queue, u64::MAX).await.is_empty());
    assert_eq!(store.behind(&queue, 0).await.len(), 25);
}

pub async fn listing_can_start_behind_a_message(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, 5).await;
    for (position, id) in posted.iter().enumerate() {
        let marker = Some(Marker::Message(*id));
        let page = store.list(&queue, &ListQuery { marker, ..everything() }).await;
        assert_eq!(ids(&page), posted[position + 1..]);
    }
}

pub async fn listing_can_start_behind_a_message_that_is_gone(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, 5).await;
    store.messages().delete_many(&queue, &posted[1..3], None, store.now).await.unwrap();
    for gone in &posted[1..3] {
        let marker = Some(Marker::Message(*gone));
        let page = store.list(&queue, &ListQuery { marker, ..everything() }).await;
        assert_eq!(bodies(&page), ["3", "4"]);
    }
}

pub async fn a_listing_can_leave_out_a_client(store: Store) {
    let queue = store.make("q").await;
    let named = ClientId::Name("a name of some length".into());
    for (who, text) in [(client(1), "one"), (client(2), "two"), (named.clone(), "named")] {
        store.messages().post(&queue, &who, vec![plain(text)], store.now).await.unwrap();
    }
    let without = async |who| {
        let page = store.list(&queue, &ListQuery { without: Some(who), ..everything() }).await;
        bodies(&page)
    };
    assert_eq!(without(client(1)).await, ["two", "named"]);
    assert_eq!(without(client(2)).await, ["one", "named"]);
    assert_eq!(without(named).await, ["one", "two"]);
    assert_eq!(without(client(3)).await, ["one", "two", "named"]);
    assert_eq!(bodies(&store.all(&queue).await), ["one", "two", "named"]);
}

pub async fn a_page_is_full_even_when_most_are_left_out(store: Store) {
    let queue = store.make("q").await;
    for round in 0..3 {
        let mine = (0..300).map(|_| plain("mine")).collect();
        store.messages().post(&queue, &client(1), mine, store.now).await.unwrap();
        let other = vec![plain(&format!("other {round}"))];
        store.messages().post(&queue, &client(2), other, store.now).await.unwrap();
    }
    let query = ListQuery { without: Some(client(1)), limit: 2, ..everything() };
    let page = store.list(&queue, &query).await;
    assert_eq!(bodies(&page), ["other 0", "other 1"]);
    let marker = Some(Marker::Position(page[1].marker));
    assert_eq!(bodies(&store.list(&queue, &ListQuery { marker, ..query }).await), ["other 2"]);
}

pub async fn claimed_messages_are_listed_only_on_request(mut store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 5).await;
    let claim = store.claim(&queue, 3).await;
    assert_eq!(bodies(&store.shown(&queue).await), ["3", "4"]);
    let all = store.all(&queue).await;
    assert_eq!(bodies(&all), ["0", "1", "2", "3", "4"]);
    let holders: Vec<_> = all.iter().map(|message| message.claim).collect();
    assert_eq!(holders, [Some(claim.id), Some(claim.id), Some(claim.id), None, None]);
    let first = ListQuery { include_claimed: false, limit: 1, ..everything() };
    let page = store.list(&queue, &first).await;
    assert_eq!(bodies(&page), ["3"], "the claimed ones take no room in the page");

    store.pass(100);
    let shown = store.shown(&queue).await;
    assert_eq!(bodies(&shown), ["0", "1", "2", "3", "4"]);
    assert_eq!(shown[0].claim, Some(claim.id), "the expired claim is still named");
}

pub async fn get_answers_each_message_once_by_id(mut store: Store) {
    let queue = store.make("q").await;
    let mut posted = store.post(&queue, &["a", "b"]).await;
    store.pass(10);
    posted.extend(store.post(&queue, &["c", "d"]).await);
    let unknown = MessageId::from_parts(1, u64::MAX);
    let asked = [posted[3], unknown, posted[0], posted[3], posted[2], posted[0]];
    let found = store.messages().get(&queue, &asked, store.now).await.unwrap();
    let mut expected = [posted[0], posted[2], posted[3]];
    expected.sort_unstable();
    assert_eq!(ids(&found), expected);
    assert!(posted[..2].iter().max() < posted[2..].iter().min(), "seconds come first");
    assert!(store.messages().get(&queue, &[], store.now).await.unwrap().is_empty());
}

pub async fn get_shows_claimed_and_delayed_messages(store: Store) {
    let queue = store.make("q").await;
    let late = NewMessage { delay: 50, ..plain("late") };
    let posted = store.post_all(&queue, vec![plain("claimed"), late]).await;
    let claim = store.claim(&queue, 10).await;
    let found = store.messages().get(&queue, &posted, store.now).await.unwrap();
    assert_eq!(found.len(), 2);
    let claim_of = |id| found.iter().find(|message| message.id == id).map(|it| it.claim);
    assert_eq!(claim_of(posted[0]), Some(Some(claim.id)));
    assert_eq!(claim_of(posted[1]), Some(None));
}

pub async fn a_missing_queue_is_empty(store: Store) {
    let (queue, now) = (key("q"), store.now);
    let other = store.make("other").await;
    let posted = store.post(&other, &["x"]).await;
    assert!(store.all(&queue).await.is_empty());
    assert!(store.messages().get(&queue, &posted, now).await.unwrap().is_empty());
    assert!(store.messages().pop(&queue, 5, now).await.unwrap().is_empty());
    assert_eq!(store.messages().delete(&queue, posted[0], None, now).await, Ok(()));
    assert_eq!(store.messages().delete_many(&queue, &posted, None, now).await, Ok(()));
    assert_eq!(store.messages().purge(&queue, now).await, Ok(()));
    assert_eq!(store.counts(&queue).await, (0, 0));
    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None, "and stays missing");
}

pub async fn ids_of_other_queues_and_projects_name_nothing(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["x"]).await;
    for stranger in [key("other"), key_of("other", "q")] {
        store.make_at(&stranger).await;
        store.post(&stranger, &["y"]).await;
        let now = store.now;
        assert!(store.messages().get(&stranger, &posted, now).await.unwrap().is_empty());
        store.messages().delete(&stranger, posted[0], None, now).await.unwrap();
        store.messages().delete_many(&stranger, &posted, None, now).await.unwrap();
        assert_eq!(store.counts(&stranger).await, (0, 1));
    }
    assert_eq!(bodies(&store.all(&queue).await), ["x"]);
}

pub async fn stats_count_and_name_the_ends(mut store: Store) {
    let queue = store.make("q").await;
    let empty = store.stats(&queue).await;
    assert_eq!((empty.oldest, empty.newest), (None, None));
    let first = store.now;
    let mut posted = store.post_many(&queue, 12).await;
    assert_eq!(store.counts(&queue).await, (0, 12));
    store.pass(7);
    posted.extend(store.post(&queue, &["last"]).await);
    let claim = store.claim(&queue, 4).await;
    let stats = store.stats(&queue).await;
    assert_eq!((stats.claimed, stats.free), (4, 9));
    let (oldest, newest) = (stats.oldest.unwrap(), stats.newest.unwrap());
    assert_eq!((oldest.id, oldest.created, oldest.claim), (posted[0], first, Some(claim.id)));
    assert_eq!((newest.id, newest.created, newest.claim), (posted[12], store.now, None));

    let ends = [posted[0], posted[12]];
    store.messages().delete_many(&queue, &ends, None, store.now).await.unwrap();
    let stats = store.stats(&queue).await;
    assert_eq!((stats.claimed, stats.free), (3, 8));
    assert_eq!(stats.oldest.unwrap().id, posted[1]);
    assert_eq!(stats.newest.unwrap().id, posted[11]);
}
