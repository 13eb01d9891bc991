//! Popping what can be read.
//!
//! What is popped is gone, so nothing may be popped that nobody can read: a
//! sealed body is opened first, while its message is still in the store, and
//! then just that message is popped. Readable bodies, nearly all there are, take
//! the store one step, as if there were no others.

use crate::model::{ListQuery, Marker, Message, MessageId, QueueKey};
use crate::service::metadata::QueueOptions;
use crate::service::{Result, Service};

/// How often a page is looked at that others pop from at the same time. Who
/// loses so often gets what is there, if anything.
const LOOKS: usize = 16;

impl Service {
    /// Removes and returns up to `limit` messages that can be read and that no
    /// live claim holds, by ascending marker. The others stay where they are.
    ///
    /// # Errors
    ///
    /// If the store fails before it gave anything out.
    pub(in crate::service) async fn pop_readable(
        &self,
        queue: &QueueKey,
        limit: u32,
    ) -> Result<Vec<Message>> {
        let metadata = self.storage.control.queues().metadata(queue).await?;
        let popped = if QueueOptions::new(metadata.as_deref(), &self.limits).encrypts() {
            Vec::new()
        } else {
            let popped = self.storage.data.messages().pop(queue, limit, self.now()).await?;
            self.open_all(queue, popped)
        };
        let wanted = (limit as usize).saturating_sub(popped.len());
        if wanted == 0 {
            return Ok(popped);
        }
        let mut popping = Popping { service: self, queue, wanted, popped };
        match popping.look_and_pop().await {
            // What was popped before is gone from the store: it must be told.
            Err(error) if popping.popped.is_empty() => Err(error),
            Err(error) => {
                tracing::warn!(queue.name = %queue.name, %error, "a pop ended early");
                Ok(popping.popped)
            }
            Ok(()) => Ok(popping.popped),
        }
    }
}

/// A pop under way that looks at messages before it takes them.
struct Popping<'a> {
    service: &'a Service,
    queue: &'a QueueKey,
    /// How many are still wanted.
    wanted: usize,
    popped: Vec<Message>,
}

impl Popping<'_> {
    async fn look_and_pop(&mut self) -> Result<()> {
        let (mut behind, mut looks) = (None, 0);
        while self.wanted > 0 {
            let Page { readable, last } = self.look(behind).await?;
            let Some(last) = last else { return Ok(()) };
            looks += 1;
            if self.pop(readable).await? || looks >= LOOKS {
                behind = Some(Marker::Position(last));
                looks = 0;
            }
        }
        Ok(())
    }

    /// The next messages that are free, those of them that can be read apart.
    async fn look(&self, behind: Option<Marker>) -> Result<Page> {
        let query = ListQuery {
            marker: behind,
            limit: u32::try_from(self.wanted).unwrap_or(u32::MAX),
            without: None,
            include_claimed: false,
            include_delayed: true,
        };
        let messages = self.service.storage.data.messages();
        let found = messages.list(self.queue, &query, self.service.now()).await?;
        let last = found.last().map(|message| message.marker);
        Ok(Page { readable: self.service.open_all(self.queue, found), last })
    }

    /// Takes these; tells whether nobody else was quicker with any of them.
    async fn pop(&mut self, readable: Vec<Message>) -> Result<bool> {
        let ids: Vec<MessageId> = readable.iter().map(|message| message.id).collect();
        if ids.is_empty() {
            return Ok(true);
        }
        let messages = self.service.storage.data.messages();
        let won = messages.pop_these(self.queue, &ids, self.service.now()).await?;
        self.wanted = self.wanted.saturating_sub(won.len());
        self.popped.extend(readable.into_iter().filter(|message| won.contains(&message.id)));
        Ok(won.len() == ids.len())
    }
}

/// What a look found.
struct Page {
    readable: Vec<Message>,
    /// The marker of the last message, readable or not; `None` if there was none.
    last: Option<u64>,
}
