//! Messages: post, list, get, delete, pop.

use super::{Field, Result, Service};
use crate::model::{ClientId, JsonText, Message, MessageId, QueueKey};

/// A message as a client sent it, before any rule was applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Seconds to live.
    pub ttl: Field,
    /// Seconds until it can be claimed.
    pub delay: Field,
    /// The body; `None` if the message has none (which is an error).
    pub body: Option<JsonText>,
}

/// How large the body of a post may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostSize {
    /// What the server allows.
    pub configured: u64,
    /// What the queue allows, if it says so.
    pub queue: Option<u64>,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageListing {
    /// Where to start, as the client sent it.
    pub marker: Option<String>,
    /// Page size; the default of 10 if `None`.
    pub limit: Option<i64>,
    /// Include the caller's own messages.
    pub echo: bool,
    /// Include claimed ones.
    pub include_claimed: bool,
    /// Include delayed ones.
    pub include_delayed: bool,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePage {
    /// By ascending marker.
    pub messages: Vec<Message>,
    /// Whether delayed ones were listed, asked for or not.
    pub include_delayed: bool,
}

impl Service {
    /// How large a post to this queue may be.
    pub async fn post_size(&self, queue: &QueueKey) -> Result<PostSize> {
        todo!()
    }

    /// Posts all of `drafts` or none, making the queue if need be.
    pub async fn post_messages(
        &self,
        queue: &QueueKey,
        client: &ClientId,
        drafts: Vec<Draft>,
    ) -> Result<Vec<MessageId>> {
        todo!()
    }

    /// A page of the queue.
    pub async fn list_messages(
        &self,
        queue: &QueueKey,
        client: &ClientId,
        listing: MessageListing,
    ) -> Result<MessagePage> {
        todo!()
    }

    /// One message.
    pub async fn get_message(&self, queue: &QueueKey, id: &str) -> Result<Message> {
        todo!()
    }

    /// Those of the messages that are there, by ascending id.
    pub async fn get_messages(&self, queue: &QueueKey, ids: &[String]) -> Result<Vec<Message>> {
        todo!()
    }

    /// Deletes one message, see [`crate::storage::MessageController::delete`].
    pub async fn delete_message(
        &self,
        queue: &QueueKey,
        id: &str,
        claim: Option<&str>,
    ) -> Result<()> {
        todo!()
    }

    /// Deletes several messages; `claims` counts only with
    /// `message_delete_with_claim_id`.
    pub async fn delete_messages(
        &self,
        queue: &QueueKey,
        ids: &[String],
        claims: Option<&[String]>,
    ) -> Result<()> {
        todo!()
    }

    /// Removes and returns up to `count` messages.
    pub async fn pop_messages(
        &self,
        queue: &QueueKey,
        count: i64,
        claims: Option<&[String]>,
    ) -> Result<Vec<Message>> {
        todo!()
    }
}
