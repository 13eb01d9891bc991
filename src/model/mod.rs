//! The nouns: queues, messages, claims. Every type is valid if it exists.
//!
//! Nothing here knows of HTTP, of a store, or of the current time.

mod claim;
mod id;
mod identity;
mod json;
mod message;
mod queue;
mod time;

pub use claim::{Claim, ClaimOrder, DeadLetter};
pub use id::{ClaimId, ClientId, MalformedClientId, MessageId};
pub use identity::{Identity, ServiceIdentity};
pub use json::{JsonText, MAX_DEPTH, TextFault};
pub use message::{ListQuery, Marker, Message, MessageHead, NewMessage, Stats};
pub use queue::{
    Metadata, MetadataFilter, NotAnObject, ProjectId, QueueFilter, QueueKey, QueueName, QueueRecord,
};
pub use time::Timestamp;
