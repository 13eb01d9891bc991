//! Collecting what expired or was deleted with its queue, and counting what is there.

use super::error::OpResult;
use super::store::Store;
use crate::model::Timestamp;
use crate::storage::{Collected, Volume};

/// See [`crate::storage::DataDriver::gc`].
pub async fn slice(_store: &Store, _now: Timestamp) -> OpResult<Collected> {
    Ok(Collected::default())
}

/// See [`crate::storage::DataDriver::volume`].
pub async fn volume(_store: &Store, _now: Timestamp) -> OpResult<Volume> {
    Ok(Volume::default())
}
