//! A driver and the model, taking the same steps.

mod delivering;

use std::collections::BTreeSet;

use nusku::model::{
    ClaimOrder, DeadLetter, ListQuery, Marker, MessageId, Metadata, NewMessage, ProjectId,
    QueueFilter, QueueKey, QueueKind,
};
use serde_json::json;

use super::names::{Checked, Names, Pair, differs, same};
use super::steps::{Burial, From, Life, Listing, Pick, QUEUES, Step, Terms};
use crate::contract::{Harness, Model, Store, client, everything, key_of, plain};

/// The two stores and how they name what they share.
pub struct Lockstep {
    driver: Store,
    model: Store,
    names: Names,
    posted: u32,
}

/// Calls the same method of both stores.
macro_rules! both {
    ($self:ident, $store:ident => $call:expr) => {{
        let driver = {
            let $store = &$self.driver;
            $call
        };
        let model = {
            let $store = &$self.model;
            $call
        };
        (driver, model)
    }};
}

fn queue_of(number: usize) -> QueueKey {
    key_of(if number < 3 { "p" } else { "other" }, ["a", "b", "c", "a"][number])
}

impl Lockstep {
    pub async fn start(harness: impl Harness + 'static) -> Self {
        let (driver, model) = (Store::open(harness).await, Store::open(Model::fresh()).await);
        let started = Self { driver, model, names: Names::default(), posted: 0 };
        // Two queues are there from the start, so that short histories do something.
        for number in 0..2 {
            started.driver.make_at(&queue_of(number)).await;
            started.model.make_at(&queue_of(number)).await;
        }
        started
    }

    /// Takes one step on both sides and compares the answers.
    pub async fn take(&mut self, step: &Step) -> Checked {
        match step {
            Step::Create(_) | Step::DeleteQueue(_) | Step::SetMetadata(..) => {
                self.record(step).await
            }
            Step::Post { queue, client, messages } => {
                self.post(&queue_of(*queue), *client, messages).await
            }
            Step::List { queue, listing } => self.list(&queue_of(*queue), listing).await,
            Step::Get { queue, messages } => self.get(&queue_of(*queue), messages).await,
            Step::Delete { queue, message, claim } => {
                self.delete(&queue_of(*queue), *message, *claim).await
            }
            Step::DeleteMany { queue, messages, claims } => {
                self.delete_many(&queue_of(*queue), messages, claims.as_deref()).await
            }
            Step::Pop { queue, limit } => self.pop(&queue_of(*queue), *limit).await,
            Step::Purge(queue) => self.purge(&queue_of(*queue)).await,
            Step::Claim { queue, terms, limit, include_delayed, burial } => {
                let order = order(*terms, *limit, *include_delayed, *burial);
                self.claim(&queue_of(*queue), &order).await
            }
            Step::GetClaim { queue, claim } => self.get_claim(&queue_of(*queue), *claim).await,
            Step::Renew { queue, claim, terms } => {
                self.renew(&queue_of(*queue), *claim, *terms).await
            }
            Step::Release { queue, claim } => self.release(&queue_of(*queue), *claim).await,
            Step::Subscribe { queue, subscriber, ttl } => {
                self.subscribe(&queue_of(*queue), *subscriber, *ttl).await
            }
            Step::Unsubscribe { queue, subscriber } => {
                self.unsubscribe(&queue_of(*queue), *subscriber).await
            }
            Step::Deliver { queue, count } => self.deliver(&queue_of(*queue), *count).await,
            Step::Pass(seconds) => {
                self.driver.pass(*seconds);
                self.model.pass(*seconds);
                Ok(())
            }
            Step::Gc => {
                self.driver.gc().await;
                self.model.gc().await;
                self.compare_all().await
            }
            Step::Restart => {
                self.driver.reopen().await;
                self.model.reopen().await;
                self.compare_all().await
            }
        }
    }

    /// Compares all that is left, now and when everything has run out.
    pub async fn finish(&mut self) -> Checked {
        self.compare_all().await?;
        self.take(&Step::Pass(59)).await?;
        self.compare_all().await?;
        self.take(&Step::Pass(1000)).await?;
        self.take(&Step::Gc).await?;
        self.nothing_is_due().await
    }

    async fn record(&self, step: &Step) -> Checked {
        match step {
            Step::Create(number) => {
                let queue = queue_of(*number);
                let made =
                    both!(self, it => it.queues().create(&queue, &Metadata::default()).await);
                same("created", made.0, made.1)
            }
            Step::DeleteQueue(number) => {
                let queue = queue_of(*number);
                let gone = both!(self, it => it.queues().delete(&queue).await);
                same("deleted", gone.0, gone.1)
            }
            Step::SetMetadata(number, value) => {
                let queue = queue_of(*number);
                let metadata = |value: u8| {
                    let entries = json!({ "value": value }).as_object().cloned();
                    entries.filter(|_| value > 0).map(Metadata::new).unwrap_or_default()
                };
                let (old, new) = (metadata(value / 2), metadata(*value));
                let set = both!(self, it => it.queues().set_metadata(&queue, &old, &new).await);
                same("metadata set", set.0, set.1)
            }
            _ => Ok(()),
        }
    }

    async fn post(&mut self, queue: &QueueKey, who: u128, lives: &[Life]) -> Checked {
        let mut messages = Vec::new();
        for life in lives {
            self.posted += 1;
            let (ttl, delay) = (life.ttl, life.delay);
            messages.push(NewMessage { ttl, delay, ..plain(&self.posted.to_string()) });
        }
        let who = client(who);
        let posted = both!(self, it => {
            it.messages().post(queue, &who, messages.clone(), it.now).await
        });
        match posted {
            (Ok(driver), Ok(model)) => self.names.posted(queue, &driver, &model),
            (driver, model) => {
                same("posted", driver.map(|ids| ids.len()), model.map(|ids| ids.len()))
            }
        }
    }

    async fn list(&mut self, queue: &QueueKey, listing: &Listing) -> Checked {
        let from = match listing.from {
            From::Start => None,
            From::Marker(pick) => {
                self.names.marker(queue, pick).map(|it| pair_of(it, Marker::Position))
            }
            From::Message(pick) => self.present(queue, pick).await,
            From::End => {
                let end = Marker::Position(u64::MAX);
                Some(Pair { driver: end, model: end })
            }
        };
        let query = ListQuery {
            marker: None,
            limit: listing.limit,
            without: listing.without.map(client),
            include_claimed: listing.include_claimed,
            include_delayed: listing.include_delayed,
        };
        let with = |marker| ListQuery { marker, ..query.clone() };
        let driver = self.driver.list(queue, &with(from.map(|it| it.driver))).await;
        let model = self.model.list(queue, &with(from.map(|it| it.model))).await;
        self.names.same_messages("listed", queue, driver, &model)
    }

    /// A message that is in the queue, as a marker.
    async fn present(&self, queue: &QueueKey, pick: Pick) -> Option<Pair<Marker>> {
        let name = self.names.message(queue, pick)?;
        let there = self.model.get(queue, name.model).await;
        there.map(|_| pair_of(name, Marker::Message))
    }

    async fn get(&mut self, queue: &QueueKey, picks: &[Pick]) -> Checked {
        let ids = self.messages(queue, picks);
        let driver = self.driver.messages().get(queue, &ids.driver, self.driver.now).await;
        let model = self.model.messages().get(queue, &ids.model, self.model.now).await;
        let (mut driver, mut model) = (driver.unwrap(), model.unwrap());
        if !driver.is_sorted_by_key(|message| message.id) {
            return differs(format!("got in another order than that of the ids: {driver:#?}"));
        }
        // Each by its own ids, which sort differently.
        driver.sort_unstable_by_key(|message| message.marker);
        model.sort_unstable_by_key(|message| message.marker);
        self.names.same_messages("got", queue, driver, &model)
    }

    fn messages(&self, queue: &QueueKey, picks: &[Pick]) -> Pair<Vec<MessageId>> {
        let pairs = picks.iter().filter_map(|&pick| self.names.message(queue, pick));
        let (driver, model) = pairs.map(|pair| (pair.driver, pair.model)).unzip();
        Pair { driver, model }
    }

    async fn delete(&self, queue: &QueueKey, message: Pick, claim: Option<Pick>) -> Checked {
        let Some(id) = self.names.message(queue, message) else { return Ok(()) };
        let claim = match claim {
            // Its own claim, if it has one, or any.
            Some(pick) if pick.is_multiple_of(2) => {
                let message = self.model.get(queue, id.model).await;
                message.and_then(|it| it.claim).and_then(|claim| self.names.pair_of_claim(claim))
            }
            other => other.and_then(|pick| self.names.claim(pick)),
        };
        let (now, driver) = (self.driver.now, self.driver.messages());
        let driver = driver.delete(queue, id.driver, claim.map(|it| it.driver), now).await;
        let model = self.model.messages();
        let model = model.delete(queue, id.model, claim.map(|it| it.model), now).await;
        self.names.same_answer("deleted", driver, &model)
    }

    async fn delete_many(
        &self,
        queue: &QueueKey,
        messages: &[Pick],
        claims: Option<&[Pick]>,
    ) -> Checked {
        let ids = self.messages(queue, messages);
        let claims = claims.map(|picks| {
            let pairs = picks.iter().filter_map(|&pick| self.names.claim(pick));
            let (driver, model): (Vec<_>, Vec<_>) =
                pairs.map(|pair| (pair.driver, pair.model)).unzip();
            Pair { driver, model }
        });
        let now = self.driver.now;
        let named = claims.as_ref().map(|claims| &claims.driver[..]);
        let driver = self.driver.messages().delete_many(queue, &ids.driver, named, now).await;
        let named = claims.as_ref().map(|claims| &claims.model[..]);
        let model = self.model.messages().delete_many(queue, &ids.model, named, now).await;
        self.names.same_answer("deleted", driver, &model)
    }

    async fn pop(&mut self, queue: &QueueKey, limit: u32) -> Checked {
        let popped = both!(self, it => it.messages().pop(queue, limit, it.now).await.unwrap());
        self.names.same_messages("popped", queue, popped.0, &popped.1)
    }

    async fn purge(&self, queue: &QueueKey) -> Checked {
        let purged = both!(self, it => it.messages().purge(queue, it.now).await);
        same("purged", purged.0, purged.1)
    }

    async fn claim(&mut self, queue: &QueueKey, order: &ClaimOrder) -> Checked {
        match both!(self, it => it.try_claim(queue, order).await) {
            (None, None) => Ok(()),
            (Some(driver), Some(model)) => {
                self.names.claimed(driver.id, model.id)?;
                self.names.same_claim(queue, Ok(driver), Ok(model))
            }
            (driver, model) => differs(format!("claimed: {driver:#?}, the model {model:#?}")),
        }
    }

    async fn get_claim(&mut self, queue: &QueueKey, pick: Pick) -> Checked {
        let Some(id) = self.names.claim(pick) else { return Ok(()) };
        let driver = self.driver.claims().get(queue, id.driver, self.driver.now).await;
        let model = self.model.claims().get(queue, id.model, self.model.now).await;
        self.names.same_claim(queue, driver, model)
    }

    async fn renew(&self, queue: &QueueKey, pick: Pick, Terms { ttl, grace }: Terms) -> Checked {
        let Some(id) = self.names.claim(pick) else { return Ok(()) };
        let now = self.driver.now;
        let driver = self.driver.claims().renew(queue, id.driver, ttl, grace, now).await;
        let model = self.model.claims().renew(queue, id.model, ttl, grace, now).await;
        self.names.same_answer("renewed", driver, &model)
    }

    async fn release(&self, queue: &QueueKey, pick: Pick) -> Checked {
        let Some(id) = self.names.claim(pick) else { return Ok(()) };
        let now = self.driver.now;
        let driver = self.driver.claims().release(queue, id.driver, now).await;
        let model = self.model.claims().release(queue, id.model, now).await;
        self.names.same_answer("released", driver, &model)
    }

    async fn compare_all(&mut self) -> Checked {
        for number in 0..QUEUES {
            let queue = queue_of(number);
            let due = ListQuery { include_delayed: false, ..everything() };
            let shown = both!(self, it => it.list(&queue, &due).await);
            self.names.same_messages("all that is due", &queue, shown.0, &shown.1)?;
            let all = both!(self, it => it.all(&queue).await);
            self.names.same_messages("all messages", &queue, all.0, &all.1)?;
            self.deliver(&queue, 0).await?;
            let stats = both!(self, it => it.stats(&queue).await);
            self.names.same_stats(&stats.0, &stats.1)?;
            let metadata = both!(self, it => it.queues().metadata(&queue).await);
            same("the metadata", metadata.0, metadata.1)?;
        }
        for project in ["p", "other"] {
            let project = ProjectId::new(project);
            let filter = QueueFilter { limit: 10, ..QueueFilter::default() };
            let listed = both!(self, it => it.queues().list(&project, &filter).await);
            same("the queues", listed.0, listed.1)?;
            let counted = both!(self, it => it.queues().count(&project, QueueKind::Queue).await);
            same("the number of queues", counted.0, counted.1)?;
        }
        let volume = both!(self, it => it.data().volume(it.now).await);
        same("the volume", volume.0, volume.1)?;
        self.check_claims_are_disjoint().await
    }

    /// No message is in two live claims.
    async fn check_claims_are_disjoint(&self) -> Checked {
        let (store, mut held) = (&self.driver, BTreeSet::new());
        for number in 0..QUEUES {
            for claim in self.names.claims() {
                let claim = store.claims().get(&queue_of(number), claim.driver, store.now).await;
                for message in claim.map(|claim| claim.messages).unwrap_or_default() {
                    if !held.insert(message.id) {
                        return differs(format!("{} is in two claims", message.id));
                    }
                }
            }
        }
        Ok(())
    }
}

fn pair_of<T, U>(pair: Pair<T>, wrap: impl Fn(T) -> U) -> Pair<U> {
    Pair { driver: wrap(pair.driver), model: wrap(pair.model) }
}

fn order(
    Terms { ttl, grace }: Terms,
    limit: u32,
    include_delayed: bool,
    burial: Option<Burial>,
) -> ClaimOrder {
    let dead_letter = burial.map(|burial| DeadLetter {
        max_claim_count: burial.max_claim_count,
        queue: queue_of(burial.queue).name,
        ttl: burial.ttl,
    });
    ClaimOrder { ttl, grace, limit, include_delayed, dead_letter }
}
