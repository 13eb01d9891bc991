//! Gaps in the markers that a Zaqar may still fill.

use mongodb::bson::doc;
use nusku::config::MongodbDriverName::{Fifo, Plain};
use nusku::model::{ListQuery, Timestamp};
use nusku::storage::{ClaimController, MessageController};

use super::{Scene, zaqars};
use crate::contract::{bodies, client, everything, key, order, plain};
use crate::support::START;

/// Seconds.
const HOLD_BACK: u32 = 3;

impl Scene {
    /// A Zaqar has taken two markers and inserted the second message only.
    async fn with_a_gap(&self) {
        let step = doc! { "$inc": { "c.v": 2 }, "$set": { "c.t": START.seconds() } };
        self.queues().update_one(doc! { "p_q": "p/q" }, step).await.unwrap();
        self.messages().insert_one(zaqars(2, 0)).await.unwrap();
    }

    /// What a process sees that has just started.
    async fn seen(&self, now: Timestamp) -> Vec<String> {
        let driver = self.driver().await;
        bodies(&driver.list(&key("q"), &everything(), now).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_before_a_gap_that_may_be_filled() {
    let scene = Scene::with(Plain, HOLD_BACK).await;
    scene.with_a_gap().await;
    assert!(scene.seen(START).await.is_empty());
    scene.messages().insert_one(zaqars(1, 0)).await.unwrap();
    assert_eq!(scene.seen(START).await, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_given_up_in_time() {
    let scene = Scene::with(Plain, HOLD_BACK).await;
    scene.with_a_gap().await;
    assert!(scene.seen(START.plus(HOLD_BACK - 1)).await.is_empty());
    assert_eq!(scene.seen(START.plus(HOLD_BACK)).await, ["2"]);
}

/// The counter says how old the gap is, if the messages behind it are young.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_as_old_as_the_counter_behind_it() {
    let scene = Scene::with(Plain, HOLD_BACK).await;
    let step = doc! { "$set": { "c": { "v": 8, "t": START.seconds() } } };
    scene.queues().update_one(doc! { "p_q": "p/q" }, step).await.unwrap();
    let driver = scene.driver().await;
    let later = START.plus(HOLD_BACK);
    driver.list(&key("q"), &everything(), later).await.unwrap();
    driver.post(&key("q"), &client(0), vec![plain("8")], later).await.unwrap();
    let all = driver.list(&key("q"), &everything(), later).await.unwrap();
    assert_eq!(bodies(&all), ["8"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_messages_that_are_gone_leave_no_gap() {
    let scene = Scene::with(Plain, HOLD_BACK).await;
    let driver = scene.driver().await;
    let new = ["1", "2", "3"].map(plain).to_vec();
    let ids = driver.post(&key("q"), &client(0), new, START).await.unwrap();
    MessageController::delete(&*driver, &key("q"), ids[1], None, START).await.unwrap();
    let all = driver.list(&key("q"), &everything(), START).await.unwrap();
    assert_eq!(bodies(&all), ["1", "3"]);
    assert_eq!(scene.seen(START).await, ["1"], "another process does not know");
}

/// More than are looked at together, and none of them is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_full_even_when_most_are_left_out() {
    let scene = Scene::with(Plain, HOLD_BACK).await;
    let driver = scene.driver().await;
    let new = (1..=350).map(|number| plain(&number.to_string())).collect();
    driver.post(&key("q"), &client(0), new, START).await.unwrap();
    let claim = ClaimController::create(&*driver, &key("q"), &order(340), START).await.unwrap();
    assert_eq!(claim.unwrap().messages.len(), 340);
    let query = ListQuery { limit: 3, include_claimed: false, ..everything() };
    let page = driver.list(&key("q"), &query, START).await.unwrap();
    assert_eq!(bodies(&page), ["341", "342", "343"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_held_back_where_messages_come_in_order() {
    let scene = Scene::with(Fifo, HOLD_BACK).await;
    scene.with_a_gap().await;
    assert_eq!(scene.seen(START).await, ["2"]);
}
