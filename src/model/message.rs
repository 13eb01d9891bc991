//! Messages and how they are listed.

use super::{Body, ClaimId, ClientId, JsonText, MessageId, Timestamp};

/// A message as posted, checked and with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Seconds it lives.
    pub ttl: u32,
    /// Seconds until it can be claimed.
    pub delay: u32,
    /// Any JSON value.
    pub body: Body,
    /// `MD5:` and hex digits, if the service is told to keep checksums.
    pub checksum: Option<String>,
}

/// A message as a store has it.
pub type StoredMessage = Message<Body>;

/// A message that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<B = JsonText> {
    /// Its name.
    pub id: MessageId,
    /// Its place in its queue: greater than that of every message before it.
    pub marker: u64,
    /// Seconds it lives, as shown to clients; a claim may have stretched it.
    pub ttl: u32,
    /// When it was posted.
    pub created: Timestamp,
    /// The claim that holds it, or the expired claim that held it last;
    /// `None` if it was never claimed or its last claim was released.
    pub claim: Option<ClaimId>,
    /// What was posted.
    pub body: B,
    /// The checksum it was posted with.
    pub checksum: Option<String>,
}

impl<B> Message<B> {
    /// The same message with another body.
    #[must_use]
    pub fn with_body<C>(self, body: C) -> Message<C> {
        let Self { id, marker, ttl, created, claim, checksum, .. } = self;
        Message { id, marker, ttl, created, claim, body, checksum }
    }
}

/// A place in the listing of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Behind every message whose marker is at most this.
    Position(u64),
    /// Behind this message, which need not exist any more: openstacksdk pages
    /// with the id of the last message it saw.
    Message(MessageId),
}

impl Marker {
    /// Reads a marker: a decimal number, blanks and a sign tolerated, or a
    /// message id. `None` for anything else, which lists nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = MessageId::parse(text) {
            return Some(Self::Message(id));
        }
        let text = text.trim();
        match text.strip_prefix('-') {
            Some(digits) => digits.parse::<u64>().ok().map(|_| Self::Position(0)),
            None => text.parse().ok().map(Self::Position),
        }
    }
}

/// Which messages of a queue to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Start behind this place; at the oldest message if `None`.
    pub marker: Option<Marker>,
    /// The most messages to return.
    pub limit: u32,
    /// Leave out what this client posted; nobody's if `None` ("echo").
    pub without: Option<ClientId>,
    /// Also list messages held by a live claim.
    pub include_claimed: bool,
    /// Also list messages whose delay has not passed.
    pub include_delayed: bool,
}

/// How many messages a queue holds, and its ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Held by a live claim.
    pub claimed: u64,
    /// All others that have not expired, delayed ones included.
    pub free: u64,
    /// The lowest marker, claimed included, delayed excluded.
    pub oldest: Option<MessageHead>,
    /// The highest marker, claimed included, delayed excluded.
    pub newest: Option<MessageHead>,
}

/// A message without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// Its name.
    pub id: MessageId,
    /// When it was posted.
    pub created: Timestamp,
    /// As in [`Message::claim`].
    pub claim: Option<ClaimId>,
}

#[cfg(test)]
mod tests {
    use super::{Marker, MessageId};

    #[test]
    fn markers_are_numbers_or_message_ids() {
        assert_eq!(Marker::parse("7"), Some(Marker::Position(7)));
        assert_eq!(Marker::parse(" +7 "), Some(Marker::Position(7)));
        assert_eq!(Marker::parse("-3"), Some(Marker::Position(0)));
        let id = MessageId::from_parts(1, 2);
        assert_eq!(Marker::parse(&id.to_string()), Some(Marker::Message(id)));
        for odd in ["abc", "1.5", "", "--1", "99999999999999999999999999"] {
            assert_eq!(Marker::parse(odd), None, "{odd}");
        }
    }
}
