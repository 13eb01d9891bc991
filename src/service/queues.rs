//! Queues: create, read, change, list, delete, count, purge.

use serde_json::{Map, Value};

use super::{Result, Service};
use crate::model::{Metadata, MetadataFilter, ProjectId, QueueKey, QueueName, Stats};

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
    /// Names, and the shown metadata (defaults included) if asked for.
    pub queues: Vec<(QueueName, Option<Map<String, Value>>)>,
    /// All queues of the project, if asked for.
    pub count: Option<u64>,
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
    /// Makes a queue; `false` if it exists, which leaves its metadata alone.
    pub async fn create_queue(&self, queue: &QueueKey, metadata: Metadata) -> Result<bool> {
        todo!()
    }

    /// The metadata as shown: stored entries, then reserved ones with their
    /// defaults where missing or falsy. A missing queue shows the defaults.
    pub async fn queue_metadata(&self, queue: &QueueKey) -> Result<Map<String, Value>> {
        todo!()
    }

    /// Applies `changes` in order, all or none; returns the metadata as shown.
    pub async fn update_queue(
        &self,
        queue: &QueueKey,
        changes: Vec<MetadataChange>,
    ) -> Result<Map<String, Value>> {
        todo!()
    }

    /// Removes a queue and its messages.
    pub async fn delete_queue(&self, queue: &QueueKey) -> Result<()> {
        todo!()
    }

    /// A page of the project's queues.
    pub async fn list_queues(
        &self,
        project: &ProjectId,
        listing: QueueListing,
    ) -> Result<QueuePage> {
        todo!()
    }

    /// Counts the messages of a queue.
    pub async fn queue_stats(&self, queue: &QueueKey) -> Result<Stats> {
        todo!()
    }

    /// Empties a queue.
    pub async fn purge_queue(&self, queue: &QueueKey, targets: PurgeTargets) -> Result<()> {
        todo!()
    }
}
