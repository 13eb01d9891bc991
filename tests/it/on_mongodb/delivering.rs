//! Several processes tell the subscribers of a queue, beside Zaqars.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use nusku::model::{MessageId, Metadata, QueueKey, SubscriptionId, Timestamp, WorkerId};
use nusku::storage::mongodb::MongodbDriver;
use nusku::storage::{
    ControlDriver, DataDriver, Delivery, DeliveryController, MessageController, Progress,
    Subscribed, TakeOrder,
};

use super::Scene;
use crate::contract::{client, everything, key, new_subscription, plain, within};
use crate::support::START;

const HOLD: u32 = 30;

impl Scene {
    fn due(&self) -> Collection<Document> {
        self.beside_messages("nusku_due")
    }

    fn subscriptions(&self) -> Collection<Document> {
        let database = format!("{}_subscriptions", self.settings.database);
        self.client.database(&database).collection("subscriptions")
    }
}

async fn subscribe(driver: &MongodbDriver, subscriber: &str) -> SubscriptionId {
    let new = new_subscription(subscriber);
    let made = driver.subscriptions().create(&key("q"), new, START).await.unwrap();
    let Subscribed::New(id) = made else { panic!("there is {made:?}") };
    id
}

async fn post(driver: &MongodbDriver, texts: &[String]) -> Vec<MessageId> {
    let messages = texts.iter().map(|text| plain(text)).collect();
    driver.post(&key("q"), &client(0), messages, START).await.unwrap()
}

async fn post_some(driver: &MongodbDriver, count: usize) -> Vec<MessageId> {
    post(driver, &(0..count).map(|number| number.to_string()).collect::<Vec<_>>()).await
}

async fn take(driver: &MongodbDriver, worker: WorkerId, now: Timestamp) -> Vec<Delivery> {
    let order = TakeOrder { worker, behind: None, limit: 3, hold: HOLD };
    driver.take(&key("q"), order, now).await.unwrap()
}

/// Everything that is due behind a marker, read in small pages.
async fn due_behind(driver: &MongodbDriver, mut behind: u64) -> Vec<(u64, MessageId)> {
    let mut found = Vec::new();
    loop {
        let page = driver.due(&key("q"), behind, 7).await.unwrap();
        let Some(last) = page.last() else { return found };
        behind = last.marker;
        found.extend(page.iter().map(|it| (it.marker, it.id)));
    }
}

fn done(marker: u64) -> Progress {
    Progress { done: marker, ..Progress::default() }
}

/// What each subscriber was told, in order.
type Told = BTreeMap<SubscriptionId, Vec<MessageId>>;

/// Delivers what there is until everybody has been told of as many as `enough`.
async fn deliver(driver: &MongodbDriver, told: &Mutex<Told>, enough: usize) {
    let worker = WorkerId::random();
    let is_over = || told.lock().unwrap().values().all(|ids| ids.len() >= enough);
    while !is_over() {
        for Delivery { subscription, progress } in take(driver, worker, START).await {
            let id = subscription.id;
            let mut last = progress.done;
            loop {
                for (marker, message) in due_behind(driver, last).await {
                    told.lock().unwrap().get_mut(&id).unwrap().push(message);
                    last = marker;
                    let noted =
                        driver.note(&key("q"), id, worker, done(last), None, HOLD, START).await;
                    assert_eq!(noted, Ok(true), "nobody else has it");
                }
                if !driver.release(&key("q"), id, worker, done(last), START).await.unwrap() {
                    break;
                }
            }
        }
    }
}

async fn everybody_is_told_once_and_in_order(scene: Scene) {
    const ROUNDS: usize = 12;
    let drivers = [scene.driver().await, scene.driver().await];
    let mut told = Told::new();
    for number in 0..5 {
        told.insert(subscribe(&drivers[number % 2], &format!("http://{number}")).await, Vec::new());
    }
    let told = Arc::new(Mutex::new(told));
    let posters = drivers.clone().map(|driver| {
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                post_some(&driver, 3).await;
            }
        })
    });
    let enough = 2 * ROUNDS * 3;
    let workers = (0..4).map(|number| {
        let (driver, told) = (drivers[number % 2].clone(), told.clone());
        tokio::spawn(async move { deliver(&driver, &told, enough).await })
    });
    for task in posters.into_iter().chain(workers) {
        within(task).await.unwrap();
    }
    let all = drivers[0].messages().list(&key("q"), &everything(), START).await.unwrap();
    let ids: Vec<_> = all.iter().map(|message| message.id).collect();
    for (subscription, told) in &*told.lock().unwrap() {
        assert_eq!(*told, ids, "{subscription}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_once_and_in_order_by_two_processes() {
    everybody_is_told_once_and_in_order(Scene::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_once_and_in_order_without_transactions() {
    everybody_is_told_once_and_in_order(Scene::on_a_lone_server().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_holds_that_is_gone_is_free_in_time() {
    let scene = Scene::new().await;
    let (driver, other) = (scene.driver().await, scene.driver().await);
    let id = subscribe(&driver, "http://a").await;
    let ids = post_some(&driver, 3).await;
    let (worker, next) = (WorkerId::random(), WorkerId::random());
    assert_eq!(take(&driver, worker, START).await.len(), 1);
    let first = due_behind(&driver, 0).await[0].0;
    let noted = driver.note(&key("q"), id, worker, done(first), None, HOLD, START).await;
    assert_eq!(noted, Ok(true));
    drop(driver);

    assert_eq!(take(&other, next, START.plus(HOLD - 1)).await, []);
    let taken = take(&other, next, START.plus(HOLD)).await;
    assert_eq!(taken[0].progress, done(first), "as it was noted last");
    let left = due_behind(&other, first).await;
    assert_eq!(left.iter().map(|it| it.1).collect::<Vec<_>>(), ids[1..]);
}

/// Between the answer to a wish to subscribe and the next look at the queue, every
/// message is either shown or due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_subscribes_and_reads_the_queue_then_misses_nothing() {
    let scene = Scene::new().await;
    let (posting, driver) = (scene.driver().await, scene.driver().await);
    for round in 0..6 {
        let posters: Vec<_> = (0..4)
            .map(|_| {
                let posting = posting.clone();
                tokio::spawn(async move {
                    let mut posted = Vec::new();
                    for _ in 0..4 {
                        posted.extend(post_some(&posting, 2).await);
                    }
                    posted
                })
            })
            .collect();
        let id = subscribe(&driver, &format!("http://{round}")).await;
        let seen = driver.messages().list(&key("q"), &everything(), START).await.unwrap();
        let posted = join_all(posters).await.into_iter().flat_map(Result::unwrap);

        let mine = |it: &&Delivery| it.subscription.id == id;
        let taken = take(&driver, WorkerId::random(), START).await;
        let told = match taken.iter().find(mine) {
            Some(taken) => due_behind(&driver, taken.progress.done).await,
            None => Vec::new(),
        };
        let known: BTreeSet<_> =
            seen.iter().map(|it| it.id).chain(told.into_iter().map(|it| it.1)).collect();
        for message in posted {
            assert!(known.contains(&message), "round {round}: {message}");
        }
        driver.subscriptions().purge(&key("q")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_acknowledged_after_the_posts_that_have_markers() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    // As a process that was killed in the midst of a post leaves it.
    let mut dead = scene.client.start_session().await.unwrap();
    dead.start_transaction().await.unwrap();
    let step = doc! { "$inc": { "c.v": 1 } };
    scene.queues().update_one(doc! { "p_q": "p/q" }, step).session(&mut dead).await.unwrap();

    subscribe(&driver, "http://a").await;

    assert!(dead.commit_transaction().await.is_err(), "it was waited for until it was ended");
}

/// The record of a subscription as a Zaqar makes it.
fn zaqars_subscription(made: Timestamp) -> Document {
    let id = SubscriptionId::from_parts(u32::try_from(made.seconds()).unwrap(), 1);
    doc! {
        "_id": ObjectId::from_bytes(id.bytes()), "s": "q", "u": "http://zaqars", "t": 3600,
        "e": DateTime::from_millis((START.seconds() + 3600) * 1000), "o": {}, "p": "p", "c": true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_subscribed_at_a_zaqar_is_told_of_what_was_posted_since() {
    let scene = Scene::new().await;
    let (driver, other) = (scene.driver().await, scene.driver().await);
    subscribe(&driver, "http://ours").await;
    let earlier = post_some(&driver, 2).await;
    driver.subscriptions().purge(&key("q")).await.unwrap();
    scene.subscriptions().insert_one(zaqars_subscription(START.plus(1))).await.unwrap();
    let later = other.post(&key("q"), &client(0), vec![plain("a")], START.plus(1)).await.unwrap();

    let taken = take(&driver, WorkerId::random(), START.plus(2)).await;
    assert_eq!(taken[0].subscription.subscriber, "http://zaqars");
    let due = due_behind(&driver, taken[0].progress.done).await;
    assert_eq!(due.iter().map(|it| it.1).collect::<Vec<_>>(), later);
    let all = due_behind(&driver, 0).await;
    assert_eq!(all.iter().map(|it| it.1).collect::<Vec<_>>(), [earlier, later].concat());
}

/// The counter of a deleted queue is forgotten after some days, a subscription is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_made_anew_begins_behind_its_subscriptions() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    post_some(&driver, 5).await;
    subscribe(&driver, "http://a").await;
    ControlDriver::queues(&*driver).delete(&key("q")).await.unwrap();
    scene.records("nusku_retired_queues").delete_many(doc! {}).await.unwrap();
    ControlDriver::queues(&*driver).create(&key("q"), &Metadata::default()).await.unwrap();
    let ids = post_some(&driver, 1).await;
    assert_eq!(take(&driver, WorkerId::random(), START).await[0].progress, done(5));
    assert_eq!(due_behind(&driver, 5).await, [(6, ids[0])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_that_is_due_is_collected_in_slices() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let keeper = subscribe(&driver, "http://a").await;
    for _ in 0..7 {
        post_some(&driver, 1000).await;
    }
    let quiet = key("quiet");
    ControlDriver::queues(&*driver).create(&quiet, &Metadata::default()).await.unwrap();
    let new = new_subscription("http://b");
    driver.subscriptions().create(&quiet, new, START).await.unwrap();
    driver.post(&quiet, &client(0), vec![plain("waits")], START).await.unwrap();
    driver.subscriptions().delete(&key("q"), keeper).await.unwrap();

    let mut slices = 1;
    while driver.gc(START).await.unwrap().more {
        slices += 1;
    }
    assert!(slices > 1, "it holds nobody up for long");
    assert_eq!(scene.due().count_documents(doc! { "p_q": "p/q" }).await.unwrap(), 0);
    let left: Vec<QueueKey> = driver.deliveries().queues(None, 10).await.unwrap();
    assert_eq!(left, [quiet], "it is still waited for");
    assert_eq!(driver.stats(&key("q"), START).await.unwrap().free, 7000, "messages stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ours_among_the_due_messages_is_stepped_over() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    subscribe(&driver, "http://a").await;
    let strange = |marker: i32| doc! { "p_q": "p/q", "k": marker, "b": 1 };
    scene.due().insert_many((1..20).map(strange)).await.unwrap();
    scene.due().insert_one(doc! { "p_q": "no queue" }).await.unwrap();
    let step = doc! { "$set": { "c.v": 20 } };
    scene.queues().update_one(doc! { "p_q": "p/q" }, step).await.unwrap();
    let ids = post_some(&driver, 1).await;
    assert_eq!(due_behind(&driver, 0).await, [(20, ids[0])]);
    assert_eq!(driver.deliveries().queues(None, 10).await.unwrap(), [key("q")]);
}
