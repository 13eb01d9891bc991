//! Asking subscribers to confirm.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Scene;
use crate::config::Settings;
use crate::model::{ProjectId, QueueKey, QueueKind, QueueName, Subscription};
use crate::service::access::Permit;
use crate::service::notification::channel::{Content, Notification, Outcome};
use crate::service::tests::fake::{NOW, permit, subscription};
use crate::service::{Caller, SignedUrl};

const A: &str = "http://a/hook";

fn with_a_key(settings: &mut Settings) {
    settings.notification.require_confirmation = true;
    settings.notification.confirmation_endpoint = Some("https://public.example/base?x".into());
    settings.signed_url.secret_key = Some("blue-lantern".into());
}

async fn subscribe(scene: &Scene, ttl: u32) -> String {
    let caller = Caller { identity: Arc::default(), token: None };
    let document = json!({"subscriber": A, "ttl": ttl});
    scene.service.create_subscription(&permit("q"), &document, &caller).await.unwrap().to_string()
}

/// What a subscriber is sent that is asked to confirm.
fn parts(notification: &Notification) -> (Value, SignedUrl, bool) {
    let Content::Confirmation { is_goodbye, url, endpoint } = &notification.content else {
        panic!("{notification:?}")
    };
    let document: Value = serde_json::from_str(&notification.document).unwrap();
    assert_eq!(document["URL-Signature"], json!(url.signature));
    assert_eq!(document["WSGISubscribeURL"], json!(endpoint));
    (document, url.clone(), *is_goodbye)
}

#[tokio::test]
async fn who_subscribes_is_asked_again_and_again() {
    let mut scene = Scene::with(with_a_key);
    scene.start();
    let id = subscribe(&scene, 600).await;
    assert_eq!(subscribe(&scene, 900).await, id);
    let asked = scene.recorder.told(2).await;
    assert_ne!(asked[0].id, asked[1].id);
    let mut ends = Vec::new();
    for each in &asked {
        let (document, url, is_goodbye) = parts(each);
        assert!(!is_goodbye);
        assert_eq!(document["Message_Type"], json!("SubscriptionConfirmation"));
        let path = format!("/v2/queues/q/subscriptions/{id}/confirm");
        assert_eq!(document["WSGISubscribeURL"], json!(format!("https://public.example{path}")));
        assert_eq!((&url.paths, &url.methods), (&vec![path], &vec!["PUT".to_owned()]));
        assert!(scene.service.is_signed(&ProjectId::new("acme"), &url));
        ends.push(url.expires);
    }
    ends.sort();
    assert_eq!(ends, ["2027-06-26T01:01:46", "2027-06-26T01:06:46"]);
    scene.stop().await;
}

#[tokio::test]
async fn a_confirmation_of_a_topic_leads_to_the_topic() {
    let mut scene = Scene::with(with_a_key);
    scene.start();
    let name = QueueName::parse_as(QueueKind::Topic, "q").unwrap();
    let topic = Permit::of(QueueKey { project: ProjectId::new("acme"), name });
    let caller = Caller { identity: Arc::default(), token: None };
    let document = json!({ "subscriber": A });
    let id = scene.service.create_subscription(&topic, &document, &caller).await.unwrap();
    let (document, url, _) = parts(&scene.recorder.told(1).await[0]);
    assert_eq!(url.paths, [format!("/v2/topics/q/subscriptions/{id}/confirm")]);
    assert_eq!(document["Message"], json!("You have chosen to subscribe to the topic: q"));
    assert_eq!(document["queue_name"], json!("q"));
    scene.stop().await;
}

#[tokio::test]
async fn who_is_unsubscribed_is_told_how_to_come_back() {
    let mut scene = Scene::with(with_a_key);
    let id = scene.subscribe_as(Subscription {
        subscriber: A.into(),
        confirmed: true,
        ttl: 60,
        ..subscription(1)
    });
    scene.start();
    let (id, queue) = (id.to_string(), permit("q"));
    let no = json!({"confirmed": false});
    scene.service.confirm_subscription(&queue, &id, &no).await.unwrap();
    let (document, url, is_goodbye) = parts(&scene.recorder.told(1).await[0]);
    assert!(is_goodbye);
    assert_eq!(document["Message_Type"], json!("UnsubscribeConfirmation"));
    assert_eq!(url.expires, "2027-06-26T01:51:46");
    scene.stop().await;
}

#[tokio::test]
async fn it_is_asked_again_until_it_has_heard() {
    let mut scene = Scene::with(with_a_key);
    scene.start();
    let busy = Outcome::TryAgain { reason: "It was busy.".into(), after: None };
    scene.recorder.answer(A, &vec![busy; 4]);
    subscribe(&scene, 600).await;
    let asked = scene.recorder.told(4).await;
    assert!(asked.iter().all(|it| it.id == asked[0].id && it.now == NOW));
    while scene.recorder.count() == 4 {
        scene.clock.advance(1);
        tokio::task::yield_now().await;
    }
    let last = scene.recorder.told(5).await.pop().unwrap();
    assert!(last.now >= NOW.plus(5));
    scene.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_has_to_confirm_or_nothing_can_be_signed() {
    for change in [
        (|settings| {
            with_a_key(settings);
            settings.notification.require_confirmation = false;
        }) as fn(&mut Settings),
        |settings| {
            with_a_key(settings);
            settings.signed_url.secret_key = None;
        },
    ] {
        let mut scene = Scene::with(change);
        scene.start();
        let id = subscribe(&scene, 600).await;
        let no = json!({"confirmed": false});
        scene.service.confirm_subscription(&permit("q"), &id, &no).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(scene.recorder.count(), 0);
        scene.stop().await;
    }
}
