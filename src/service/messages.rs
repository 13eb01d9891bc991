//! Messages: post, list, get, delete, pop.

use super::access::Permit;
use super::access::actions::{
    DeleteMessage, DeleteMessages, GetMessage, ListMessages, PostMessages,
};
use super::check::{
    MESSAGE_TTL_MIN, message_limit, message_ttl_sentence, too_many_messages, within,
};
use super::checksum::checksum;
use super::metadata::QueueOptions;
use super::{Error, Field, Result, Service, python};
use crate::model::{
    ClaimId, ClientId, JsonText, ListQuery, Marker, Message, MessageId, Metadata, NewMessage,
    QueueKey,
};
use crate::storage;

/// How often a post is tried on a queue that somebody else keeps deleting.
const POST_TRIES: u32 = 4;

/// A message as a client sent it, before any rule was applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Seconds to live.
    pub ttl: Field,
    /// Seconds until it can be claimed.
    pub delay: Field,
    /// The body; `None` if the message has none (which is an error).
    pub body: Option<JsonText>,
}

/// How large the body of a post may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostSize {
    /// What the server allows.
    pub configured: u64,
    /// What the queue allows, if it says so.
    pub queue: Option<u64>,
}

impl PostSize {
    /// The smaller of the two, in bytes.
    #[must_use]
    pub fn max(self) -> u64 {
        self.queue.map_or(self.configured, |queue| queue.min(self.configured))
    }

    /// Checks the size of a post's body.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if `bytes` is more than [`Self::max`].
    pub fn check(self, bytes: u64) -> Result<()> {
        if bytes <= self.max() { Ok(()) } else { Err(self.too_large()) }
    }

    /// What a client is told whose post is larger than [`Self::max`].
    #[must_use]
    pub fn too_large(self) -> Error {
        let configured = self.configured;
        let limit = match self.queue {
            None => format!("Max size {configured}"),
            Some(queue) => format!(
                "The max size for current queue is {max}. It is calculated by max size = \
                 min(max_messages_post_size_config: {configured}, \
                 max_messages_post_size_queue: {queue}).",
                max = self.max(),
            ),
        };
        Error::InvalidRequest(format!("Message collection size is too large. {limit}"))
    }
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageListing {
    /// Where to start, as the client sent it.
    pub marker: Option<String>,
    /// Page size; the default of 10 if `None`.
    pub limit: Option<i64>,
    /// Include the caller's own messages.
    pub echo: bool,
    /// Include claimed ones.
    pub include_claimed: bool,
    /// Include delayed ones; they are included in any case where the queue's
    /// default delay is not set or 0.
    pub include_delayed: bool,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePage {
    /// By ascending marker.
    pub messages: Vec<Message>,
    /// The marker of the last one looked at, whether or not it could be shown:
    /// the next page starts behind it. `None` at the end of the listing.
    pub last: Option<u64>,
    /// Whether delayed ones were listed, asked for or not.
    pub include_delayed: bool,
}

/// What to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// These messages.
    Messages(Vec<String>),
    /// As many as this, which are handed over at the same time.
    Pop(i64),
}

impl Deletion {
    /// What a request asks for that may name messages or say how many.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for both, and for neither.
    pub fn new(ids: Option<Vec<String>>, pop: Option<i64>) -> Result<Self> {
        let sentence = match (ids, pop) {
            (Some(ids), None) => return Ok(Self::Messages(ids)),
            (None, Some(count)) => return Ok(Self::Pop(count)),
            (Some(_), Some(_)) => {
                "pop and id params cannot be present together in the delete request."
            }
            (None, None) => {
                "The request should have either \"ids\" or \"pop\" parameter in the request, to \
                 be able to delete."
            }
        };
        Err(Error::InvalidRequest(sentence.to_owned()))
    }
}

impl Service {
    /// How large a post to this queue may be.
    pub async fn post_size(&self, queue: &Permit<PostMessages>) -> Result<PostSize> {
        let metadata = self.storage.control.queues().metadata(queue).await?;
        Ok(QueueOptions::new(metadata.as_deref(), &self.limits).post_size())
    }

    /// Posts all of `drafts` or none; returns their ids in the same order.
    ///
    /// A missing queue is made, but not before the drafts have passed: unlike
    /// in Zaqar, a refused post leaves no queue behind.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidBody`] for a missing body or a number that is none,
    /// [`Error::InvalidRequest`] for a number out of range and for no drafts;
    /// [`storage::Error::Unavailable`], also if others delete the queue again and again.
    pub async fn post_messages(
        &self,
        queue: &Permit<PostMessages>,
        client: &ClientId,
        drafts: Vec<Draft>,
    ) -> Result<Vec<MessageId>> {
        self.post_drafts(queue, client, drafts).await
    }

    /// Posts as [`Service::post_messages`] does, for the server itself.
    pub(super) async fn post_drafts(
        &self,
        queue: &QueueKey,
        client: &ClientId,
        drafts: Vec<Draft>,
    ) -> Result<Vec<MessageId>> {
        let metadata = self.storage.control.queues().metadata(queue).await?;
        let options = QueueOptions::new(metadata.as_deref(), &self.limits);
        let messages = self.check_drafts(queue, drafts, options)?;

        let store = self.storage.data.messages();
        let mut exists = metadata.is_some();
        for _ in 0..POST_TRIES {
            if !exists {
                self.make_queue(queue, Metadata::default()).await?;
            }
            match store.post(queue, client, messages.clone(), self.now()).await {
                Err(storage::Error::QueueDoesNotExist(_)) => exists = false,
                posted => return Ok(posted?),
            }
        }
        let reason = format!("queue {queue} is deleted as often as it is made");
        Err(storage::Error::Unavailable(reason).into())
    }

    fn check_drafts(
        &self,
        queue: &QueueKey,
        drafts: Vec<Draft>,
        options: QueueOptions<'_>,
    ) -> Result<Vec<NewMessage>> {
        if drafts.is_empty() {
            // The spelling is Zaqar's.
            return Err(Error::InvalidRequest("No messages to enqueu.".to_owned()));
        }
        drafts.into_iter().map(|draft| self.check_draft(queue, draft, options)).collect()
    }

    fn check_draft(
        &self,
        queue: &QueueKey,
        draft: Draft,
        options: QueueOptions<'_>,
    ) -> Result<NewMessage> {
        let body =
            draft.body.ok_or_else(|| Error::InvalidBody("Missing \"body\" field.".to_owned()))?;
        let ttl = draft.ttl.or(options.message_ttl(), "ttl")?;
        // Where the queue has no delays Zaqar does not even look at the field.
        let delay = options.message_delay().map(|default| draft.delay.or(default, "delay"));
        let delay = delay.transpose()?.unwrap_or(0);

        let ttl_max = self.limits.max_message_ttl;
        let ttl = within(ttl, MESSAGE_TTL_MIN, ttl_max)
            .ok_or_else(|| Error::InvalidRequest(message_ttl_sentence(ttl_max)))?;
        let delay_max = self.limits.max_message_delay;
        let delay = within(delay, 0, delay_max).ok_or_else(|| {
            // The missing blank is Zaqar's.
            Error::InvalidRequest(format!(
                "The Delay TTL for a message may not exceed {delay_max} seconds,\
                 and must be at least 0 seconds long."
            ))
        })?;
        if options.encrypts() {
            // Its checksum is made when it is opened.
            let body = self.seal(&queue.project, &body)?;
            return Ok(NewMessage { ttl, delay, body, checksum: None });
        }
        let checksum = if self.enable_checksum { checksum(&body) } else { None };
        Ok(NewMessage { ttl, delay, body: body.into(), checksum })
    }

    /// A page of the queue, by ascending marker; a missing queue is empty, and
    /// nothing lies behind a marker that is none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the limit is out of range.
    pub async fn list_messages(
        &self,
        queue: &Permit<ListMessages>,
        client: &ClientId,
        listing: MessageListing,
    ) -> Result<MessagePage> {
        let limit = message_limit(listing.limit, self.limits.max_messages_per_page)?;
        let include_delayed = listing.include_delayed || !self.has_delays(queue).await?;
        let marker = match listing.marker.as_deref().map(Marker::parse) {
            Some(None) => {
                return Ok(MessagePage { messages: Vec::new(), last: None, include_delayed });
            }
            Some(marker) => marker,
            None => None,
        };
        let query = ListQuery {
            marker,
            limit,
            without: (!listing.echo).then(|| client.clone()),
            include_claimed: listing.include_claimed,
            include_delayed,
        };
        let messages = self.storage.data.messages().list(queue, &query, self.now()).await?;
        let last = messages.last().map(|message| message.marker);
        Ok(MessagePage { messages: self.open_all(queue, messages), last, include_delayed })
    }

    /// Whether the queue's default delay is set and not 0. Where it is not,
    /// Zaqar shows and hands out messages whatever delay they were posted with.
    async fn has_delays(&self, queue: &QueueKey) -> Result<bool> {
        let metadata = self.storage.control.queues().metadata(queue).await?;
        Ok(QueueOptions::new(metadata.as_deref(), &self.limits).message_delay().is_some())
    }

    /// One message, claimed or delayed ones too.
    ///
    /// # Errors
    ///
    /// [`Error::MessageDoesNotExist`], also for an id that is none.
    pub async fn get_message(&self, queue: &Permit<GetMessage>, id: &str) -> Result<Message> {
        let found = match MessageId::parse(id) {
            Some(id) => self.storage.data.messages().get(queue, &[id], self.now()).await?.pop(),
            None => None,
        };
        let missing =
            || Error::MessageDoesNotExist { id: id.to_owned(), queue: QueueKey::clone(queue) };
        self.open(queue, found.ok_or_else(missing)?)
    }

    /// Those of the messages that are there, each once, by ascending marker;
    /// claimed and delayed ones too.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for too few or too many ids (repeated and
    /// malformed ones count), [`Error::MessagesDoNotExist`] if none is there.
    pub async fn get_messages(
        &self,
        queue: &Permit<ListMessages>,
        ids: &[String],
    ) -> Result<Vec<Message>> {
        let max = self.limits.max_messages_per_page;
        if !is_page(ids, max) {
            return Err(too_many_messages(max));
        }
        let known = message_ids(ids);
        let mut messages = match known.as_slice() {
            [] => Vec::new(),
            known => self.storage.data.messages().get(queue, known, self.now()).await?,
        };
        // Ids tell nothing of the order of posts here; Zaqar's do, and sort it.
        messages.sort_unstable_by_key(|message| message.marker);
        if messages.is_empty() {
            return Err(Error::MessagesDoNotExist(format!(
                "No messages with IDs: {ids} found in the {kind} {name} for project {project}.",
                kind = queue.name.kind().noun(),
                ids = python::list(ids.iter().map(String::as_str)),
                name = queue.name,
                project = queue.project,
            )));
        }
        let unreadable = messages.first().map(|first| Error::MessageIsUnreadable(first.id));
        match (self.open_all(queue, messages), unreadable) {
            (readable, Some(error)) if readable.is_empty() => Err(error),
            (readable, _) => Ok(readable),
        }
    }

    /// Deletes one message, see [`storage::MessageController::delete`]. An id
    /// that is none names no message, and deleting what is not there is no
    /// error; an empty `claim` is none.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedClaimId`], whether or not the message exists;
    /// [`storage::Error::MessageIsClaimed`]; [`storage::Error::MessageIsNotClaimed`].
    pub async fn delete_message(
        &self,
        queue: &Permit<DeleteMessage>,
        id: &str,
        claim: Option<&str>,
    ) -> Result<()> {
        let Some(id) = MessageId::parse(id) else { return Ok(()) };
        let claim = claim.filter(|claim| !claim.is_empty()).map(claim_id).transpose()?;
        Ok(self.storage.data.messages().delete(queue, id, claim, self.now()).await?)
    }

    /// Deletes several messages; those that are not there are skipped.
    ///
    /// `claims` counts only with `message_delete_with_claim_id`. Then each
    /// message must be held by one of those claims; Zaqar is content if each
    /// claim holds one of the messages, and lets unclaimed ones slip in.
    /// Without the option claimed messages are deleted too, as in Zaqar.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for too few or too many ids, and for missing
    /// claims; [`Error::MalformedClaimId`]; what
    /// [`storage::MessageController::delete_many`] says.
    pub async fn delete_messages(
        &self,
        queue: &Permit<DeleteMessages>,
        ids: &[String],
        claims: Option<&[String]>,
    ) -> Result<()> {
        let claims = if self.limits.message_delete_with_claim_id {
            Some(claims.ok_or_else(ids_and_claims)?)
        } else {
            None
        };
        let max = self.limits.max_messages_per_page;
        if !is_page(ids, max) {
            return Err(Error::InvalidRequest(format!(
                "ids parameter should have at least 1 and not greater than {max} values."
            )));
        }
        let claims: Option<Vec<_>> = claims
            .map(|claims| claims.iter().map(|claim| claim_id(claim)).collect())
            .transpose()?;
        let ids = message_ids(ids);
        if ids.is_empty() {
            return Ok(());
        }
        let store = self.storage.data.messages();
        Ok(store.delete_many(queue, &ids, claims.as_deref(), self.now()).await?)
    }

    /// Removes and returns up to `count` messages that no live claim holds,
    /// delayed ones too.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if `count` is out of range, and for `claims`
    /// with `message_delete_with_claim_id`.
    pub async fn pop_messages(
        &self,
        queue: &Permit<DeleteMessages>,
        count: i64,
        claims: Option<&[String]>,
    ) -> Result<Vec<Message>> {
        let has_claims = claims.is_some_and(|claims| !claims.is_empty());
        if has_claims && self.limits.message_delete_with_claim_id {
            return Err(ids_and_claims());
        }
        let max = self.limits.max_messages_per_claim_or_pop;
        let limit = within(count, 1, max).ok_or_else(|| {
            Error::InvalidRequest(format!(
                "Pop value must be at least 1 and may not be greater than {max}."
            ))
        })?;
        self.pop_readable(queue, limit).await
    }
}

/// Whether there is at least one id and not more than `max`.
fn is_page(ids: &[String], max: u32) -> bool {
    i64::try_from(ids.len()).is_ok_and(|count| within(count, 1, max).is_some())
}

/// Those of `ids` that can name a message.
fn message_ids(ids: &[String]) -> Vec<MessageId> {
    ids.iter().filter_map(|id| MessageId::parse(id)).collect()
}

fn claim_id(text: &str) -> Result<ClaimId> {
    ClaimId::parse(text).ok_or(Error::MalformedClaimId)
}

fn ids_and_claims() -> Error {
    Error::InvalidRequest(
        "The request should have both \"ids\" and \"claim_ids\" parameter in the request \
         when message_delete_with_claim_id is True."
            .to_owned(),
    )
}
