//! What becomes of a notification that could not be delivered: a reason that is kept,
//! a line in the log, and a dead letter if its queue has a queue for them.

use super::telling::{Halt, Telling};
use crate::model::{ClientId, QueueKey, Subscription};
use crate::service::check::MESSAGE_TTL_MIN;
use crate::service::metadata::QueueOptions;
use crate::service::notification::document;
use crate::service::{Draft, Error, Field};
use crate::storage::Failure;

/// Seconds until a dead letter queue that fails is tried again.
const PAUSE: u32 = 5;

/// Who posts dead letters: no client.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

impl Telling {
    /// Gives up, after as many attempts as there were. `document` is what the
    /// subscriber was to be told, if anybody can read it.
    pub(super) async fn give_up(
        &self,
        subscription: &Subscription,
        document: Option<String>,
        reason: String,
    ) -> Result<Failure, Halt> {
        let (queue, message, attempts) =
            (self.subject.queue(), self.message.id, self.trouble.attempts);
        tracing::warn!(
            project.id = %queue.project,
            queue.name = %queue.name,
            subscription.id = %subscription.id,
            message.id = %message,
            attempts,
            %reason,
            "a subscriber was not told of a message"
        );
        let failure = Failure { at: self.shared.service.now(), message, reason };
        if let Some(document) = document {
            self.bury(subscription, &document, &failure).await?;
        }
        Ok(failure)
    }

    /// Posts a dead letter, if there is a queue for it. While the store fails, it is
    /// tried again: nothing is given up for that.
    async fn bury(
        &self,
        subscription: &Subscription,
        document: &str,
        failure: &Failure,
    ) -> Result<(), Halt> {
        loop {
            let error = match self.post_dead_letter(subscription, document, failure).await {
                Ok(()) => return Ok(()),
                Err(Error::Storage(error)) => error,
                Err(error) => {
                    self.log_unburied(&error.to_string());
                    return Ok(());
                }
            };
            self.log_unburied(&error.to_string());
            self.shared.patiently(self.shared.service.clock.sleep(PAUSE)).await?;
        }
    }

    async fn post_dead_letter(
        &self,
        subscription: &Subscription,
        document: &str,
        failure: &Failure,
    ) -> Result<(), Error> {
        let (service, queue) = (&self.shared.service, self.subject.queue());
        let metadata = service.storage.control.queues().metadata(queue).await?;
        let options = QueueOptions::new(metadata.as_deref(), &service.limits);
        let Some((name, ttl)) = options.undeliverable().filter(|(name, _)| *name != queue.name)
        else {
            return Ok(());
        };
        let body = service.open_body(queue, self.message.id, &self.message.body)?;
        if document::is_dead_letter(&body) {
            return Ok(());
        }
        let letter = document::dead_letter(document, subscription, failure, self.trouble.attempts);
        let Some(letter) = letter else {
            self.log_unburied("it is nested too deeply");
            return Ok(());
        };
        let left = u32::try_from(self.expires().since(service.now())).unwrap_or(u32::MAX);
        let ttl = ttl.unwrap_or(left).clamp(MESSAGE_TTL_MIN, service.limits.max_message_ttl);
        let draft =
            Draft { ttl: Field::Integer(ttl.into()), delay: Field::Missing, body: Some(letter) };
        let graveyard = QueueKey { project: queue.project.clone(), name };
        let nobody = ClientId::parse_any(NOBODY);
        service.post_drafts(&graveyard, &nobody, vec![draft]).await?;
        Ok(())
    }

    fn log_unburied(&self, reason: &str) {
        let queue = self.subject.queue();
        tracing::error!(
            project.id = %queue.project,
            queue.name = %queue.name,
            message.id = %self.message.id,
            %reason,
            "a notification that was given up could not be put into the dead letter queue"
        );
    }
}
