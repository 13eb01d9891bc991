//! The reserved keys of queue metadata: their rules, their defaults and their
//! effect.
//!
//! Rules hold for what clients send. What is stored may be older than the
//! rules, or written by Zaqar, so whoever reads it here takes any JSON: a value
//! that makes no sense counts as not set. An explicit null is not set either.

use serde_json::{Map, Value};

use super::check::{MESSAGE_TTL_MIN, message_ttl_sentence, within};
use super::messages::PostSize;
use super::python::{integer, is_falsy};
use super::retry_policy;
use crate::config::Limits;
use crate::model::{DeadLetter, Metadata, QueueKind, QueueName};

const MAX_MESSAGES_POST_SIZE: &str = "_max_messages_post_size";
const DEFAULT_MESSAGE_TTL: &str = "_default_message_ttl";
const DEFAULT_MESSAGE_DELAY: &str = "_default_message_delay";
const DEAD_LETTER_QUEUE: &str = "_dead_letter_queue";
const DEAD_LETTER_QUEUE_MESSAGES_TTL: &str = "_dead_letter_queue_messages_ttl";
const MAX_CLAIM_COUNT: &str = "_max_claim_count";
const ENABLE_ENCRYPT_MESSAGES: &str = "_enable_encrypt_messages";
const RETRY_POLICY: &str = "_retry_policy";
const FLAVOR: &str = "_flavor";

/// The keys that every topic has, stored or not: all that means something where
/// there are no claims and Zaqar encrypts nothing.
const RESERVED_IN_TOPICS: [&str; 3] =
    [MAX_MESSAGES_POST_SIZE, DEFAULT_MESSAGE_TTL, DEFAULT_MESSAGE_DELAY];

/// The keys that every queue has, stored or not, in the order in which Zaqar
/// shows them. `_flavor` and `_retry_policy` have no default and are not among
/// them.
const RESERVED: [&str; 7] = [
    MAX_MESSAGES_POST_SIZE,
    DEFAULT_MESSAGE_TTL,
    DEFAULT_MESSAGE_DELAY,
    DEAD_LETTER_QUEUE,
    DEAD_LETTER_QUEUE_MESSAGES_TTL,
    MAX_CLAIM_COUNT,
    ENABLE_ENCRYPT_MESSAGES,
];

/// What a reserved key shows when nothing is stored under it.
fn default_of(key: &str, limits: &Limits) -> Value {
    match key {
        MAX_MESSAGES_POST_SIZE => limits.max_messages_post_size.into(),
        DEFAULT_MESSAGE_TTL => limits.default_message_ttl.into(),
        DEFAULT_MESSAGE_DELAY => limits.default_message_delay.into(),
        ENABLE_ENCRYPT_MESSAGES => false.into(),
        _ => Value::Null,
    }
}

fn reserved(kind: QueueKind) -> &'static [&'static str] {
    match kind {
        QueueKind::Queue => &RESERVED,
        QueueKind::Topic => &RESERVED_IN_TOPICS,
    }
}

/// Whether every queue, or every topic, has this key, stored or not.
pub(super) fn is_reserved(kind: QueueKind, key: &str) -> bool {
    reserved(kind).contains(&key)
}

/// The metadata as clients see it: what is stored, with the defaults where a
/// reserved key is missing or falsy (a stored `_max_claim_count` of 0 shows as
/// null, as in Zaqar).
pub(super) fn shown(
    kind: QueueKind,
    stored: Option<&Metadata>,
    limits: &Limits,
) -> Map<String, Value> {
    let mut shown = stored.map(|stored| stored.entries().clone()).unwrap_or_default();
    for &key in reserved(kind) {
        let value = shown.entry(key).or_insert(Value::Null);
        if is_falsy(value) {
            *value = default_of(key, limits);
        }
    }
    shown
}

/// The flavor that the queue asks for, if it does. It means something only where
/// there are pools.
pub(super) fn flavor(metadata: &Metadata) -> Option<&Value> {
    metadata.entries().get(FLAVOR).filter(|value| !is_falsy(value))
}

/// Checks the reserved keys, in Zaqar's order.
///
/// # Errors
///
/// The sentence about the first key that breaks its rule.
pub(super) fn validate(
    metadata: &Metadata,
    limits: &Limits,
    can_encrypt: bool,
) -> Result<(), String> {
    let entries = metadata.entries();
    let (ttl_min, ttl_max) = (MESSAGE_TTL_MIN, limits.max_message_ttl);
    ranged(entries, DEFAULT_MESSAGE_TTL, ttl_min.into(), ttl_max.into(), || {
        format!(
            "{DEFAULT_MESSAGE_TTL} can not exceed {ttl_max} seconds, \
             and must be at least {ttl_min} seconds long."
        )
    })?;
    let size_max = limits.max_messages_post_size;
    ranged(entries, MAX_MESSAGES_POST_SIZE, 1, size_max, || {
        // The two blanks are Zaqar's.
        format!(
            "{MAX_MESSAGES_POST_SIZE} can not exceed {size_max},  \
             and must be at least greater than 0."
        )
    })?;
    let claim_count = entries.get(MAX_CLAIM_COUNT).unwrap_or(&Value::Null);
    if !is_falsy(claim_count) && integer(claim_count).is_none() {
        return Err(not_an_integer(MAX_CLAIM_COUNT));
    }
    ranged(entries, DEAD_LETTER_QUEUE_MESSAGES_TTL, ttl_min.into(), ttl_max.into(), || {
        message_ttl_sentence(ttl_max)
    })?;
    let delay_max = limits.max_message_delay;
    ranged(entries, DEFAULT_MESSAGE_DELAY, 0, delay_max.into(), || {
        format!("The TTL can not exceed {delay_max} seconds, and must be at least 0 seconds long.")
    })?;
    let encryption = entries.get(ENABLE_ENCRYPT_MESSAGES).unwrap_or(&Value::Null);
    check_encryption(encryption, can_encrypt)?;
    retry_policy::validate(entries.get(RETRY_POLICY).unwrap_or(&Value::Null))
}

/// The metadata to store. What makes a dead letter rule is left out if its value
/// says "none" in so many words: Zaqar, which may serve the same queue, asks only
/// whether the keys are there, and then fails to claim from the queue, or moves
/// messages to where nobody finds them.
pub(super) fn to_store(mut metadata: Metadata) -> Metadata {
    metadata.entries_mut().retain(|key, value| match key.as_str() {
        MAX_CLAIM_COUNT => !is_falsy(value) || integer(value).is_some(),
        DEAD_LETTER_QUEUE => !is_falsy(value),
        _ => true,
    });
    metadata
}

/// An integer of `min..=max`. Python's empty things, which Zaqar stumbles over
/// here, are of the wrong type; its other falsy values count as 0.
fn ranged(
    entries: &Map<String, Value>,
    key: &str,
    min: u64,
    max: u64,
    out_of_range: impl FnOnce() -> String,
) -> Result<(), String> {
    let value = match entries.get(key) {
        None | Some(Value::Null) => return Ok(()),
        Some(value) if value.as_f64() == Some(0.0) => 0,
        Some(value) => integer(value).ok_or_else(|| not_an_integer(key))?,
    };
    let fits = u64::try_from(value).is_ok_and(|value| (min..=max).contains(&value));
    if fits { Ok(()) } else { Err(out_of_range()) }
}

fn not_an_integer(key: &str) -> String {
    format!("{key} must be integer.")
}

/// Without a key encryption cannot be switched on: to take the option and keep
/// messages in the clear would betray whoever relies on it.
fn check_encryption(value: &Value, can_encrypt: bool) -> Result<(), String> {
    match value {
        Value::Bool(true) if !can_encrypt => Err(no_encryption()),
        Value::Bool(true) => Ok(()),
        value if is_falsy(value) => Ok(()),
        _ => Err(format!("{ENABLE_ENCRYPT_MESSAGES} must be boolean.")),
    }
}

/// What is said where encryption is wanted and there is no key.
pub(super) fn no_encryption() -> String {
    format!(
        "{ENABLE_ENCRYPT_MESSAGES} is not available: this server has no key in its setting \
         encryption.keys."
    )
}

/// What the reserved keys of one queue amount to. A queue that does not exist
/// has the options of one without metadata.
#[derive(Clone, Copy)]
pub(super) struct QueueOptions<'a> {
    stored: Option<&'a Metadata>,
    limits: &'a Limits,
}

impl<'a> QueueOptions<'a> {
    /// The options of a queue with this metadata.
    pub(super) fn new(stored: Option<&'a Metadata>, limits: &'a Limits) -> Self {
        Self { stored, limits }
    }

    /// Seconds that a message lives if it does not say. Not yet checked: the
    /// limit may have become smaller since the value was stored.
    pub(super) fn message_ttl(&self) -> i64 {
        self.truthy_integer(DEFAULT_MESSAGE_TTL).unwrap_or(self.limits.default_message_ttl.into())
    }

    /// Seconds that a message is delayed if it does not say, unchecked like
    /// [`Self::message_ttl`]. `None` if there are no delays in this queue; the
    /// server's own default is for show only, as in Zaqar.
    pub(super) fn message_delay(&self) -> Option<i64> {
        self.truthy_integer(DEFAULT_MESSAGE_DELAY)
    }

    /// Whether bodies are encrypted at rest.
    pub(super) fn encrypts(&self) -> bool {
        self.get(ENABLE_ENCRYPT_MESSAGES).is_some_and(|value| !is_falsy(value))
    }

    /// How large a post may be.
    pub(super) fn post_size(&self) -> PostSize {
        let queue = self.truthy_integer(MAX_MESSAGES_POST_SIZE);
        PostSize {
            configured: self.limits.max_messages_post_size,
            queue: queue.and_then(|size| u64::try_from(size).ok()),
        }
    }

    /// The dead-lettering rule, if both of its keys are set. Without the valid
    /// name of a queue there is none: no message gets lost to a nameless queue.
    pub(super) fn dead_letter(&self) -> Option<DeadLetter> {
        let max_claim_count = self.get(MAX_CLAIM_COUNT).and_then(integer)?;
        let (queue, ttl) = self.undeliverable()?;
        Some(DeadLetter { max_claim_count, queue, ttl })
    }

    /// Where notifications go that were given up, and the seconds they live there, if
    /// the queue says so.
    pub(super) fn undeliverable(&self) -> Option<(QueueName, Option<u32>)> {
        let queue = self.get(DEAD_LETTER_QUEUE)?.as_str().and_then(QueueName::parse)?;
        let ttl = self.truthy_integer(DEAD_LETTER_QUEUE_MESSAGES_TTL);
        Some((queue, ttl.and_then(|ttl| within(ttl, 1, u32::MAX))))
    }

    /// How notifications are tried again, unless the subscription says so.
    pub(super) fn retry_policy(&self) -> Option<&'a Value> {
        self.get(RETRY_POLICY)
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.stored?.entries().get(key)
    }

    fn truthy_integer(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(integer).filter(|&value| value != 0)
    }
}
