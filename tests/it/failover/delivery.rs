//! What subscribers are told while the database is struck: every message that was
//! acknowledged, in order, and again only what could not be noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nusku::model::{SubscriptionId, WorkerId};
use nusku::storage::{Delivery, DueMessage, Progress, Subscribed, TakeOrder};
use tokio::time::sleep;

use super::load::Stage;
use crate::contract::new_subscription;
use crate::observers::checker::Sight;

/// Seconds that a worker holds a subscription.
const HOLD: u32 = 30;

/// Looks that find nobody telling anything, in the end, before holds are given up.
const MOST_LOOKS: u32 = 100;

/// What the subscribers were told so far.
#[derive(Default)]
pub struct Told(Mutex<BTreeMap<SubscriptionId, Vec<Sight>>>);

impl Told {
    fn tell(&self, id: SubscriptionId, message: &DueMessage) {
        let text = serde_json::from_slice(message.body.as_bytes()).unwrap();
        let sight = Sight { marker: message.marker, text };
        self.0.lock().unwrap().get_mut(&id).unwrap().push(sight);
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Whether everybody was told of all of these.
    fn is_complete(&self, acknowledged: &BTreeSet<String>) -> bool {
        self.0.lock().unwrap().values().all(|told| {
            let told: BTreeSet<_> = told.iter().map(|sight| &sight.text).collect();
            acknowledged.iter().all(|text| told.contains(text))
        })
    }

    /// What each subscriber was told, every message when it came for the first time,
    /// and how many came again.
    pub fn sights(&self) -> (Vec<Vec<Sight>>, usize) {
        let (mut all, mut repeated) = (Vec::new(), 0);
        for told in self.0.lock().unwrap().values() {
            let mut seen = BTreeSet::new();
            let first: Vec<_> =
                told.iter().filter(|sight| seen.insert(sight.marker)).cloned().collect();
            repeated += told.len() - first.len();
            all.push(first);
        }
        (all, repeated)
    }
}

impl Stage {
    /// Makes subscriptions that outlive everything.
    pub async fn subscribe(&self, count: usize) {
        for number in 0..count {
            let mut new = new_subscription(&format!("http://{number}"));
            new.ttl = 1_000_000_000;
            let subscriptions = self.drivers[0].data.subscriptions();
            let made = subscriptions.create(&self.queue, new, self.clock.now()).await.unwrap();
            let Subscribed::New(id) = made else { panic!("there is {made:?}") };
            self.told.0.lock().unwrap().insert(id, Vec::new());
        }
    }

    /// Tells whoever nobody else tells, until everybody was told of everything.
    pub async fn deliver(&self, number: usize) {
        let worker = WorkerId::random();
        let deliveries = self.drivers[number].data.deliveries();
        let order = TakeOrder { worker, behind: None, limit: 1, hold: HOLD };
        let (mut before, mut looks) = (0, 0);
        loop {
            let is_last = self.is_production_over();
            if is_last && self.told.is_complete(&self.ledger.acknowledged()) {
                return;
            }
            let take = deliveries.take(&self.queue, order, self.clock.now());
            let taken = self.ask(number, take, |_| false).await.unwrap_or_default();
            let told = self.told.count();
            looks = if told == before { looks + 1 } else { 0 };
            before = told;
            if is_last && looks == MOST_LOOKS {
                // Somebody may hold what nobody knows to be held.
                self.clock.advance(HOLD.into());
                looks = 0;
            }
            for delivery in taken {
                self.tell(number, worker, delivery).await;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tells one subscriber, until there is nothing more or somebody else does.
    async fn tell(&self, number: usize, worker: WorkerId, delivery: Delivery) {
        let deliveries = self.drivers[number].data.deliveries();
        let (id, mut last) = (delivery.subscription.id, delivery.progress.done);
        let done = |marker| Progress { done: marker, ..Progress::default() };
        loop {
            let due = deliveries.due(&self.queue, last, 20);
            let Some(due) = self.ask(number, due, |_| false).await else { continue };
            for message in &due {
                self.told.tell(id, message);
                last = message.marker;
            }
            let now = self.clock.now();
            let note = deliveries.note(&self.queue, id, worker, done(last), None, HOLD, now);
            if self.ask(number, note, |_| false).await == Some(false) {
                return;
            }
            if due.is_empty() {
                let now = self.clock.now();
                let release = deliveries.release(&self.queue, id, worker, done(last), now);
                if self.ask(number, release, |_| false).await != Some(true) {
                    return;
                }
            }
        }
    }

    fn is_production_over(&self) -> bool {
        self.producing.load(Ordering::SeqCst) == 0
    }
}
