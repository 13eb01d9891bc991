//! Projects, queues and their metadata.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The tenant that owns queues: any text of 1 to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Arc<str>);

impl ProjectId {
    /// The longest project id, in characters.
    pub const CHARS_MAX: usize = 256;

    /// A project id, whatever its length: Zaqar checks the length only where a
    /// queue is named, see [`ProjectId::is_too_long`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no queue may be named in this project.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.0.len() > Self::CHARS_MAX && self.0.chars().count() > Self::CHARS_MAX
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a name is the name of. Both hold messages and have subscribers; a queue
/// and a topic of the same name share nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueKind {
    /// Messages are handed out to workers, or read.
    #[default]
    Queue,
    /// Messages are told to subscribers, or read; there are no claims.
    Topic,
}

impl QueueKind {
    /// The word for one.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
        }
    }

    /// The word for one, at the beginning of a sentence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Queue => "Queue",
            Self::Topic => "Topic",
        }
    }

    /// The word for several, in addresses and documents.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Queue => "queues",
            Self::Topic => "topics",
        }
    }
}

/// The queues of a project, or its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// The owner.
    pub project: ProjectId,
    /// Which of both.
    pub kind: QueueKind,
}

/// The name of a queue or of a topic: 1 to 64 of `A–Z a–z 0–9 _ - .`.
///
/// Stores spell it ([`QueueName::as_str`]) so that the two are never taken for
/// one another; people are shown it ([`QueueName::shown`], `Display`) as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// The longest name, in characters.
    pub const CHARS_MAX: usize = 64;

    /// What the stored name of a topic begins with: a character that no name has,
    /// behind all those that names have.
    const TOPIC: char = '~';
    /// In byte order behind the stored names of all queues.
    const BEHIND_QUEUES: &str = "~";
    /// In byte order behind the stored names of all topics.
    const BEHIND_TOPICS: &str = "\u{7f}";

    /// Reads the name of a queue; `None` if it is empty, too long or has another
    /// character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_as(QueueKind::Queue, text)
    }

    /// Reads the name of a queue or of a topic, by the same rules.
    #[must_use]
    pub fn parse_as(kind: QueueKind, text: &str) -> Option<Self> {
        let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        let fits = (1..=Self::CHARS_MAX).contains(&text.len());
        if !fits || !text.bytes().all(legal) {
            return None;
        }
        Some(Self(match kind {
            QueueKind::Queue => text.into(),
            QueueKind::Topic => format!("{}{text}", Self::TOPIC).into(),
        }))
    }

    /// Reads what [`Self::as_str`] gave to a store.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        match text.strip_prefix(Self::TOPIC) {
            Some(name) => Self::parse_as(QueueKind::Topic, name),
            None => Self::parse(text),
        }
    }

    /// The name as a store spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a client sent it.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.0.strip_prefix(Self::TOPIC).unwrap_or(&self.0)
    }

    /// What it is the name of.
    #[must_use]
    pub fn kind(&self) -> QueueKind {
        if self.0.starts_with(Self::TOPIC) { QueueKind::Topic } else { QueueKind::Queue }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

/// Names one queue, or topic, of one project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// The owner.
    pub project: ProjectId,
    /// The queue.
    pub name: QueueName,
}

impl fmt::Display for QueueKey {
    /// For people and logs only: a project may itself contain a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.name)
    }
}

/// What is known of a queue beside its messages: a JSON object, kept whole
/// (order, unknown keys and explicit nulls included).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(Map<String, Value>);

/// The text is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("queue metadata is not a JSON object")]
pub struct NotAnObject;

impl Metadata {
    /// The metadata with these entries.
    #[must_use]
    pub fn new(entries: Map<String, Value>) -> Self {
        Self(entries)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// [`NotAnObject`] if `text` is anything but a JSON object.
    pub fn from_text(text: &str) -> Result<Self, NotAnObject> {
        serde_json::from_str(text).map(Self).map_err(|_| NotAnObject)
    }

    /// The form to store.
    #[must_use]
    pub fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The entries, to be changed.
    pub fn entries_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }
}

/// A queue in a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRecord {
    /// Its name.
    pub name: QueueName,
    /// Its metadata as stored, without defaults.
    pub metadata: Arc<Metadata>,
}

/// Which queues of a project to list, in ascending byte order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueFilter {
    /// Queues or topics.
    pub kind: QueueKind,
    /// Only names strictly greater than this text, which need not be a queue.
    pub marker: Option<String>,
    /// The most queues to return.
    pub limit: u32,
    /// Only names that contain this text, literally.
    pub name_contains: Option<String>,
    /// Only queues whose stored metadata equals all of these.
    pub metadata: Vec<MetadataFilter>,
}

/// One condition on stored metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataFilter {
    /// The key; one that is not stored does not match.
    pub key: String,
    /// The value it must equal.
    pub value: Value,
}

impl QueueFilter {
    /// Whether a queue passes the name and metadata conditions.
    #[must_use]
    pub fn matches(&self, name: &QueueName, metadata: &Metadata) -> bool {
        self.name_contains.as_deref().is_none_or(|part| name.shown().contains(part))
            && self.metadata.iter().all(|f| metadata.entries().get(&f.key) == Some(&f.value))
    }

    /// Between which texts the stored names on the page lie, both exclusive.
    #[must_use]
    pub fn stored_names(&self) -> (String, &'static str) {
        let marker = self.marker.as_deref().unwrap_or_default();
        match self.kind {
            QueueKind::Queue => (marker.to_owned(), QueueName::BEHIND_QUEUES),
            QueueKind::Topic => (format!("{}{marker}", QueueName::TOPIC), QueueName::BEHIND_TOPICS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Metadata, ProjectId, QueueFilter, QueueKind, QueueName};

    #[test]
    fn queue_names_keep_to_their_alphabet() {
        for good in ["q", "A-b_c.9", ".", "..", &"x".repeat(64)] {
            assert!(QueueName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "a/b", "q\n", "zoë", "~q", &"x".repeat(65)] {
            assert!(QueueName::parse(bad).is_none(), "{bad}");
            assert!(QueueName::parse_as(QueueKind::Topic, bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_topic_is_called_as_a_queue_and_stored_as_none() {
        let queue = QueueName::parse("news").unwrap();
        let topic = QueueName::parse_as(QueueKind::Topic, "news").unwrap();
        assert_eq!((queue.to_string(), topic.to_string()), ("news".into(), "news".into()));
        assert_ne!(queue, topic);
        for name in [queue, topic] {
            assert_eq!(QueueName::from_stored(name.as_str()), Some(name));
        }
        for bad in ["", "~", "~~q", "~a/b", "q~"] {
            assert_eq!(QueueName::from_stored(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_of_one_kind_lie_side_by_side() {
        let of = |kind, marker: &str| {
            let marker = Some(marker.to_owned()).filter(|marker| !marker.is_empty());
            QueueFilter { kind, marker, ..QueueFilter::default() }.stored_names()
        };
        for kind in [QueueKind::Queue, QueueKind::Topic] {
            for name in ["-", ".", "0", "A", "_", "z"].map(|name| QueueName::parse_as(kind, name)) {
                let name = name.unwrap();
                let lies = |(behind, before): (String, &str)| {
                    *behind < *name.as_str() && name.as_str() < before
                };
                assert!(lies(of(kind, "")), "{name:?}");
                assert!(!lies(of(kind, name.shown())) && !lies(of(kind, "~")), "{name:?}");
                let other =
                    if kind == QueueKind::Queue { QueueKind::Topic } else { QueueKind::Queue };
                assert!(!lies(of(other, "")), "{name:?}");
            }
        }
    }

    #[test]
    fn projects_are_measured_in_characters() {
        assert!(!ProjectId::new(&"é".repeat(256)).is_too_long());
        assert!(ProjectId::new(&"é".repeat(257)).is_too_long());
    }

    #[test]
    fn metadata_keeps_order_and_nulls() {
        let text = r#"{"z":1,"a":null,"m":{"x":[1.5]}}"#;
        assert_eq!(Metadata::from_text(text).unwrap().to_text(), text);
        assert!(Metadata::from_text("[]").is_err());
    }
}
