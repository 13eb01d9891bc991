//! Subscribers are told of messages, whatever they do and whatever becomes of the
//! server: the whole of it, and real receivers.

mod crashes;
mod receiver;
mod servers;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nusku::config::Settings;
use serde_json::{Value, json};

use crate::cli::program::PATIENCE;
use crate::support::{TestApp, id_of};
use receiver::{OK, Receiver, Reply};

const MESSAGES: &str = "/v2/queues/news/messages";
const SUBSCRIPTIONS: &str = "/v2/queues/news/subscriptions";

/// A server that may reach receivers on this machine.
fn server(directory: &Path, change: impl FnOnce(&mut Settings)) -> TestApp {
    let uri = format!("embedded:{}", directory.display());
    TestApp::whole(|settings| {
        settings.storage.uri = uri;
        settings.notification.webhook.allowed_networks = vec!["127.0.0.0/8".to_owned()];
        change(settings);
    })
}

/// What `look` finds, as soon as it finds anything.
fn await_that<T>(look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "this should have come long ago");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Subscribes; returns the address of the subscription.
fn subscribe(app: &TestApp, uri: &str) -> String {
    let answer = app.post(SUBSCRIPTIONS, json!({ "subscriber": uri })).expect(201).json();
    format!("{SUBSCRIPTIONS}/{}", answer["subscription_id"].as_str().unwrap())
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(|number| json!(number)).collect()
}

#[test]
fn a_webhook_is_told_of_all_messages_in_order() {
    let (directory, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(|_, _| OK));
    let app = server(directory.path(), |_| {});
    subscribe(&app, &receiver.uri("/in?key=1"));
    let first = app.post_bodies("news", &[json!({"zoë": [1, 2.0]})]);
    for start in [0, 20, 40] {
        app.post_bodies("news", &numbers(start..start + 20));
    }
    let told = receiver.told(61);
    assert_eq!(
        told[0].text,
        "{\"ttl\": 3600, \"body\": {\"zo\\u00eb\": [1, 2.0]}, \"Message_Type\": \"Notification\", \
         \"queue_name\": \"news\"}"
    );
    assert_eq!(told[0].path, "/in?key=1");
    assert!(told[0].header("webhook-id").unwrap().ends_with(id_of(&first[0])));
    let bodies: Vec<_> = told[1..].iter().map(receiver::Told::body).collect();
    assert_eq!(bodies, numbers(0..60));
}

#[test]
fn what_fails_is_tried_again_under_the_same_name() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, before| match before {
        0 => Reply::Status(500, ""),
        1 => Reply::Close,
        2 => Reply::Status(503, ""),
        _ => OK,
    });
    let app = server(directory.path(), |_| {});
    let subscription = subscribe(&app, &receiver.uri("/flaps"));
    app.post_bodies("news", &numbers(1..3));
    let told = receiver.told(5);
    let bodies: Vec<_> = told.iter().map(receiver::Told::body).collect();
    assert_eq!(bodies, [1, 1, 1, 1, 2].map(|it| json!(it)));
    let names: Vec<_> = told.iter().map(|it| it.header("webhook-id").unwrap()).collect();
    assert!(names[..4].iter().all(|it| it == &names[0]) && names[4] != names[0]);
    let shown = app.get(&subscription).expect(200).json();
    assert_eq!(shown.get("last_failure"), None);
}

#[test]
fn who_asks_for_a_pause_gets_one() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, before| match before {
        0 => Reply::Status(429, "Retry-After: 30"),
        _ => OK,
    });
    let app = server(directory.path(), |_| {});
    subscribe(&app, &receiver.uri("/busy"));
    app.post_bodies("news", &numbers(1..2));
    receiver.told(1);
    let mut seconds = 0;
    while receiver.so_far().len() == 1 {
        app.advance(1);
        seconds += 1;
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(seconds >= 30, "{seconds}");
}

#[test]
fn what_is_refused_is_a_dead_letter_and_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_, before| match before {
        0 => Reply::Status(301, "Location: http://127.0.0.1:1/"),
        _ => OK,
    });
    let app = server(directory.path(), |_| {});
    app.queue("news", json!({"_dead_letter_queue": "dead"}));
    let subscription = subscribe(&app, &receiver.uri("/moved"));
    let posted = app.post_bodies("news", &numbers(1..3));
    let told = receiver.told(2);
    assert_eq!(told[1].body(), json!(2));
    // It is noted while the next one is on its way.
    let shown = await_that(|| {
        let shown = app.get(&subscription).expect(200).json();
        shown.get("last_failure").is_some().then_some(shown)
    });
    let failure = &shown["last_failure"];
    assert_eq!(failure["message_id"], json!(id_of(&posted[0])));
    assert_eq!(failure["at"], json!("2027-06-26T00:51:46Z"));
    let letters = app.bodies("dead");
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["body"], &letters[0]["reason"]), (&json!(1), &failure["reason"]));
    assert_eq!(letters[0]["subscription_id"], json!(id_of(&subscription)));
    assert_eq!((&letters[0]["attempts"], &letters[0]["queue_name"]), (&json!(1), &json!("news")));
}

#[test]
fn the_dead_and_the_slow_delay_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let (slow, quick) = (Receiver::start(|_, _| Reply::Hang), Receiver::start(|_, _| OK));
    let app = server(directory.path(), |settings| {
        settings.notification.max_notifier_workers = 4;
        settings.notification.webhook.timeout = 3;
    });
    // Nobody listens there.
    subscribe(&app, "http://127.0.0.1:1/gone");
    subscribe(&app, &slow.uri("/hangs"));
    for number in 0..10 {
        subscribe(&app, &quick.uri(&format!("/{number}")));
    }
    for start in [0, 10, 20] {
        app.post_bodies("news", &numbers(start..start + 10));
    }
    let told = quick.told(300);
    for number in 0..10 {
        let path = format!("/{number}");
        let own = told.iter().filter(|it| it.path == path);
        assert_eq!(own.map(receiver::Told::body).collect::<Vec<_>>(), numbers(0..30));
    }
    assert!(slow.so_far().iter().all(|it| it.body() == json!(0)));
}

#[test]
fn a_subscriber_confirms_with_what_it_was_sent() {
    let (directory, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(|_, _| OK));
    let app = server(directory.path(), |settings| {
        settings.notification.require_confirmation = true;
        settings.signed_url.secret_key = Some("blue-lantern".to_owned());
    });
    let subscription = subscribe(&app, &receiver.uri("/careful"));
    let asked: Value = serde_json::from_str(&receiver.told(1)[0].text).unwrap();
    assert_eq!(asked["Message_Type"], json!("SubscriptionConfirmation"));
    let confirm = |body: &Value| {
        let path = asked["URL-Paths"].as_str().unwrap();
        let mut request = app.put(path, body.clone());
        for name in ["URL-Methods", "URL-Paths", "URL-Expires", "URL-Signature", "X-Project-ID"] {
            request = request.header(name, asked[name].as_str().unwrap());
        }
        request.expect(204);
    };
    confirm(&asked["SubscribeBody"]);
    assert_eq!(app.get(&subscription).expect(200).json()["confirmed"], json!(true));
    app.post_bodies("news", &[json!("now")]);
    let told = receiver.until(|told| told.iter().any(|it| it.text.contains("\"now\"")));
    assert_eq!(told.last().unwrap().body(), json!("now"));
    confirm(&asked["UnsubscribeBody"]);
    let told = receiver.until(|told| told.last().unwrap().text.contains("UnsubscribeConfirm"));
    app.post_bodies("news", &[json!("no more")]);
    app.get(MESSAGES).expect(200);
    assert_eq!(receiver.so_far().len(), told.len());
}
