//! Claims: every sentence, every edge, and what the store is asked for.

use serde_json::json;

use super::fake::{Call, claim, claim_id, permit, queue, service, service_with};
use crate::model::{ClaimOrder, DeadLetter, QueueName};
use crate::service::{Error, Field};

const TTL: &str =
    "The TTL for a claim may not exceed 43200 seconds, and must be at least 60 seconds long.";
const GRACE: &str =
    "The grace for a claim may not exceed 43200 seconds, and must be at least 60 seconds long.";
const LIMIT: &str = "Limit must be at least 1 and may not be greater than 20.";

/// Each pair of numbers that is refused, with the refusal.
fn refused_numbers() -> Vec<(Field, Field, Error)> {
    let body =
        |name| Error::InvalidBody(format!("The value of the \"{name}\" field must be a int."));
    let request = |sentence: &str| Error::InvalidRequest(sentence.to_owned());
    vec![
        (Field::Other, Field::Other, body("ttl")),
        (Field::Integer(1), Field::Other, body("grace")),
        (Field::Integer(59), Field::Integer(59), request(TTL)),
        (Field::Integer(43_201), Field::Missing, request(TTL)),
        (Field::Integer(i64::MIN), Field::Missing, request(TTL)),
        (Field::Integer(60), Field::Integer(59), request(GRACE)),
        (Field::Missing, Field::Integer(43_201), request(GRACE)),
        (Field::Missing, Field::Integer(-99_999), request(GRACE)),
    ]
}

#[tokio::test]
async fn defaults_come_from_the_settings() {
    let (service, fake) = service();
    let none = service.create_claim(&permit("q"), None, Field::Missing, Field::Missing).await;
    assert_eq!(none, Ok(None));
    let order =
        ClaimOrder { ttl: 300, grace: 60, limit: 10, include_delayed: true, dead_letter: None };
    assert_eq!(fake.last_call(), Call::Claim(order));
    assert_eq!(fake.stored(&queue("q")), None, "a claim makes no queue");

    let (service, fake) = service_with(|settings| {
        settings.transport.default_claim_ttl = 100;
        settings.transport.default_claim_grace = 200;
    });
    service.create_claim(&permit("q"), None, Field::Missing, Field::Missing).await.unwrap();
    let Call::Claim(order) = fake.last_call() else { panic!("nothing was claimed") };
    assert_eq!((order.ttl, order.grace), (100, 200));
}

#[tokio::test]
async fn the_edges_of_the_ranges_are_fine() {
    let (service, fake) = service();
    *fake.claim.lock().unwrap() = Some(claim(1));
    for (number, limit) in [(60, 1), (43_200, 20)] {
        let number = Field::Integer(number);
        let made = service.create_claim(&permit("q"), Some(limit), number, number).await;
        assert_eq!(made, Ok(Some(claim(1))));
        let id = claim_id(1).to_string();
        assert_eq!(service.renew_claim(&permit("q"), &id, number, number).await, Ok(()));
    }
    assert_eq!(fake.last_call(), Call::Renew(claim_id(1), 43_200, 43_200));
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    let (service, fake) = service();
    for (ttl, grace, error) in refused_numbers() {
        let made = service.create_claim(&permit("q"), None, ttl, grace).await;
        assert_eq!(made, Err(error.clone()));
        let renewed = service.renew_claim(&permit("q"), "nope", ttl, grace).await;
        assert_eq!(renewed, Err(error), "before anybody looks for the claim");
    }
    assert_eq!(fake.calls(), []);
}

#[tokio::test]
async fn the_limit_is_checked_between_ttl_and_grace() {
    let (service, _) = service();
    let bad = Field::Integer(0);
    for limit in [0, 21] {
        let both = service.create_claim(&permit("q"), Some(limit), bad, bad).await;
        assert_eq!(both, Err(Error::InvalidRequest(TTL.to_owned())));
        let grace = service.create_claim(&permit("q"), Some(limit), Field::Missing, bad).await;
        assert_eq!(grace, Err(Error::InvalidRequest(LIMIT.to_owned())));
    }
}

#[tokio::test]
async fn the_queue_decides_on_delays_and_dead_letters() {
    let (service, fake) = service();
    fake.put_queue(
        &queue("q"),
        json!({"_default_message_delay": 5, "_max_claim_count": 2, "_dead_letter_queue": "dead"}),
    );
    service.create_claim(&permit("q"), None, Field::Missing, Field::Missing).await.unwrap();
    let Call::Claim(order) = fake.last_call() else { panic!("nothing was claimed") };
    assert!(!order.include_delayed);
    let dead = QueueName::parse("dead").unwrap();
    assert_eq!(order.dead_letter, Some(DeadLetter { max_claim_count: 2, queue: dead, ttl: None }));
}

#[tokio::test]
async fn a_renewal_without_numbers_gets_the_defaults() {
    let (service, fake) = service();
    *fake.claim.lock().unwrap() = Some(claim(1));
    let id = claim_id(1).to_string();
    service.renew_claim(&permit("q"), &id, Field::Missing, Field::Missing).await.unwrap();
    assert_eq!(fake.last_call(), Call::Renew(claim_id(1), 300, 60));
}

#[tokio::test]
async fn claims_that_do_not_exist() {
    let (service, fake) = service();
    *fake.claim.lock().unwrap() = Some(claim(1));
    let known = claim_id(1).to_string();
    assert_eq!(service.get_claim(&permit("q"), &known).await, Ok(claim(1)));
    for unknown in
        ["nope".to_owned(), claim_id(2).to_string(), claim_id(0xa).to_string().to_uppercase()]
    {
        let sentence = format!("Claim {unknown} does not exist in queue q for project acme");
        let got = service.get_claim(&permit("q"), &unknown).await.unwrap_err();
        assert_eq!(got.to_string(), sentence);
        let missing = Field::Missing;
        let renewed = service.renew_claim(&permit("q"), &unknown, missing, missing).await;
        let renewed = renewed.unwrap_err();
        assert_eq!(renewed.to_string(), sentence);
        for error in [got, renewed] {
            assert!(matches!(error, Error::ClaimDoesNotExist { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn releasing_a_malformed_id_is_no_error() {
    let (service, fake) = service();
    assert_eq!(service.release_claim(&permit("q"), "nope").await, Ok(()));
    assert_eq!(fake.calls(), []);
    assert_eq!(service.release_claim(&permit("q"), &claim_id(1).to_string()).await, Ok(()));
    assert_eq!(fake.calls(), [Call::Release(claim_id(1))]);
}
