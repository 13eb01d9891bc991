//! Several processes hand out the messages of one queue.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, doc};
use nusku::model::{ClaimId, ClaimOrder, MessageId, StoredClaim};
use nusku::storage::mongodb::MongodbDriver;
use nusku::storage::{ClaimController, DataDriver, Error, MessageController};

use super::Scene;
use crate::contract::{bodies, client, key, order, plain};
use crate::support::START;

async fn post(driver: &MongodbDriver, count: usize) -> Vec<MessageId> {
    let messages = (0..count).map(|number| plain(&number.to_string())).collect();
    driver.post(&key("q"), &client(0), messages, START).await.unwrap()
}

async fn claim(driver: &MongodbDriver, order: &ClaimOrder) -> Option<StoredClaim> {
    ClaimController::create(driver, &key("q"), order, START).await.unwrap()
}

/// Whoever is slower gets what comes next, and as much as was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_two_processes_all_get_their_fill() {
    let scene = Scene::new().await;
    let drivers = [scene.driver().await, scene.driver().await];
    post(&drivers[0], 500).await;
    let workers: Vec<_> = (0..16)
        .map(|number| {
            let driver = Arc::clone(&drivers[number % 2]);
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for _ in 0..5 {
                    let claim = claim(&driver, &order(5)).await.unwrap();
                    assert_eq!(claim.messages.len(), 5);
                    taken.extend(claim.messages.iter().map(|message| message.id));
                }
                taken
            })
        })
        .collect();
    let mut taken = BTreeSet::new();
    for worker in workers {
        taken.extend(worker.await.unwrap());
    }
    assert_eq!(taken.len(), 16 * 5 * 5, "none is taken twice");
}

/// A process remembers for a second what it has handed out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_gives_back_is_found() {
    let scene = Scene::new().await;
    let (here, there) = (scene.driver().await, scene.driver().await);
    let posted = post(&here, 600).await;
    let first = claim(&here, &order(1)).await.unwrap();
    claim(&here, &order(598)).await.unwrap();
    assert_eq!(claim(&here, &order(10)).await.unwrap().messages.len(), 1);
    assert_eq!(claim(&here, &order(10)).await, None);

    there.release(&key("q"), first.id, START).await.unwrap();

    let again = claim(&here, &order(10)).await.unwrap();
    assert_eq!(again.messages.len(), 1);
    assert_eq!(again.messages[0].id, posted[0]);
}

/// Beyond that, what others do may show only in the next second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_very_many_claimed_messages_nothing_stays_hidden() {
    let scene = Scene::new().await;
    let (here, there) = (scene.driver().await, scene.driver().await);
    for _ in 0..12 {
        post(&here, 1000).await;
    }
    let mut claims = Vec::new();
    while let Some(claim) = claim(&here, &order(1000)).await {
        claims.push(claim.id);
    }
    assert_eq!(claims.len(), 12);
    assert_eq!(claim(&here, &order(1)).await, None);

    post(&here, 1).await;
    assert_eq!(claim(&here, &order(10)).await.unwrap().messages.len(), 1, "posted");
    here.release(&key("q"), claims[3], START).await.unwrap();
    assert_eq!(claim(&here, &order(1000)).await.unwrap().messages.len(), 1000, "released here");
    there.release(&key("q"), claims[0], START).await.unwrap();
    let later = START.plus(1);
    let found = ClaimController::create(&*here, &key("q"), &order(1000), later).await.unwrap();
    assert_eq!(found.unwrap().messages.len(), 1000, "released there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_one_process_is_honoured_by_the_other() {
    let scene = Scene::new().await;
    let (here, there) = (scene.driver().await, scene.driver().await);
    let posted = post(&here, 2).await;
    let held = claim(&here, &order(2)).await.unwrap();
    assert_eq!(claim(&there, &order(2)).await, None);
    assert_eq!(there.claims().get(&key("q"), held.id, START).await, Ok(held.clone()));
    let refused = there.delete(&key("q"), posted[0], None, START).await;
    assert_eq!(refused, Err(Error::MessageIsClaimed(posted[0])));
    there.delete(&key("q"), posted[0], Some(held.id), START).await.unwrap();
    there.renew(&key("q"), held.id, 300, 60, START).await.unwrap();
    let left = here.claims().get(&key("q"), held.id, START).await.unwrap();
    assert_eq!((bodies(&left.messages), left.ttl), (vec!["1".to_owned()], 300));
}

/// A process that was killed while it changed a message leaves a transaction
/// that the server would end after a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_a_killed_process_was_at_is_handed_out() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let posted = post(&driver, 2).await;
    let mut dead = scene.client.start_session().await.unwrap();
    dead.start_transaction().await.unwrap();
    let first = doc! { "_id": ObjectId::from_bytes(posted[0].bytes()) };
    scene.messages().delete_one(first).session(&mut dead).await.unwrap();

    let began = Instant::now();
    let claim = claim(&driver, &order(2)).await.unwrap();

    assert_eq!(bodies(&claim.messages), ["0", "1"]);
    assert!(began.elapsed().as_secs() < 30, "the server's own minute was waited for");
    assert!(dead.commit_transaction().await.is_err());
}

/// Deletions that go together are judged one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_crowd_of_deletions_everybody_hears_of_their_own() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let posted = post(&driver, 40).await;
    let (mine, other) = (claim(&driver, &order(20)).await.unwrap().id, ClaimId::from_parts(1, 1));
    let delete = |number: usize, claim| {
        let (driver, id) = (Arc::clone(&driver), posted[number]);
        tokio::spawn(async move { driver.delete(&key("q"), id, claim, START).await })
    };
    let answers: Vec<_> = (0..40)
        .map(|number| match number % 4 {
            0 => (delete(number, Some(mine)), number < 20),
            1 => (delete(number, None), number >= 20),
            _ => (delete(number, Some(other)), false),
        })
        .collect();
    for (number, (answer, is_legal)) in answers.into_iter().enumerate() {
        let legal = match (is_legal, number < 20) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::MessageIsClaimed(posted[number])),
            (false, false) => Err(Error::MessageIsNotClaimed(posted[number])),
        };
        assert_eq!(answer.await.unwrap(), legal, "{number}");
    }
    let left = driver.stats(&key("q"), START).await.unwrap();
    assert_eq!((left.claimed, left.free), (15, 15));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_are_no_messages_keep_nobody_from_the_rest() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let strange = |k: Bson| {
        doc! {
            "p_q": "p/q", "t": 1000, "e": DateTime::from_millis((START.seconds() + 1000) * 1000),
            "c": { "id": Bson::Null, "e": START.seconds() }, "b": "strange", "k": k, "tx": Bson::Null,
        }
    };
    let whole = (-20..0).map(|k| strange(Bson::Int32(k)));
    let broken = (1..20).map(|k| strange(Bson::Double(f64::from(k) / 32.0)));
    scene.messages().insert_many(whole.chain(broken)).await.unwrap();
    post(&driver, 5).await;

    assert_eq!(bodies(&claim(&driver, &order(2)).await.unwrap().messages), ["0", "1"]);
    let popped = driver.pop(&key("q"), 2, START).await.unwrap();
    assert_eq!(bodies(&popped), ["2", "3"]);
    assert_eq!(bodies(&claim(&driver, &order(2)).await.unwrap().messages), ["4"]);
    assert_eq!(claim(&driver, &order(2)).await, None);
}
