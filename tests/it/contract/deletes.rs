//! Promises about deleting, popping and purging messages.

use nusku::model::{ClaimId, ClaimOrder, DeadLetter, ListQuery, Marker, MessageId, NewMessage};
use nusku::storage::Error;

use super::store::{everything, order};
use super::{Store, bodies, key_of, plain};

pub async fn a_free_message_is_deleted(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b", "c"]).await;
    store.messages().delete(&queue, posted[1], None, store.now).await.unwrap();
    assert_eq!(bodies(&store.all(&queue).await), ["a", "c"]);
    assert_eq!(store.get(&queue, posted[1]).await, None);
    assert_eq!(store.counts(&queue).await, (0, 2));
}

pub async fn a_claimed_message_needs_its_claim(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b"]).await;
    let (mine, other) = (store.claim(&queue, 1).await, store.claim(&queue, 1).await);
    for wrong in [None, Some(other.id), Some(ClaimId::from_parts(1, 1))] {
        let refused = store.messages().delete(&queue, posted[0], wrong, store.now).await;
        assert_eq!(refused, Err(Error::MessageIsClaimed(posted[0])), "{wrong:?}");
    }
    assert_eq!(store.counts(&queue).await, (2, 0));
    store.messages().delete(&queue, posted[0], Some(mine.id), store.now).await.unwrap();
    assert_eq!(bodies(&store.all(&queue).await), ["b"]);
    let again = store.messages().delete(&queue, posted[0], Some(mine.id), store.now).await;
    assert_eq!(again, Ok(()), "a delete may be repeated");
}

pub async fn a_claim_that_expired_still_opens_its_message(mut store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b"]).await;
    let claim = store.claim(&queue, 2).await;
    store.pass(100);
    store.messages().delete(&queue, posted[0], Some(claim.id), store.now).await.unwrap();
    store.messages().delete(&queue, posted[1], None, store.now).await.unwrap();
    assert!(store.all(&queue).await.is_empty());
}

pub async fn a_claim_that_was_followed_opens_nothing(mut store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a"]).await;
    let old = store.claim(&queue, 1).await.id;
    store.pass(100);
    store.claim(&queue, 1).await;
    let refused = store.messages().delete(&queue, posted[0], Some(old), store.now).await;
    assert_eq!(refused, Err(Error::MessageIsClaimed(posted[0])));
    store.pass(100);
    let refused = store.messages().delete(&queue, posted[0], Some(old), store.now).await;
    assert_eq!(refused, Err(Error::MessageIsNotClaimed(posted[0])));
    assert_eq!(bodies(&store.all(&queue).await), ["a"]);
}

pub async fn a_claim_on_a_free_message_is_an_error(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a"]).await;
    let unknown = Some(ClaimId::from_parts(1, 1));
    let refused = store.messages().delete(&queue, posted[0], unknown, store.now).await;
    assert_eq!(refused, Err(Error::MessageIsNotClaimed(posted[0])), "never claimed");

    let released = store.claim(&queue, 1).await.id;
    store.claims().release(&queue, released, store.now).await.unwrap();
    let refused = store.messages().delete(&queue, posted[0], Some(released), store.now).await;
    assert_eq!(refused, Err(Error::MessageIsNotClaimed(posted[0])), "released");
    assert_eq!(bodies(&store.all(&queue).await), ["a"]);
}

pub async fn a_missing_message_is_deleted_already(store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    let missing = MessageId::from_parts(1, u64::MAX);
    for claim in [None, Some(ClaimId::from_parts(1, 1))] {
        assert_eq!(store.messages().delete(&queue, missing, claim, store.now).await, Ok(()));
    }
    assert_eq!(store.counts(&queue).await, (0, 1));
}

/// Clients send any 24 hex digits; none of them may disturb the store.
pub async fn made_up_ids_name_nothing(store: Store) {
    let (queue, now) = (store.make("q").await, store.now);
    store.post(&queue, &["a", "b"]).await;
    let rule = DeadLetter { max_claim_count: 0, queue: queue.name.clone(), ttl: None };
    store.try_claim(&queue, &ClaimOrder { dead_letter: Some(rule), ..order(1) }).await;
    store.claim(&queue, 2).await;
    let all = store.all(&queue).await;
    let (seconds, _) = all[0].id.parts();
    let mut odd: Vec<_> = [0, 1, 1 << 63, u64::MAX >> 1, u64::MAX]
        .into_iter()
        .flat_map(|number| [0, seconds, u32::MAX].map(|it| MessageId::from_parts(it, number)))
        .chain(all.iter().map(|message| MessageId::from_parts(seconds, message.marker)))
        .collect();
    odd.retain(|id| all.iter().all(|message| message.id != *id));
    let claim = ClaimId::from_bytes([255; 12]);
    for &id in &odd {
        assert!(store.messages().get(&queue, &[id], now).await.unwrap().is_empty(), "{id}");
        assert_eq!(store.messages().delete(&queue, id, Some(claim), now).await, Ok(()), "{id}");
        let many = store.messages().delete_many(&queue, &[id], None, now).await;
        assert_eq!(many, Ok(()), "{id}");
        let many = store.messages().delete_many(&queue, &[id], Some(&[claim]), now).await;
        assert_eq!(many, Ok(()), "{id}");
        let marker = Some(Marker::Message(id));
        let page = ListQuery { marker, ..everything() };
        assert!(store.messages().list(&queue, &page, now).await.is_ok(), "{id}");
    }
    for claim in [claim, ClaimId::from_bytes([0; 12]), ClaimId::from_parts(0, 1 << 63)] {
        let unknown = Error::ClaimDoesNotExist(queue.clone(), claim);
        assert_eq!(store.claims().get(&queue, claim, now).await, Err(unknown.clone()));
        assert_eq!(store.claims().renew(&queue, claim, 100, 60, now).await, Err(unknown));
        assert_eq!(store.claims().release(&queue, claim, now).await, Ok(()));
    }
    assert_eq!(store.all(&queue).await, all);
    assert_eq!(store.counts(&queue).await, (2, 0));
}

pub async fn many_are_deleted_claimed_or_not(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b", "c", "d"]).await;
    let claim = store.claim(&queue, 2).await;
    let missing = MessageId::from_parts(1, u64::MAX);
    let goners = [posted[1], missing, posted[3], posted[1]];
    store.messages().delete_many(&queue, &goners, None, store.now).await.unwrap();
    assert_eq!(bodies(&store.all(&queue).await), ["a", "c"]);
    let left = store.claims().get(&queue, claim.id, store.now).await.unwrap();
    assert_eq!(bodies(&left.messages), ["a"]);
    assert_eq!(store.counts(&queue).await, (1, 1));
}

pub async fn many_with_claims_are_deleted_all_or_none(mut store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b", "c", "d"]).await;
    let first = store.claim(&queue, 1).await.id;
    let second = store.claim(&queue, 1).await.id;
    store.pass(50);
    let third = store.claim(&queue, 1).await.id;
    let delete = async |store: &Store, ids: &[MessageId], claims: &[ClaimId]| {
        store.messages().delete_many(&queue, ids, Some(claims), store.now).await
    };

    let unnamed = delete(&store, &posted[..2], &[first]).await;
    assert_eq!(unnamed, Err(Error::MessageIsClaimed(posted[1])), "held by another claim");
    let free = delete(&store, &[posted[0], posted[3]], &[first, second]).await;
    assert_eq!(free, Err(Error::MessageIsNotClaimed(posted[3])), "held by no claim");
    let none = delete(&store, &posted[..1], &[]).await;
    assert_eq!(none, Err(Error::MessageIsClaimed(posted[0])), "no claim named");
    store.pass(50);
    let expired = delete(&store, &[posted[2], posted[0]], &[first, third]).await;
    assert_eq!(expired, Err(Error::MessageIsNotClaimed(posted[0])), "its claim has expired");
    assert_eq!(bodies(&store.all(&queue).await), ["a", "b", "c", "d"]);

    assert_eq!(delete(&store, &posted[2..3], &[second, third]).await, Ok(()));
    assert_eq!(bodies(&store.all(&queue).await), ["a", "b", "d"]);
}

pub async fn many_with_claims_ignore_ids_that_name_nothing(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b"]).await;
    let claim = store.claim(&queue, 2).await.id;
    let claims = [ClaimId::from_parts(1, 1), claim];
    let asked = [MessageId::from_parts(1, u64::MAX), posted[1]];
    store.messages().delete_many(&queue, &asked, Some(&claims), store.now).await.unwrap();
    assert_eq!(bodies(&store.all(&queue).await), ["a"]);
}

pub async fn pop_takes_the_oldest_free_messages(store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 6).await;
    store.claim(&queue, 2).await;
    let popped = store.messages().pop(&queue, 3, store.now).await.unwrap();
    assert_eq!(bodies(&popped), ["2", "3", "4"]);
    assert!(popped.iter().all(|message| message.claim.is_none()));
    let rest = store.messages().pop(&queue, 3, store.now).await.unwrap();
    assert_eq!(bodies(&rest), ["5"]);
    assert!(store.messages().pop(&queue, 3, store.now).await.unwrap().is_empty());
    assert_eq!(bodies(&store.all(&queue).await), ["0", "1"]);
    assert_eq!(store.counts(&queue).await, (2, 0));
}

pub async fn pop_shows_an_expired_claim(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a", "b"]).await;
    let claim = store.claim(&queue, 1).await.id;
    store.pass(100);
    let popped = store.messages().pop(&queue, 2, store.now).await.unwrap();
    assert_eq!(bodies(&popped), ["a", "b"]);
    assert_eq!(popped[0].claim, Some(claim));
    assert_eq!(popped[1].claim, None);
}

pub async fn what_was_looked_at_is_popped_if_it_is_free(mut store: Store) {
    let (queue, other) = (store.make("q").await, store.make("other").await);
    let brief = NewMessage { ttl: 50, ..plain("brief") };
    let late = NewMessage { delay: 500, ..plain("late") };
    let all = vec![plain("held"), plain("free"), brief, late, plain("kept")];
    let ids = store.post_all(&queue, all).await;
    let elsewhere = store.post(&other, &["theirs"]).await[0];
    let claim = store.claim(&queue, 1).await.id;
    store.pass(50);
    let made_up = MessageId::from_parts(1, u64::MAX);
    let asked = [ids[3], ids[0], made_up, ids[1], ids[2], elsewhere];
    let mut popped = store.messages().pop_these(&queue, &asked, store.now).await.unwrap();
    popped.sort();
    let mut expected = vec![ids[1], ids[3]];
    expected.sort();
    assert_eq!(popped, expected);
    assert_eq!(store.messages().pop_these(&queue, &asked, store.now).await, Ok(vec![]));
    assert_eq!(bodies(&store.all(&queue).await), ["held", "kept"]);
    assert_eq!(store.claims().get(&queue, claim, store.now).await.unwrap().messages.len(), 1);
    assert_eq!(bodies(&store.all(&other).await), ["theirs"]);
    store.pass(50);
    let freed = store.messages().pop_these(&queue, &ids[..1], store.now).await;
    assert_eq!(freed, Ok(vec![ids[0]]), "its claim has ended");
}

pub async fn purge_spares_what_is_claimed(mut store: Store) {
    let queue = store.make("q").await;
    let late = NewMessage { delay: 50, ..plain("late") };
    store.post_all(&queue, vec![plain("claimed"), plain("free"), late]).await;
    let claim = store.claim(&queue, 1).await.id;
    store.messages().purge(&queue, store.now).await.unwrap();
    assert_eq!(bodies(&store.all(&queue).await), ["claimed"]);
    assert_eq!(store.counts(&queue).await, (1, 0));
    let held = store.claims().get(&queue, claim, store.now).await.unwrap();
    assert_eq!(bodies(&held.messages), ["claimed"]);

    store.pass(100);
    store.messages().purge(&queue, store.now).await.unwrap();
    assert!(store.all(&queue).await.is_empty(), "an expired claim protects nothing");
    store.post(&queue, &["new"]).await;
    assert_eq!(bodies(&store.all(&queue).await), ["new"]);
}

pub async fn purge_empties_a_large_queue(store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 5000).await;
    store.messages().purge(&queue, store.now).await.unwrap();
    assert_eq!(store.counts(&queue).await, (0, 0));
    assert!(store.all(&queue).await.is_empty());
}

pub async fn purge_touches_no_other_queue(store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["goes"]).await;
    for neighbour in [key_of("p", "q2"), key_of("p", "p"), key_of("other", "q")] {
        store.make_at(&neighbour).await;
        store.post(&neighbour, &["stays"]).await;
        store.messages().purge(&queue, store.now).await.unwrap();
        assert_eq!(bodies(&store.all(&neighbour).await), ["stays"]);
    }
    assert!(store.all(&queue).await.is_empty());
}
