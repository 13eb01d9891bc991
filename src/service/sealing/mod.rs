//! Bodies at rest: sealed on their way into a store, opened on their way out.
//!
//! Whether a body is opened depends on what it is, not on the queue's option of
//! the day: a queue may hold both kinds. One that cannot be opened, for want of
//! its key or because it was altered, must not hide the others: pages and claims
//! leave it out and the log tells of it; only who asks for that very message
//! gets an error. It stays in the store, so that it is there again with its key.

mod envelope;
mod keyring;
mod pop;
mod unpickle;
mod zaqar;

pub(super) use keyring::Keyring;
pub(super) use zaqar::json as zaqar_body;

use super::checksum::checksum;
use super::metadata::no_encryption;
use super::{Error, Result, Service};
use crate::model::{
    Body, Claim, JsonText, Message, MessageId, ProjectId, QueueKey, StoredClaim, StoredMessage,
};
use crate::storage;

impl Service {
    /// The body as it shall lie in the store of a queue that wants it sealed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no key: to keep it readable would
    /// betray whoever relies on the option.
    pub(super) fn seal(&self, project: &ProjectId, body: &JsonText) -> Result<Body> {
        match self.keyring.seal(project, body) {
            Ok(Some(sealed)) => Ok(Body::Sealed(sealed)),
            Ok(None) => Err(Error::InvalidRequest(no_encryption())),
            Err(_) => Err(Error::Storage(storage::Error::Unavailable(
                "the system gives no random numbers to seal a body with".to_owned(),
            ))),
        }
    }

    /// The message with its body as it was posted.
    ///
    /// # Errors
    ///
    /// [`Error::MessageIsUnreadable`]; why has been logged.
    pub(super) fn open(&self, queue: &QueueKey, message: StoredMessage) -> Result<Message> {
        let text = self.open_body(queue, message.id, &message.body)?;
        if matches!(message.body, Body::Json(_)) {
            return Ok(message.with_body(text));
        }
        // None is stored: the checksum of a short text is as good as the text.
        let checksum = if self.enable_checksum { checksum(&text) } else { None };
        Ok(Message { checksum, ..message.with_body(text) })
    }

    /// The body of that message as it was posted.
    ///
    /// # Errors
    ///
    /// [`Error::MessageIsUnreadable`]; why has been logged.
    pub(super) fn open_body(
        &self,
        queue: &QueueKey,
        id: MessageId,
        body: &Body,
    ) -> Result<JsonText> {
        let sealed = match body {
            Body::Json(text) => return Ok(text.clone()),
            Body::Sealed(sealed) => sealed,
        };
        self.keyring.open(&queue.project, sealed).map_err(|reason| {
            tracing::error!(
                project.id = %queue.project,
                queue.name = %queue.name,
                message.id = %id,
                %reason,
                "a message cannot be decrypted"
            );
            Error::MessageIsUnreadable(id)
        })
    }

    /// Those of several that can be read.
    pub(super) fn open_all(&self, queue: &QueueKey, messages: Vec<StoredMessage>) -> Vec<Message> {
        messages.into_iter().filter_map(|message| self.open(queue, message).ok()).collect()
    }

    /// A claim with what can be read of it. The rest is claimed as well, until
    /// the claim ends or the dead letter queue takes it.
    pub(super) fn open_claim(&self, queue: &QueueKey, claim: StoredClaim) -> Claim {
        let StoredClaim { id, ttl, expires, messages } = claim;
        Claim { id, ttl, expires, messages: self.open_all(queue, messages) }
    }
}
