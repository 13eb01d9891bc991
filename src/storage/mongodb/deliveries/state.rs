//! How far a subscription is: a document of nusku's own in Zaqar's record of the
//! subscription, of which a Zaqar takes no notice. So it changes in one step with
//! what it says of the subscription, and goes with it, whoever ends that.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocument, doc};

use crate::model::{MessageId, Timestamp, WorkerId};
use crate::storage::mongodb::document::{field, int};
use crate::storage::mongodb::wire::{Element, Value};
use crate::storage::{Failure, Progress};

/// The field of the record.
pub const STATE: &str = "nusku";
/// Done with every message up to this marker.
pub const DONE: &str = "nusku.done";
/// Who has hold of the subscription.
pub const WORKER: &str = "nusku.worker";
/// Until when, in seconds.
pub const UNTIL: &str = "nusku.until";
/// What tells one taking hold from another.
pub const TAKE: &str = "nusku.take";
/// The only worker that can tell the subscriber.
pub const BOUND_TO: &str = "nusku.bound_to";
/// Why the subscriber was not told of a message.
pub const FAILURE: &str = "nusku.failure";

/// The state of a new subscription.
pub fn new(done: i64, bound_to: Option<WorkerId>) -> Document {
    let mut state = doc! { "done": int(done) };
    if let Some(worker) = bound_to {
        state.insert("bound_to", worker_id(worker));
    }
    state
}

/// A worker as documents name it.
pub fn worker_id(worker: WorkerId) -> Bson {
    let bytes = worker.as_uuid().as_bytes().to_vec();
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes })
}

/// A marker as documents have it.
pub fn marker(marker: u64) -> Bson {
    int(i64::try_from(marker).unwrap_or(i64::MAX))
}

/// Passes what this worker holds.
pub fn held_by(worker: WorkerId, now: Timestamp) -> Document {
    doc! { WORKER: worker_id(worker), UNTIL: { "$gt": now.seconds() } }
}

/// The fields that say how far a subscription is.
pub fn progress_fields(progress: Progress) -> Document {
    doc! {
        DONE: marker(progress.done),
        "nusku.attempts": int(progress.attempts.into()),
        "nusku.next_attempt": int(progress.next_attempt.seconds()),
    }
}

/// What is kept of a failure.
pub fn failure_document(failure: &Failure) -> Document {
    doc! {
        "at": int(failure.at.seconds()),
        "message": ObjectId::from_bytes(failure.message.bytes()),
        "reason": &failure.reason,
    }
}

/// A field of the state in a record.
fn state_field<'a>(record: &'a RawDocument, name: &str) -> Option<Value<'a>> {
    let mut fields = field(record, STATE)?.elements()?.map_while(Result::ok);
    fields.find(|Element { name: found, .. }| *found == name.as_bytes()).map(|it| it.value)
}

/// How far the subscription is; `None` if nobody has looked after it yet, as after
/// a Zaqar has made it.
pub fn progress(record: &RawDocument) -> Option<Progress> {
    let number = |name| state_field(record, name).and_then(Value::integer);
    Some(Progress {
        done: u64::try_from(number("done")?).unwrap_or(0),
        attempts: number("attempts").and_then(|it| u32::try_from(it).ok()).unwrap_or(0),
        next_attempt: Timestamp::from_seconds(number("next_attempt").unwrap_or(0)),
    })
}

/// The only worker that can tell the subscriber.
pub fn bound_to(record: &RawDocument) -> Option<WorkerId> {
    let bytes = state_field(record, "bound_to")?.binary()?;
    Some(WorkerId::from_uuid(uuid::Uuid::from_slice(bytes).ok()?))
}

/// Why the subscriber was not told of a message the last time that happened.
pub fn failure(record: &RawDocument) -> Option<Failure> {
    let (mut at, mut message, mut reason) = (None, None, None);
    for Element { name, value } in state_field(record, "failure")?.elements()?.map_while(Result::ok)
    {
        match name {
            b"at" => at = value.integer(),
            b"message" => message = value.object_id(),
            b"reason" => reason = value.text(),
            _ => {}
        }
    }
    Some(Failure {
        at: Timestamp::from_seconds(at?),
        message: MessageId::from_bytes(message?),
        reason: reason?.to_owned(),
    })
}
