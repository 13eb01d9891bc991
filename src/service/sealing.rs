//! From what stores keep to what clients posted.

use super::{Error, Result, Service};
use crate::model::{Body, Claim, Message, ProjectId, StoredClaim, StoredMessage};
use crate::storage;

impl Service {
    /// The message with its body as it was posted.
    pub(super) fn open(&self, _project: &ProjectId, message: StoredMessage) -> Result<Message> {
        match message.body.clone() {
            Body::Json(text) => Ok(message.with_body(text)),
            Body::Sealed(_) => Err(Error::Storage(storage::Error::Unavailable(
                "there is no key for a sealed body".to_owned(),
            ))),
        }
    }

    /// The same for several.
    pub(super) fn open_all(
        &self,
        project: &ProjectId,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<Message>> {
        messages.into_iter().map(|message| self.open(project, message)).collect()
    }

    /// The same for those of a claim.
    pub(super) fn open_claim(&self, project: &ProjectId, claim: StoredClaim) -> Result<Claim> {
        let StoredClaim { id, ttl, expires, messages } = claim;
        Ok(Claim { id, ttl, expires, messages: self.open_all(project, messages)? })
    }
}
