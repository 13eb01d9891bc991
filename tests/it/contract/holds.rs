//! Promises about who delivers what is due: one worker at a time.

use std::collections::BTreeSet;

use nusku::model::{NewSubscription, QueueKey, SubscriptionId, WorkerId};
use nusku::storage::{Delivery, Failure, Progress, TakeOrder};

use super::deliveries::{ALL, HOLD, done, due, due_ids, make, new, subscribe, take, take_one};
use super::{Store, key, within};

/// A queue with one subscription and so many messages that are due.
async fn with_due(store: &Store, count: usize) -> (QueueKey, SubscriptionId) {
    let queue = store.make("q").await;
    let id = subscribe(store, &queue, "http://a").await;
    store.post_many(&queue, count).await;
    (queue, id)
}

fn ids(taken: &[Delivery]) -> Vec<SubscriptionId> {
    taken.iter().map(|it| it.subscription.id).collect()
}

async fn note(
    store: &Store,
    queue: &QueueKey,
    id: SubscriptionId,
    worker: WorkerId,
    progress: Progress,
) -> bool {
    let noted = store.deliveries().note(queue, id, worker, progress, None, HOLD, store.now);
    noted.await.unwrap()
}

async fn release(
    store: &Store,
    queue: &QueueKey,
    id: SubscriptionId,
    worker: WorkerId,
    marker: u64,
) -> bool {
    store.deliveries().release(queue, id, worker, done(marker), store.now).await.unwrap()
}

pub async fn a_taken_subscription_is_held(mut store: Store) {
    let (queue, id) = with_due(&store, 1).await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    let expected = store.subscriptions().get(&queue, id, store.now).await.unwrap();
    let taken = take_one(&store, &queue, worker).await;
    assert_eq!(taken.subscription, expected);
    assert_eq!(taken.progress, done(taken.progress.done), "no attempt was made yet");
    store.pass(HOLD - 1);
    assert_eq!(take(&store, &queue, other).await, []);
    assert_eq!(take(&store, &queue, worker).await, [], "not twice by the same one either");
    store.pass(1);
    assert_eq!(ids(&take(&store, &queue, other).await), [id]);
}

pub async fn a_note_keeps_the_progress_and_extends_the_hold(mut store: Store) {
    let (queue, id) = with_due(&store, 3).await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    take_one(&store, &queue, worker).await;
    let marker = due(&store, &queue, 0).await[1].marker;
    store.pass(HOLD - 1);
    let progress = Progress { done: marker, attempts: 4, next_attempt: store.now.plus(9) };
    assert!(note(&store, &queue, id, worker, progress).await);
    store.pass(HOLD - 1);
    assert_eq!(take(&store, &queue, other).await, []);
    store.pass(1);
    assert_eq!(take_one(&store, &queue, other).await.progress, progress);
}

pub async fn who_lost_the_hold_notes_nothing(mut store: Store) {
    let (queue, id) = with_due(&store, 2).await;
    let (slow, quick) = (WorkerId::random(), WorkerId::random());
    let first = take_one(&store, &queue, slow).await.progress;
    let last = due(&store, &queue, 0).await[1].marker;
    store.pass(HOLD);
    assert!(!note(&store, &queue, id, slow, done(last)).await, "its time was over");
    assert!(!release(&store, &queue, id, slow, last).await);
    assert_eq!(take_one(&store, &queue, quick).await.progress, first);
    assert!(!note(&store, &queue, id, slow, done(last)).await, "it is another one's");
    assert!(!release(&store, &queue, id, slow, last).await);
    assert!(!note(&store, &queue, id, WorkerId::random(), done(last)).await);
    assert_eq!(take(&store, &queue, slow).await, [], "it is still held");
    assert!(!note(&store, &key("other"), id, quick, done(last)).await, "not in that queue");
    store.pass(HOLD);
    assert_eq!(take_one(&store, &queue, quick).await.progress, first, "nothing was noted");
}

pub async fn a_release_lets_go_unless_more_came(store: Store) {
    let (queue, id) = with_due(&store, 2).await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    take_one(&store, &queue, worker).await;
    let last = due(&store, &queue, 0).await[1].marker;
    let more = store.post(&queue, &["more"]).await;
    assert!(release(&store, &queue, id, worker, last).await, "more came");
    assert_eq!(take(&store, &queue, other).await, [], "so it stays held");
    assert_eq!(due_ids(&store, &queue, last).await, more);
    let last = due(&store, &queue, last).await[0].marker;
    assert!(note(&store, &queue, id, worker, done(last)).await);
    assert!(!release(&store, &queue, id, worker, last).await);
    assert_eq!(take(&store, &queue, other).await, [], "nothing is left");
    assert!(!note(&store, &queue, id, worker, done(last)).await, "it was let go");
    let next = store.post(&queue, &["next"]).await;
    let taken = take_one(&store, &queue, other).await;
    assert_eq!(due_ids(&store, &queue, taken.progress.done).await, next);
}

pub async fn a_release_keeps_the_progress(mut store: Store) {
    let (queue, id) = with_due(&store, 3).await;
    let worker = WorkerId::random();
    take_one(&store, &queue, worker).await;
    let marker = due(&store, &queue, 0).await[1].marker;
    let progress = Progress { done: marker, attempts: 1, next_attempt: store.now.plus(5) };
    let released = store.deliveries().release(&queue, id, worker, progress, store.now).await;
    assert_eq!(released, Ok(true));
    store.pass(HOLD);
    assert_eq!(take_one(&store, &queue, worker).await.progress, progress);
}

pub async fn subscriptions_are_taken_page_by_page(store: Store) {
    let (queue, other) = (store.make("q").await, store.make("other").await);
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(subscribe(&store, &queue, &format!("http://{number}")).await);
        subscribe(&store, &other, &format!("http://{number}")).await;
    }
    store.post(&queue, &["a"]).await;
    let worker = WorkerId::random();
    let page = async |behind, limit| {
        let order = TakeOrder { worker, behind, limit, hold: HOLD };
        ids(&store.deliveries().take(&queue, order, store.now).await.unwrap())
    };
    assert_eq!(page(Some(made[3]), 2).await, made[4..6]);
    assert_eq!(page(None, 2).await, made[..2]);
    store.subscriptions().delete(&queue, made[1]).await.unwrap();
    assert_eq!(
        page(Some(made[1]), 3).await,
        [made[2], made[3], made[6]],
        "behind one that is gone"
    );
    assert!(page(None, ALL).await.is_empty());
    assert_eq!(take(&store, &other, worker).await, []);
}

pub async fn who_is_past_everything_is_not_taken(store: Store) {
    let queue = store.make("q").await;
    let (quick, slow) = (
        subscribe(&store, &queue, "http://quick").await,
        subscribe(&store, &queue, "http://slow").await,
    );
    store.post_many(&queue, 2).await;
    let (worker, last) = (WorkerId::random(), due(&store, &queue, 0).await[1].marker);
    assert_eq!(ids(&take(&store, &queue, worker).await), [quick, slow]);
    assert!(!release(&store, &queue, quick, worker, last).await);
    store.deliveries().drop_hold(&queue, slow, worker).await.unwrap();
    assert_eq!(ids(&take(&store, &queue, worker).await), [slow]);
}

pub async fn an_ended_subscription_is_out_of_all_hands(mut store: Store) {
    let queue = store.make("q").await;
    let short = make(&store, &queue, NewSubscription { ttl: 10, ..new("http://short") }).await;
    let deleted = subscribe(&store, &queue, "http://deleted").await;
    let worker = WorkerId::random();
    store.post_many(&queue, 2).await;
    let first = due(&store, &queue, 0).await[0].marker;
    assert_eq!(take(&store, &queue, worker).await.len(), 2);
    store.subscriptions().delete(&queue, deleted).await.unwrap();
    store.pass(10);
    for id in [short, deleted] {
        assert!(!note(&store, &queue, id, worker, done(first)).await);
        assert!(!release(&store, &queue, id, worker, first).await);
        store.deliveries().drop_hold(&queue, id, worker).await.unwrap();
    }
    store.pass(HOLD);
    assert_eq!(take(&store, &queue, worker).await, []);
    // Who comes back is somebody else.
    subscribe(&store, &queue, "http://deleted").await;
    assert_eq!(take(&store, &queue, worker).await, []);
}

pub async fn a_bound_subscription_is_taken_by_its_worker_alone(mut store: Store) {
    let queue = store.make("q").await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    let bound = NewSubscription { bound_to: Some(worker), ..new("http://bound") };
    let (bound, free) =
        (make(&store, &queue, bound).await, subscribe(&store, &queue, "http://free").await);
    let shown = store.subscriptions().get(&queue, bound, store.now).await.unwrap();
    assert_eq!(shown.bound_to, Some(worker));
    store.post(&queue, &["a"]).await;
    assert_eq!(ids(&take(&store, &queue, other).await), [free]);
    assert_eq!(ids(&take(&store, &queue, worker).await), [bound]);
    store.pass(HOLD);
    assert_eq!(ids(&take(&store, &queue, other).await), [free], "not even when its hold is over");
}

pub async fn a_dropped_hold_is_free_at_once(store: Store) {
    let (queue, id) = with_due(&store, 2).await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    take_one(&store, &queue, worker).await;
    let progress = Progress { attempts: 2, ..done(due(&store, &queue, 0).await[0].marker) };
    assert!(note(&store, &queue, id, worker, progress).await);
    store.deliveries().drop_hold(&queue, id, other).await.unwrap();
    assert_eq!(take(&store, &queue, other).await, [], "nobody else can let go of it");
    store.deliveries().drop_hold(&queue, id, worker).await.unwrap();
    assert_eq!(take_one(&store, &queue, other).await.progress, progress);
}

pub async fn the_last_failure_is_kept(mut store: Store) {
    let (queue, id) = with_due(&store, 3).await;
    let worker = WorkerId::random();
    take_one(&store, &queue, worker).await;
    let deliveries = store.deliveries();
    assert_eq!(deliveries.last_failure(&queue, id).await, Ok(None));
    let due = due(&store, &queue, 0).await;
    let failure = |number: usize, reason: &str| {
        Some(Failure { at: store.now, message: due[number].id, reason: reason.to_owned() })
    };
    for (number, failure) in
        [failure(0, "It answered 500."), None, failure(2, "Nobody \"answers\": é.")]
            .into_iter()
            .enumerate()
    {
        let before = deliveries.last_failure(&queue, id).await.unwrap();
        let progress = done(due[number].marker);
        let noted =
            deliveries.note(&queue, id, worker, progress, failure.clone(), HOLD, store.now).await;
        assert_eq!(noted, Ok(true));
        assert_eq!(deliveries.last_failure(&queue, id).await, Ok(failure.or(before)));
    }
    let kept = failure(2, "Nobody \"answers\": é.");
    assert!(!release(&store, &queue, id, worker, due[2].marker).await);
    let late = deliveries.note(&queue, id, worker, done(0), failure(1, "x"), HOLD, store.now);
    assert_eq!(late.await, Ok(false));
    assert_eq!(deliveries.last_failure(&key("other"), id).await, Ok(None));
    store.reopen().await;
    assert_eq!(store.deliveries().last_failure(&queue, id).await, Ok(kept));
    store.subscriptions().delete(&queue, id).await.unwrap();
    assert_eq!(store.deliveries().last_failure(&queue, id).await, Ok(None));
}

pub async fn of_many_takers_each_subscription_has_one(store: Store) {
    let queue = store.make("q").await;
    let mut made = BTreeSet::new();
    for number in 0..40 {
        made.insert(subscribe(&store, &queue, &format!("http://{number}")).await);
    }
    store.post(&queue, &["a"]).await;
    let takers: Vec<_> = (0..8)
        .map(|_| {
            let (store, queue) = (store.clone(), queue.clone());
            tokio::spawn(async move {
                let (worker, mut taken) = (WorkerId::random(), Vec::new());
                let order = TakeOrder { worker, behind: None, limit: 3, hold: HOLD };
                loop {
                    let page = store.deliveries().take(&queue, order, store.now).await.unwrap();
                    taken.extend(ids(&page));
                    if page.len() < 3 {
                        return taken;
                    }
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(within(taker).await.unwrap());
    }
    assert_eq!(taken.len(), made.len(), "none is taken twice");
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), made, "none is left over");
}

/// Posts and releases come at the same time; whatever a release did not tell of
/// can be taken.
pub async fn no_post_slips_past_a_release(store: Store) {
    let (queue, id) = with_due(&store, 1).await;
    let posting = tokio::spawn({
        let (store, queue) = (store.clone(), queue.clone());
        async move {
            let mut posted = Vec::new();
            for _ in 0..30 {
                posted.extend(store.post_many(&queue, 2).await);
            }
            posted
        }
    });
    let mut told = Vec::new();
    let mut is_last_round = false;
    loop {
        let worker = WorkerId::random();
        for taken in take(&store, &queue, worker).await {
            let mut last = taken.progress.done;
            loop {
                for it in due(&store, &queue, last).await {
                    last = it.marker;
                    told.push(it.id);
                }
                if !release(&store, &queue, id, worker, last).await {
                    break;
                }
            }
        }
        if is_last_round {
            break;
        }
        is_last_round = posting.is_finished();
    }
    let posted = within(posting).await.unwrap();
    assert_eq!(told[1..], posted, "each once, in order");
}
