//! The health check: what it does, what it tells, what it leaves behind.

use futures_util::FutureExt as _;

use super::fake::{Call, Fake, claim, claim_id, id, service};
use crate::service::access::Permit;
use crate::service::{Health, HealthReport};
use crate::storage::{Error, Volume};

const OPERATIONS: [&str; 8] = [
    "create_queue",
    "post_messages",
    "claim_messages",
    "list_messages",
    "delete_messages",
    "delete_claim",
    "bulk_delete_messages",
    "delete_queue",
];

fn names(health: &Health) -> Vec<&str> {
    health.operations.iter().map(|(name, _)| *name).collect()
}

fn failed(health: &Health) -> Vec<&str> {
    let failed = health.operations.iter().filter(|(_, status)| !status.succeeded);
    failed.map(|(name, _)| *name).collect()
}

async fn health(prepare: impl FnOnce(&Fake)) -> (Health, Vec<Call>) {
    let (service, fake) = service();
    *fake.claim.lock().unwrap() = Some(claim(1));
    prepare(&fake);
    match service.health(&Permit::of(())).await.unwrap() {
        HealthReport::Store(health) => (health, fake.calls()),
        pools @ HealthReport::Pools { .. } => panic!("there are no pools: {pools:?}"),
    }
}

#[tokio::test]
async fn every_operation_is_really_done() {
    let (health, calls) = health(|_| {}).await;
    assert!(health.storage_reachable);
    assert_eq!(health.volume, Some(Volume { free: 7, claimed: 3 }));
    assert_eq!(names(&health), OPERATIONS);
    for (name, status) in &health.operations {
        assert!(status.succeeded && status.seconds >= 0.0, "{name}");
        assert_eq!(status.reference, None, "{name}");
    }
    let [Call::CreateQueue, Call::Post(posted), Call::Claim(order), rest @ ..] = &calls[..] else {
        panic!("not in this order: {calls:?}");
    };
    assert_eq!((posted.len(), order.limit), (100, 10));
    let [
        Call::List(_),
        Call::Delete(first, Some(holder)),
        Call::Release(released),
        Call::DeleteMany(deleted, None),
        Call::DeleteQueue,
    ] = rest
    else {
        panic!("not in this order: {rest:?}");
    };
    assert_eq!((*first, *holder, *released), (id(1), claim_id(1), claim_id(1)));
    assert_eq!(deleted.len(), 100);
}

#[tokio::test]
async fn a_failure_has_a_reference_and_the_queue_is_removed() {
    for operation in OPERATIONS {
        let (health, calls) = health(|fake| *fake.broken.lock().unwrap() = Some(operation)).await;
        assert_eq!(failed(&health), [operation]);
        let (_, status) = health.operations.iter().find(|(name, _)| *name == operation).unwrap();
        let reference = status.reference.as_deref().unwrap();
        assert!(uuid::Uuid::parse_str(reference).is_ok(), "{reference}");
        assert_eq!(calls.last(), Some(&Call::DeleteQueue), "{operation}");
    }
}

#[tokio::test]
async fn a_store_that_hands_out_nothing_is_not_well() {
    let (health, _) = health(|fake| *fake.claim.lock().unwrap() = None).await;
    assert_eq!(failed(&health), ["claim_messages"]);
    let without_claim: Vec<_> = OPERATIONS
        .into_iter()
        .filter(|name| !["delete_messages", "delete_claim"].contains(name))
        .collect();
    assert_eq!(names(&health), without_claim);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_of() {
    let (health, calls) = health(|fake| *fake.broken.lock().unwrap() = Some("ping")).await;
    assert!(!health.storage_reachable);
    assert_eq!((failed(&health), health.volume), (OPERATIONS.to_vec(), None));
    assert_eq!(calls, [], "nobody waits for what will fail");

    let (service, fake) = service();
    assert_eq!(service.ping(&Permit::of(())).await, Ok(()));
    let unavailable = || Err(Error::Unavailable("disk on fire".to_owned()).into());
    *fake.broken.lock().unwrap() = Some("ping");
    assert_eq!(service.ping(&Permit::of(())).await, unavailable());
    *fake.broken.lock().unwrap() = Some("volume");
    assert_eq!(service.health(&Permit::of(())).await.err().map(Err), Some(unavailable()));
}

#[tokio::test]
async fn the_check_cleans_up_even_if_nobody_waits_for_it() {
    let (service, fake) = service();
    // One poll starts the operations; then the caller goes away.
    assert_eq!(service.health(&Permit::of(())).now_or_never(), None);
    while fake.calls().last() != Some(&Call::DeleteQueue) {
        tokio::task::yield_now().await;
    }
}
