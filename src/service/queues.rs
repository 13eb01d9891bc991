//! Queues and topics: create, read, change, list, delete, count, purge.
//!
//! What is said of queues here holds for topics too, which are queues of another
//! kind: see [`QueueKind`].

use std::sync::Arc;

use serde_json::{Map, Value};

use super::access::Permit;
use super::access::actions::{
    CreateQueue, DeleteQueue, GetQueue, GetQueueStats, ListQueues, PurgeQueue, UpdateQueue,
};
use super::check::queue_limit;
use super::{Error, Result, Service, metadata};
use crate::model::{
    Metadata, MetadataFilter, Namespace, QueueFilter, QueueKey, QueueKind, QueueName, QueueRecord,
    Stats,
};
use crate::storage;

/// How often an update is tried while others change the same queue.
const UPDATE_TRIES: u32 = 8;

/// One step of a metadata update.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataChange {
    /// Sets a key.
    Add(String, Value),
    /// Sets a key that must be there or be a reserved name.
    Replace(String, Value),
    /// Drops a key that must be there or be a reserved name.
    Remove(String),
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueListing {
    /// Only names behind this text.
    pub marker: Option<String>,
    /// Page size; the default of 10 if `None`.
    pub limit: Option<i64>,
    /// Also return metadata.
    pub detailed: bool,
    /// Return it as it is stored, without the defaults of reserved keys.
    pub as_stored: bool,
    /// Only names that contain this.
    pub name: Option<String>,
    /// Also count all queues of the project.
    pub with_count: bool,
    /// Only queues with this stored metadata.
    pub metadata: Vec<MetadataFilter>,
}

/// A page of queues.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueuePage {
    /// Names, and the metadata if asked for.
    pub queues: Vec<(QueueName, Option<Map<String, Value>>)>,
    /// All queues of the project, if asked for.
    pub count: Option<u64>,
}

/// The messages of a queue, counted, as clients are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShownStats {
    /// The counts.
    pub stats: Stats,
    /// Whether to tell the sum only.
    pub total_only: bool,
}

/// What a purge removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeTargets {
    /// Messages that no claim holds.
    pub messages: bool,
    /// Subscriptions.
    pub subscriptions: bool,
}

impl Service {
    /// Makes a queue; `false` if it exists, which leaves its metadata alone:
    /// the new metadata must be valid all the same.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a reserved key that breaks its rule, and for
    /// an unknown flavor where there are pools; [`storage::Error::Unavailable`]
    /// if no pool takes the queue.
    pub async fn create_queue(
        &self,
        queue: &Permit<CreateQueue>,
        metadata: Metadata,
    ) -> Result<bool> {
        metadata::validate(&metadata, &self.limits, self.keyring.can_seal())
            .map_err(Error::InvalidRequest)?;
        let metadata = metadata::to_store(metadata);
        if let Some(placements) = &self.placements {
            placements.check_flavor(&queue.project, &metadata).await?;
            if placements.is_placed(queue).await? {
                return Ok(false);
            }
        }
        self.make_queue(queue, metadata).await
    }

    /// Makes a queue, in a pool if there are any; `false` if it exists.
    pub(super) async fn make_queue(&self, queue: &QueueKey, metadata: Metadata) -> Result<bool> {
        match &self.placements {
            Some(placements) => placements.create(queue, metadata).await,
            None => Ok(self.storage.control.queues().create(queue, &metadata).await?),
        }
    }

    /// The metadata as shown: stored entries, then reserved ones with their
    /// defaults where missing or falsy. A missing queue shows the defaults.
    pub async fn queue_metadata(&self, queue: &Permit<GetQueue>) -> Result<Map<String, Value>> {
        let stored = self.storage.control.queues().metadata(queue).await?;
        Ok(metadata::shown(queue.name.kind(), stored.as_deref(), &self.limits))
    }

    /// The metadata as it is stored; `None` if there is no such queue.
    pub async fn stored_metadata(&self, queue: &Permit<GetQueue>) -> Result<Option<Arc<Metadata>>> {
        Ok(self.storage.control.queues().metadata(queue).await?)
    }

    /// Applies `changes` in order, all or none; returns the metadata as shown.
    ///
    /// # Errors
    ///
    /// [`storage::Error::QueueDoesNotExist`]; [`Error::Conflict`] for a key
    /// that is not there, and for another flavor while there are messages;
    /// [`Error::InvalidBody`] for a reserved key that would break its rule; [`storage::Error::MetadataChanged`] only if others keep
    /// changing the queue.
    pub async fn update_queue(
        &self,
        queue: &Permit<UpdateQueue>,
        changes: Vec<MetadataChange>,
    ) -> Result<Map<String, Value>> {
        for _ in 1..UPDATE_TRIES {
            match self.try_update(queue, &changes).await {
                Err(Error::Storage(storage::Error::MetadataChanged(_))) => {}
                done => return done,
            }
        }
        self.try_update(queue, &changes).await
    }

    async fn try_update(
        &self,
        queue: &QueueKey,
        changes: &[MetadataChange],
    ) -> Result<Map<String, Value>> {
        let queues = self.storage.control.queues();
        let stored = queues.metadata(queue).await?;
        let stored = stored.ok_or_else(|| storage::Error::QueueDoesNotExist(queue.clone()))?;
        let mut updated = Metadata::clone(&stored);
        for change in changes {
            apply(queue.name.kind(), change, updated.entries_mut())?;
        }
        metadata::validate(&updated, &self.limits, self.keyring.can_seal())
            .map_err(Error::InvalidBody)?;
        let updated = metadata::to_store(updated);
        // Zaqar measures the request only, so that a queue's metadata can grow
        // without end, a change at a time.
        let is_too_large = updated.to_text().len() as u64 > self.limits.max_queue_metadata;
        if is_too_large && updated != *stored {
            return Err(Error::InvalidBody(self.metadata_too_large()));
        }
        // Also if they came to nothing: what the store remembers of the queue may
        // be older than what somebody else has made of it.
        if !changes.is_empty() {
            self.follow_flavor(queue, &stored, &updated).await?;
            queues.set_metadata(queue, &stored, &updated).await?;
            // Delayed messages show where there are no delays any more.
            self.queue_changed(queue);
        }
        Ok(metadata::shown(queue.name.kind(), Some(&updated), &self.limits))
    }

    async fn follow_flavor(
        &self,
        queue: &QueueKey,
        stored: &Metadata,
        updated: &Metadata,
    ) -> Result<()> {
        let Some(placements) = &self.placements else { return Ok(()) };
        placements.follow(queue, stored, updated).await.map_err(|error| match error {
            // All that is wrong with a change is told under one title.
            Error::InvalidRequest(said) => Error::InvalidBody(said),
            error => error,
        })
    }

    /// What a client is told whose queue metadata is larger than
    /// `max_queue_metadata` bytes.
    #[must_use]
    pub fn metadata_too_large(&self) -> String {
        format!("Queue metadata is too large. Max size: {}", self.limits.max_queue_metadata)
    }

    /// Removes a queue and its messages, claimed ones too. Its subscriptions
    /// stay, as in Zaqar: they are to the queue of that name, whenever it is. A
    /// missing queue is no error.
    pub async fn delete_queue(&self, queue: &Permit<DeleteQueue>) -> Result<()> {
        match &self.placements {
            Some(placements) => placements.delete(queue).await,
            None => Ok(self.storage.control.queues().delete(queue).await?),
        }
    }

    /// A page of the project's queues, or of its topics, ascending by the bytes
    /// of their names.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the limit is out of range.
    pub async fn list_queues(
        &self,
        namespace: &Permit<ListQueues>,
        listing: QueueListing,
    ) -> Result<QueuePage> {
        let limit = queue_limit(listing.limit, self.limits.max_queues_per_page)?;
        let Namespace { project, kind } = &**namespace;
        let filter = QueueFilter {
            kind: *kind,
            marker: listing.marker,
            limit,
            name_contains: listing.name,
            metadata: listing.metadata,
        };
        let queues = self.storage.control.queues();
        let records = queues.list(project, &filter).await?;
        let count =
            if listing.with_count { Some(queues.count(project, *kind).await?) } else { None };
        let page = records.into_iter().map(|QueueRecord { name, metadata }| {
            let entries = || {
                if listing.as_stored {
                    return metadata.entries().clone();
                }
                metadata::shown(*kind, Some(&metadata), &self.limits)
            };
            (name, listing.detailed.then(entries))
        });
        Ok(QueuePage { queues: page.collect(), count })
    }

    /// Counts the messages of a queue or topic; a missing one has none. Of a topic
    /// only the total is told, as nothing is ever claimed there; of a missing one
    /// all three, as in Zaqar.
    pub async fn queue_stats(&self, queue: &Permit<GetQueueStats>) -> Result<ShownStats> {
        let stats = self.storage.data.messages().stats(queue, self.now()).await?;
        let total_only = queue.name.kind() == QueueKind::Topic
            && self.storage.control.queues().metadata(queue).await?.is_some();
        Ok(ShownStats { stats, total_only })
    }

    /// The same; `None` if there is no such queue.
    pub async fn stats_of_known_queue(
        &self,
        queue: &Permit<GetQueueStats>,
    ) -> Result<Option<Stats>> {
        match self.storage.control.queues().metadata(queue).await? {
            Some(_) => Ok(Some(self.queue_stats(queue).await?.stats)),
            None => Ok(None),
        }
    }

    /// Empties a queue of messages that no claim holds, and of subscriptions. A missing queue is no error.
    pub async fn purge_queue(
        &self,
        queue: &Permit<PurgeQueue>,
        targets: PurgeTargets,
    ) -> Result<()> {
        if targets.messages {
            self.storage.data.messages().purge(queue, self.now()).await?;
        }
        if targets.subscriptions {
            self.storage.data.subscriptions().purge(queue).await?;
            self.notifications.subscriptions_changed();
        }
        Ok(())
    }
}

/// Applies one step. Replacing or removing asks for a key that is there; the
/// reserved ones always are, stored or not.
fn apply(kind: QueueKind, change: &MetadataChange, entries: &mut Map<String, Value>) -> Result<()> {
    let missing =
        |verb, key: &str| Err(Error::Conflict(format!("Can't {verb} non-existent object {key}.")));
    match change {
        MetadataChange::Replace(key, _)
            if !entries.contains_key(key) && !metadata::is_reserved(kind, key) =>
        {
            return missing("replace", key);
        }
        MetadataChange::Add(key, value) | MetadataChange::Replace(key, value) => {
            entries.insert(key.clone(), value.clone());
        }
        MetadataChange::Remove(key) => {
            if entries.shift_remove(key).is_none() && !metadata::is_reserved(kind, key) {
                return missing("remove", key);
            }
        }
    }
    Ok(())
}
