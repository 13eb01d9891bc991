//! Posting.

use crate::model::{ClientId, MessageId, NewMessage, QueueKey, Timestamp};
use crate::storage::{Error, Result};

use super::Engine;
use super::document::Body;

/// A post on its way.
pub struct Order {
    /// Where to.
    pub queue: QueueKey,
    /// Whose it is.
    pub client: ClientId,
    /// What.
    pub messages: Vec<(NewMessage, Body)>,
    /// When.
    pub now: Timestamp,
}

impl Order {
    /// Makes the bodies ready, in the task of the request.
    pub fn new(
        queue: &QueueKey,
        client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Self> {
        let ready = |message: NewMessage| Ok((Body::new(&message.body)?, message));
        let messages = messages.into_iter().map(|m| ready(m).map(|(b, m)| (m, b)));
        Ok(Self {
            queue: queue.clone(),
            client: client.clone(),
            messages: messages.collect::<Result<_>>()?,
            now,
        })
    }
}

impl Engine {
    /// Posts.
    pub async fn post(&self, order: Order) -> Result<Vec<MessageId>> {
        Err(Error::QueueDoesNotExist(order.queue))
    }
}
