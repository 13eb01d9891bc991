//! The dispatcher over a store in memory and a channel that does as it is told, by a
//! clock that only moves when told to.

mod confirmations;
mod crowds;
mod failures;
mod order;
mod recorder;
mod store;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::recorder::Recorder;
use self::store::Store;
use super::channel::Notification;
use super::{Channels, Dispatcher};
use crate::clock::Clock;
use crate::config::{DEFAULTS, Settings};
use crate::model::{Body, Subscription, SubscriptionId};
use crate::service::Service;
use crate::service::tests::fake::{NOW, queue, subscription};
use crate::storage::Storage;

/// A server that tells subscribers.
struct Scene {
    store: Arc<Store>,
    recorder: Arc<Recorder>,
    service: Arc<Service>,
    clock: Clock,
    dispatcher: Option<Dispatcher>,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings: Settings = toml::from_str(DEFAULTS).unwrap();
        change(&mut settings);
        let (store, recorder) = (Arc::new(Store::default()), Arc::new(Recorder::default()));
        let storage = Storage { control: store.fake.clone(), data: store.clone() };
        let clock = Clock::manual(NOW);
        let channel = Arc::clone(&recorder);
        let channels = Channels::new(move |_| channel.clone());
        let service = Service::new(storage, clock.clone(), &settings);
        let service = Arc::new(service.with_channels(Arc::new(channels)));
        Self { store, recorder, service, clock, dispatcher: None }
    }

    /// A subscription that tells that URI, confirmed or not.
    fn subscribe(&self, number: u64, uri: &str) -> SubscriptionId {
        self.subscribe_as(Subscription { subscriber: uri.to_owned(), ..subscription(number) })
    }

    fn subscribe_as(&self, subscription: Subscription) -> SubscriptionId {
        let id = subscription.id;
        self.store.put(subscription);
        id
    }

    /// Makes a message due, as a post would.
    fn post(&self, body: &str) {
        self.store.post(Body::from(body), NOW, 300);
    }

    fn start(&mut self) {
        self.dispatcher = Some(Dispatcher::with(&self.service, Duration::MAX));
    }

    /// The bodies of the first attempts, once there are so many.
    async fn told(&self, count: usize) -> Vec<Value> {
        let told = self.recorder.told(count).await;
        told.iter().map(Notification::body).collect()
    }

    /// Completes when nobody is in anybody's hands.
    async fn idle(&self) {
        self.store.until(|store| store.subscriptions.values().all(|it| it.hold.is_none())).await;
    }

    async fn stop(mut self) {
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.stop().await;
        }
    }

    /// Gives the queue this metadata.
    fn configure(&self, metadata: Value) {
        self.store.fake.put_queue(&queue("q"), metadata);
    }
}
