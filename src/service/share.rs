//! Pre-signed URLs: lending a queue to somebody without a token.

use super::{Result, Service};
use crate::model::QueueKey;

/// What to sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareRequest {
    /// Sub-resources of the queue; `messages` if empty.
    pub paths: Vec<String>,
    /// HTTP methods; `GET` if empty.
    pub methods: Vec<String>,
    /// End of the permission, ISO 8601; a day from now if `None`.
    pub expires: Option<String>,
}

/// A permission, and the proof that this service gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUrl {
    /// Absolute paths, sorted.
    pub paths: Vec<String>,
    /// Methods, sorted.
    pub methods: Vec<String>,
    /// `YYYY-MM-DDTHH:MM:SS`, UTC.
    pub expires: String,
    /// Hex HMAC-SHA256.
    pub signature: String,
}

impl Service {
    /// Signs a permission for sub-resources of `queue`, which need not exist.
    pub fn share_queue(&self, queue: &QueueKey, request: ShareRequest) -> Result<SignedUrl> {
        todo!()
    }
}
