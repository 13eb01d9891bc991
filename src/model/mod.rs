//! The nouns: queues, messages, claims, subscriptions. Every type is valid if it exists.
//!
//! Nothing here knows of HTTP, of a store, or of the current time.

mod body;
mod claim;
mod id;
mod identity;
mod json;
mod message;
mod pool;
mod queue;
mod secret;
mod subscription;
mod time;

pub use body::{Body, SealedBody};
pub use claim::{Claim, ClaimOrder, DeadLetter, StoredClaim};
pub use id::{ClaimId, ClientId, MalformedClientId, MessageId, SubscriptionId};
pub use identity::{Identity, ServiceIdentity};
pub use json::{JsonText, MAX_DEPTH, TextFault};
pub use message::{ListQuery, Marker, Message, MessageHead, NewMessage, Stats, StoredMessage};
pub use pool::{Capability, Flavor, FlavorName, Placement, Pool, PoolName};
pub use queue::{
    Metadata, MetadataFilter, Namespace, NotAnObject, ProjectId, QueueFilter, QueueKey, QueueKind,
    QueueName, QueueRecord,
};
pub use secret::Secret;
pub use subscription::{NewSubscription, Subscription, SubscriptionChange, WorkerId};
pub use time::Timestamp;
