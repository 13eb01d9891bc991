//! Several drivers on one store, as several processes have: every call goes to
//! the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use nusku::model::Timestamp;
use nusku::storage::{
    ClaimController, Collected, DataDriver, DeliveryController, MessageController, Result, Storage,
    SubscriptionController, Volume, Watcher,
};

use super::Harness;

/// Opens what `H` opens, so many times over.
pub struct Crowd<H> {
    pub harness: H,
    pub size: usize,
}

#[async_trait]
impl<H: Harness> Harness for Crowd<H> {
    async fn open(&mut self) -> Storage {
        let mut members = vec![self.harness.open().await];
        while members.len() < self.size {
            members.push(self.harness.open().await);
        }
        let control = Arc::clone(&members[0].control);
        let members = members.into_iter().map(|member| member.data).collect();
        Storage { control, data: Arc::new(InTurn { members, turn: AtomicUsize::new(0) }) }
    }
}

struct InTurn {
    members: Vec<Arc<dyn DataDriver>>,
    turn: AtomicUsize,
}

impl InTurn {
    fn next(&self) -> &dyn DataDriver {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.members[turn % self.members.len()].as_ref()
    }
}

#[async_trait]
impl DataDriver for InTurn {
    fn messages(&self) -> &dyn MessageController {
        self.next().messages()
    }

    fn claims(&self) -> &dyn ClaimController {
        self.next().claims()
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self.next().subscriptions()
    }

    fn deliveries(&self) -> &dyn DeliveryController {
        self.next().deliveries()
    }

    fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        self.members.iter().for_each(|member| member.announce_to(Arc::clone(&watcher)));
    }

    async fn ping(&self) -> Result<()> {
        self.next().ping().await
    }

    async fn gc(&self, now: Timestamp) -> Result<Collected> {
        self.next().gc(now).await
    }

    async fn volume(&self, now: Timestamp) -> Result<Volume> {
        self.next().volume(now).await
    }

    async fn close(&self) {
        for member in &self.members {
            member.close().await;
        }
    }
}
