//! A channel that remembers whom it told what, and answers as it was told to.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use crate::service::notification::channel::{Channel, Notification, Outcome};

/// The channel.
pub(super) struct Recorder {
    attempts: watch::Sender<Vec<Notification>>,
    outcomes: Mutex<HashMap<String, VecDeque<Outcome>>>,
    /// The one who does not answer.
    hung: watch::Sender<Option<String>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            attempts: watch::Sender::new(Vec::new()),
            outcomes: Mutex::default(),
            hung: watch::Sender::new(None),
        }
    }
}

impl Notification {
    /// The body of the message that it is about.
    pub(super) fn body(&self) -> Value {
        serde_json::from_str::<Value>(&self.document).unwrap()["body"].clone()
    }
}

impl Recorder {
    /// The first attempts, once there are so many.
    pub(super) async fn told(&self, count: usize) -> Vec<Notification> {
        let mut attempts = self.attempts.subscribe();
        attempts.wait_for(|all| all.len() >= count).await.unwrap()[..count].to_vec()
    }

    /// How many attempts there were.
    pub(super) fn count(&self) -> usize {
        self.attempts.borrow().len()
    }

    /// The next attempts with that subscriber have these outcomes; all others succeed.
    pub(super) fn answer(&self, subscriber: &str, outcomes: &[Outcome]) {
        let outcomes = outcomes.iter().cloned();
        self.outcomes.lock().unwrap().entry(subscriber.to_owned()).or_default().extend(outcomes);
    }

    /// From now on this subscriber does not answer.
    pub(super) fn hang(&self, subscriber: Option<&str>) {
        self.hung.send_replace(subscriber.map(str::to_owned));
    }
}

#[async_trait]
impl Channel for Recorder {
    fn target(&self, subscriber: &str) -> String {
        subscriber.split('/').nth(2).unwrap_or_default().to_owned()
    }

    async fn deliver(&self, notification: &Notification) -> Outcome {
        self.attempts.send_modify(|all| all.push(notification.clone()));
        let subscriber = &notification.subscriber;
        let mut hung = self.hung.subscribe();
        hung.wait_for(|hung| hung.as_ref() != Some(subscriber)).await.unwrap();
        let mut outcomes = self.outcomes.lock().unwrap();
        let outcome = outcomes.get_mut(subscriber).and_then(VecDeque::pop_front);
        outcome.unwrap_or(Outcome::Delivered)
    }
}
